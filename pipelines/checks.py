"""Asset checks on a project's mirror, before it is published: complete, keyed, and how much does not fit.

Their answers are counts and names of fields; the questions are warehouse.audit's.
"""

# No postponed annotations here: Dagster reads them when it decorates.
import warnings

import dagster as dg

from pipelines.assets import key
from pipelines.config import Config
from pipelines.failures import failing_plainly
from pipelines.resources import WarehouseResource
from pipelines.warehouse import audit
from pipelines.warehouse.folder import WarehouseFolder


def make_checks(config: Config) -> list[dg.AssetChecksDefinition]:
    """The checks for the projects of this configuration."""
    with warnings.catch_warnings():
        # Checks of one partition are in preview; without them a project's check would hide the others'.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _checks(config)


def _checks(config: Config) -> list[dg.AssetChecksDefinition]:
    partitions = dg.StaticPartitionsDefinition(list(config.projects))

    @dg.asset_check(
        asset=key("records"),
        partitions_def=partitions,
        description="Every record that REDCap lists is in the warehouse, and none had to be left out.",
    )
    def every_record_is_there(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        with failing_plainly():
            found = audit.reconciliation(_folder(warehouse), context.partition_key)
        return dg.AssetCheckResult(
            passed=found.whole,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "in_redcap": found.in_redcap,
                "in_warehouse": found.in_warehouse,
                "quarantined": found.quarantined,
            },
        )

    @dg.asset_check(
        asset=key("records"),
        partitions_def=partitions,
        blocking=True,
        description="No two rows of an instrument have the same record, event and instance. Nothing is published else.",
    )
    def keys_are_unique(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
        with failing_plainly():
            doubles = audit.double_keys(_folder(warehouse), context.partition_key)
        return dg.AssetCheckResult(
            passed=not doubles, severity=dg.AssetCheckSeverity.ERROR, metadata={"double_keys": doubles}
        )

    @dg.asset_check(
        asset=key("records"),
        partitions_def=partitions,
        description="Values fit the types of the data dictionary; those that do not are kept verbatim and listed.",
    )
    def values_fit(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
        with failing_plainly():
            counts = audit.invalid_by_field(_folder(warehouse), context.partition_key)
        lines = [f"| {instrument} | {field} | {reason} | {count} |" for instrument, field, reason, count in counts[:50]]
        return dg.AssetCheckResult(
            passed=not counts,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "values": sum(count for *_, count in counts),
                "by_field": dg.MetadataValue.md(
                    "\n".join(["| instrument | field | reason | values |", "|---|---|---|---:|", *lines])
                ),
            },
        )

    return [every_record_is_there, keys_are_unique, values_fit]


def _folder(warehouse: WarehouseResource) -> WarehouseFolder:
    return WarehouseFolder(warehouse.config().warehouse)
