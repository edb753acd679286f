"""Asset checks of a project: unique keys and fitting values before it is published, completeness afterwards.

They return counts and names of fields. Not here: the queries (warehouse/published/quality.py).
"""

# No postponed annotations here: Dagster reads them when it decorates.
import warnings
from collections.abc import Mapping

import dagster as dg

from pipelines.config.settings import Config
from pipelines.defs.asset_specs import RETRY, key, markdown_table
from pipelines.defs.failures import as_dagster_failure
from pipelines.defs.resources import WarehouseResource
from pipelines.warehouse.published import quality as audit
from pipelines.warehouse.store.protocol import Store
from pipelines.wording import counted

# After a dictionary was recoded, values of every field may not fit; nobody reads more lines than this in a browser.
FIELDS_SHOWN = 50


def make_checks(config: Config) -> list[dg.AssetChecksDefinition]:
    """The checks for the projects of this configuration."""
    partitions = dg.StaticPartitionsDefinition(list(config.projects))
    with warnings.catch_warnings():
        # Partitioned checks are a preview; without them one project's check would hide those of the others.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            _keys_are_unique(partitions),
            _values_fit(partitions),
            _new_ids_are_explained(partitions),
            _every_record_is_there(partitions),
            _published_rows_match_the_mirror(partitions),
        ]


def _keys_are_unique(partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key("records"),
        partitions_def=partitions,
        blocking=True,
        description="No two rows of an instrument have the same record, event and instance. Otherwise the project is "
        "not published.",
    )
    def keys_are_unique(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
        with as_dagster_failure(), warehouse.store() as store:
            doubles = audit.duplicate_keys(store, context.partition_key)
        return dg.AssetCheckResult(
            passed=not doubles,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{sum(doubles.values()):,} keys are duplicated, so the project is not published."
            if doubles
            else None,
            metadata={"double_keys": sum(doubles.values()), "instruments": ", ".join(doubles) or "none"},
        )

    return keys_are_unique


def _values_fit(partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key("records"),
        partitions_def=partitions,
        description="Values fit the types of the data dictionary; those that do not are kept verbatim and listed.",
    )
    def values_fit(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
        with as_dagster_failure(), warehouse.store() as store:
            counts = audit.invalid_by_field(store, context.partition_key)
        values = sum(count for *_, count in counts)
        return dg.AssetCheckResult(
            passed=not counts,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{counted(values, 'value does', 'values do')} not fit; redcap.invalid_values lists them."
            if counts
            else None,
            metadata={
                "values": values,
                "by_field": markdown_table(("instrument", "field", "reason", "values"), counts[:FIELDS_SHOWN]),
            },
        )

    return values_fit


def _new_ids_are_explained(partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key("records"),
        partitions_def=partitions,
        description="The history of records that have another id, according to REDCap's log, was moved to it. Where "
        "ids were exchanged, the history under each may belong to two people.",
    )
    def new_ids_are_explained(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        with as_dagster_failure(), warehouse.store() as store:
            records = audit.unexplained_ids(store, context.partition_key)
        return dg.AssetCheckResult(
            passed=not records,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"REDCap's log shows {counted(records, 'new record id')} whose previous "
            f"{'id' if records == 1 else 'ids'} the data does not show; see redcap.sync_runs.message."
            if records
            else None,
            metadata={"new_ids_unexplained": records},
        )

    return new_ids_are_explained


def _every_record_is_there(partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key("published"),
        partitions_def=partitions,
        # Nothing follows it; blocking makes the run fail, so that alerts on failed runs report it.
        blocking=True,
        retry_policy=RETRY,
        description="Every record that REDCap lists is in the warehouse. What could be fetched is published anyway.",
    )
    def every_record_is_there(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        with as_dagster_failure(), warehouse.store() as store:
            return reconciled(store, context.partition_key)

    return every_record_is_there


def reconciled(store: Store, project: str, published: Mapping[str, int] | None = None) -> dg.AssetCheckResult:
    """Whether readers find every record that REDCap listed at the published load."""
    found = audit.reconciliation(store, project, published)
    return dg.AssetCheckResult(
        passed=found.whole,
        severity=dg.AssetCheckSeverity.ERROR,
        description=str(found),
        metadata={
            "in_redcap": found.in_redcap,
            "in_warehouse": found.in_warehouse,
            "quarantined": found.quarantined,
        },
    )


def _published_rows_match_the_mirror(partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key("published"),
        partitions_def=partitions,
        # As above: what readers find differs from what was published, and somebody must hear of it.
        blocking=True,
        description="The published rows were compared with the project's mirror before readers could see them, and the "
        "file has not changed since. All rows are counted; those that changed, and at a full refresh all, are compared "
        "value by value.",
    )
    def published_rows_match_the_mirror(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        with as_dagster_failure(), warehouse.store() as store:
            return proven(store, context.partition_key)

    return published_rows_match_the_mirror


def proven(store: Store, project: str) -> dg.AssetCheckResult:
    """Whether readers find the rows that were compared with the mirror."""
    found = audit.published_proof(store, project)
    return dg.AssetCheckResult(
        passed=found.holds,
        severity=dg.AssetCheckSeverity.ERROR,
        description=str(found),
        metadata={
            "instruments": found.instruments,
            "rows_counted": found.rows,
            "instruments_compared": found.compared,
            "all_rows_compared": found.whole,
            "compared_at_utc": found.published_at or "never",
        },
    )


def published_checks(store: Store, project: str, published: Mapping[str, int]) -> dict[str, dg.AssetCheckResult]:
    """The checks of `published` by their names, as the job `publish` makes them; `published` counts the records."""
    return {
        "every_record_is_there": reconciled(store, project, published),
        "published_rows_match_the_mirror": proven(store, project),
    }
