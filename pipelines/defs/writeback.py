"""The asset that writes cleaned values to REDCap, a dry run by default, and an example of an asset that cleans.

Not here: the write-back itself (pipelines.writeback). Dagster gets counts and names of fields, never a value.
"""

# No postponed annotations here: Dagster reads them when it decorates.
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import dagster as dg
from pydantic import Field

from pipelines.config.settings import Config
from pipelines.defs.asset_specs import OWNERS, key, markdown_table
from pipelines.defs.example_cleaning import NAME, is_example, propose_tidy_towns
from pipelines.defs.failures import as_dagster_failure
from pipelines.defs.resources import WarehouseResource
from pipelines.wording import counted
from pipelines.writeback import Outcome, Plan, WritebackOptions, apply_writeback, plan_writeback, publish_results

GROUP = "writeback"
CONFLICTS, CONFIRMED = "no_conflicts", "all_confirmed"


class NewRecords(StrEnum):
    """What to do with proposals for records that REDCap does not have."""

    REFUSE = "refuse"
    MAKE = "make"


class WriteBack(dg.Config):
    """Write-back options. Without `apply` every open proposal is decided, and nothing is sent."""

    apply: bool = Field(default=False, description="Send what may be written; otherwise only plan it.")
    batch: str | None = Field(default=None, description="Only this batch of proposals; without it all that are open.")
    max_cells: int | None = Field(
        default=None, ge=1, description="Refuse to send more cells than this; without it the limit of projects.yaml."
    )
    new_records: NewRecords = Field(
        default=NewRecords.REFUSE, description="Whether records that REDCap does not have may be created."
    )

    def options(self) -> WritebackOptions:
        """The same as options of the write-back."""
        return WritebackOptions(
            batch=self.batch,
            max_cells=self.max_cells,
            new_records=True if self.new_records is NewRecords.MAKE else None,
        )


def make_writeback_assets(config: Config) -> list[dg.AssetsDefinition]:
    """The write-back of each project, and in the demo's configuration the example that feeds it."""
    partitions = dg.StaticPartitionsDefinition(list(config.projects))
    if not is_example(config):
        return [_writeback(partitions, [])]
    return [_tidy_towns(partitions), _writeback(partitions, [key(NAME)])]


def _writeback(partitions: dg.PartitionsDefinition, cleaning: list[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=key("writeback"),
        deps=[key("published"), *cleaning],
        partitions_def=partitions,
        group_name=GROUP,
        kinds={"redcap", "duckdb"},
        owners=OWNERS,
        check_specs=[
            dg.AssetCheckSpec(
                CONFLICTS,
                asset=key("writeback"),
                description="No proposal was refused, and no cell was changed in REDCap after its value was exported.",
            ),
            dg.AssetCheckSpec(
                CONFIRMED,
                asset=key("writeback"),
                description="Every cell that was sent was read back with the value that was sent.",
            ),
        ],
        description=(
            "Proposed values are compared with REDCap as it is now, written where it still holds what the cleaner saw, "
            "read back, and journalled. A dry run unless `apply` is set. Undo: `redcap-warehouse revert`."
        ),
    )
    def writeback(
        context: dg.AssetExecutionContext, config: WriteBack, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Plan, or apply, the open proposals of the project."""
        with as_dagster_failure():
            loaded = warehouse.config()
            project = loaded.project(context.partition_key)
            # No retry: what an interrupted run had sent is checked when the next one begins.
            act = apply_writeback if config.apply else plan_writeback
            done: Plan | Outcome = act(loaded, project, options=config.options(), run_id=context.run.run_id)
            published = publish_results(loaded, project, done)
        if isinstance(done, Plan) and done.refusal:
            context.log.warning(done.refusal)
        yield dg.MaterializeResult(metadata=_metadata(done, published), check_results=_checks(done))

    return writeback


def _metadata(done: Plan | Outcome, published: bool) -> Mapping[str, Any]:
    counts = done.counts
    metadata: dict[str, Any] = {
        "dry_run": isinstance(done, Plan),
        "batches": ", ".join(done.batches) or "none",
        "write": counts.write,
        "already_there": counts.already_there,
        "conflict": counts.conflict,
        "invalid": counts.invalid,
        "reasons": markdown_table(("reason", "cells"), list(counts.reasons.items())),
        "warnings": markdown_table(("warning", "cells"), list(counts.warnings.items())),
        "requests": done.requests,
        "seconds": round(done.seconds, 2),
        "published": published,
    }
    if isinstance(done, Outcome):
        metadata |= {
            "sent": done.sent,
            "confirmed": done.confirmed,
            "failed": done.failed,
            "not_confirmed": done.not_confirmed,
            "messages": markdown_table(("message", "cells"), list(done.messages.items())),
        }
    else:
        metadata |= {"records_to_write": done.records, "unsettled": done.unsettled}
    return metadata


def _checks(done: Plan | Outcome) -> list[dg.AssetCheckResult]:
    refused = done.counts.conflict + done.counts.invalid
    lost = done.failed + done.not_confirmed if isinstance(done, Outcome) else done.unsettled
    return [
        dg.AssetCheckResult(
            asset_key=key("writeback"),
            check_name=CONFLICTS,
            passed=not refused,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{counted(refused, 'proposal')} refused or in conflict; writeback.proposals says why."
            if refused
            else None,
            metadata={"conflict": done.counts.conflict, "invalid": done.counts.invalid},
        ),
        dg.AssetCheckResult(
            asset_key=key("writeback"),
            check_name=CONFIRMED,
            passed=not lost,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{counted(lost, 'cell')} not confirmed; writeback.journal says which." if lost else None,
            metadata={"not_confirmed": lost},
        ),
    ]


def _tidy_towns(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=key(NAME),
        deps=[key("published")],
        partitions_def=partitions,
        group_name=GROUP,
        kinds={"pandas"},
        owners=OWNERS,
        description=(
            "An example of cleaning, in the demo only: town names of the heart study without stray blanks and with "
            "capitals, as proposals. `writeback` sends them."
        ),
    )
    def tidy_towns(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Clean what is published, with pandas, and propose what differs."""
        with as_dagster_failure():
            batch = f"{NAME} {context.run.run_id[:8]}"
            proposed = propose_tidy_towns(warehouse.config(), context.partition_key, batch)
        return dg.MaterializeResult(metadata={"looked_at": proposed.rows, "proposed": proposed.accepted})

    return tidy_towns
