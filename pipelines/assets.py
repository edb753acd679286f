"""The assets: each wraps steps of pipelines.sync that work without Dagster.

Projects are partitions, one run a project. What passes between steps are counts and references; participants' rows
lie in the run's staging folder, because Dagster keeps what steps return, in clear.
"""

# No postponed annotations here: Dagster reads them when it decorates.
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
from pydantic import Field

from pipelines.config import Config
from pipelines.errors import NotAllPublished, WarehouseBusy
from pipelines.failures import failing_plainly
from pipelines.resources import WarehouseResource
from pipelines.sync import Load, LoadOptions, LoadReport, StructureReport, WorkPlan
from pipelines.warehouse.audit import last_changes, published_rows, rows_by_instrument
from pipelines.warehouse.catalog import table_columns
from pipelines.warehouse.publish import publish, release
from redcap_source import Calls

PREFIX = "redcap"
OWNERS = ["team:data-management"]
# Many small steps cost Dagster more than they give; one step asks for so many records, in chunks of its own.
RECORDS_IN_BATCH = 1000
MOST_BATCHES = 24
# Hiccups are retried inside the client already; this is for outages that last minutes.
RETRY = dg.RetryPolicy(max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

STRUCTURE = {
    "project_info": ("projects", "The project's settings, and what the token may see of it."),
    "data_dictionary": ("data_dictionary", "Every field with its label, type, choices and validation: the codebook."),
    "events": ("events", "The events of a longitudinal project, in order; empty for a classic one."),
    "form_event_mapping": ("form_event_mapping", "Which instrument is designated for which event."),
    "users": ("users", "Who may do what in the project, as far as the token may read it."),
}


class Allowances(dg.Config):
    """How much to read, and what is right although it looks like harm; a run without being told refuses."""

    full: bool = Field(default=False, description="Read every record again, not only what changed since the last load.")
    allow_deletions: bool = Field(
        default=False, description="Many records are gone from REDCap, and that is right: delete them here too."
    )
    allow_narrower: bool = Field(
        default=False, description="The token sees fewer fields than last time, and that is right: give them up."
    )

    def options(self) -> LoadOptions:
        """The same as the load takes it."""
        return LoadOptions(full=self.full, allow_deletions=self.allow_deletions, allow_narrower=self.allow_narrower)


def key(name: str) -> dg.AssetKey:
    """The asset's key: everything of this location stands under `redcap`."""
    return dg.AssetKey([PREFIX, name])


def make_assets(config: Config) -> list[dg.AssetsDefinition]:
    """The assets for the projects of this configuration."""
    partitions = dg.StaticPartitionsDefinition(list(config.projects))
    return [_structure(partitions), _records(partitions), _record_changes(partitions), _published(partitions)]


# -- structure -----------------------------------------------------------------------------------------------


def _structure(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="structure",
        specs=[
            dg.AssetSpec(
                key(name),
                description=description,
                group_name=PREFIX,
                kinds={"redcap", "duckdb"},
                owners=OWNERS,
                metadata={"dagster/table_name": f"redcap.{table}", "dagster/column_schema": _columns_of(table)},
            )
            for name, (table, description) in STRUCTURE.items()
        ],
        partitions_def=partitions,
        retry_policy=RETRY,
    )
    def structure(
        context: dg.AssetExecutionContext, config: Allowances, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Preflight, structure and the plan of the night; no record is touched."""
        load = _load(context, warehouse, config)
        records_follow = key("records") in context.job_def.asset_layer.executable_asset_keys
        with failing_plainly(load):
            _, report = _read_structure(load, records_follow=records_follow)
        context.log.info("%s: %s fields in %s instruments", context.partition_key, report.fields, report.instruments)
        counts = {
            "project_info": 1,
            "data_dictionary": report.fields,
            "events": report.events,
            "form_event_mapping": report.form_event_pairs,
            "users": report.users,
        }
        for name, count in counts.items():
            yield dg.MaterializeResult(asset_key=key(name), metadata=_structure_metadata(name, count, report))

    return structure


def _read_structure(load: Load, *, records_follow: bool = True) -> tuple[WorkPlan, StructureReport]:
    with load.mirror() as mirror, load.client() as client:
        load.begin(mirror)
        plan, report = load.structure(client, mirror)
        if records_follow:
            # The plan names records, so it lies on disk no longer than somebody needs it.
            load.keep_plan(plan)
        else:
            load.end(mirror, "structure only", "Load the records too; then it can be published.", 0.0, client.calls)
    return plan, report


def _structure_metadata(name: str, count: int, report: StructureReport) -> Mapping[str, Any]:
    metadata: dict[str, Any] = {"dagster/partition_row_count": count}
    if name == "project_info":
        metadata |= {
            "redcap_version": report.redcap_version,
            "not_readable": ", ".join(report.not_readable) or "nothing",
            "hidden_fields": len(report.hidden_fields),
        }
    if name == "data_dictionary":
        metadata |= {"instruments": report.instruments, "changes": len(report.drift)}
        if report.drift:
            changes = [(change.change, change.kind, change.name) for change in report.drift[:100]]
            metadata["drift"] = markdown_table(("change", "kind", "name"), changes)
    return metadata


def _columns_of(table: str) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in table_columns(table)])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A table as the UI shows it; only for counts and names of fields."""
    lines = [header, ["---"] * len(header), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))


# -- records -------------------------------------------------------------------------------------------------


@dg.op(
    ins={name: dg.In(dg.Nothing) for name in STRUCTURE},
    out=dg.DynamicOut(int),
    description="Which records to fetch, in batches; a batch is a number here, its records are in the staging folder.",
    retry_policy=RETRY,
)
def plan_batches(
    context: dg.OpExecutionContext, config: Allowances, warehouse: WarehouseResource
) -> Iterator[dg.DynamicOutput[int]]:
    """The night's work in batches; structure is read here only if it is not part of this run."""
    load = _load(context, warehouse, config)
    with failing_plainly(load):
        plan = load.resume() if load.has_plan() else _read_structure(load)[0]
    batches = _batches(plan)
    context.log.info("%s: %s records in %s batches, about %s requests", plan.mode, plan.size, batches, plan.requests)
    for number in range(batches):
        yield dg.DynamicOutput(number, mapping_key=f"{number:03d}")


@dg.op(description="One batch of records, in chunks proven whole, into the staging folder.", retry_policy=RETRY)
def fetch(context: dg.OpExecutionContext, warehouse: WarehouseResource, batch: int) -> dict[str, Any]:
    """Fetch one batch; what is returned are counts."""
    load = _load(context, warehouse)
    with failing_plainly(load):
        plan = load.resume()
        batches = _batches(plan)
        with load.client() as client:
            fetched = load.fetch(client, plan, plan.batch(batch, batches), f"batch{batch:03d}")
            report = load.keep_fetched(batch, fetched)
            calls = client.calls
    context.log.info("batch %s of %s: %s of %s records", batch + 1, batches, report.records, plan.size)
    return {**asdict(report), **asdict(calls)}


# No pool: one would be held by every project together. A project's runs are kept apart by its partition.
@dg.op(description="Proven chunks into the project's mirror; the watermark last.", retry_policy=RETRY)
def apply(
    context: dg.OpExecutionContext, warehouse: WarehouseResource, batches: list[dict[str, Any]]
) -> dg.Output[None]:
    """Apply what was fetched, in bounded transactions."""
    load = _load(context, warehouse)
    began = time.monotonic()
    with failing_plainly(load):
        plan = load.resume()
        calls = _all_calls(plan, batches)
        with load.mirror() as mirror:
            tally = load.apply(mirror, plan, load.read_fetched(len(batches)), keep_answers=True)
            report = load.finish(mirror, plan, tally)
            seconds = time.monotonic() - began + calls.seconds
            load.end(mirror, report.outcome, report.message, seconds, calls)
        rows = rows_by_instrument(load.folder, context.partition_key)
    if report.message:
        context.log.warning(report.message)
    return dg.Output(None, metadata=_records_metadata(report, rows, seconds, calls))


def _all_calls(plan: WorkPlan, batches: Sequence[Mapping[str, Any]]) -> Calls:
    """What structure and all batches asked of the server."""
    steps = [asdict(plan.calls), *batches]
    return Calls(**{name: sum(step[name] for step in steps) for name in asdict(plan.calls)})


def _records(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.graph_asset(
        key=key("records"),
        ins={name: dg.AssetIn(key(name), dagster_type=dg.Nothing) for name in STRUCTURE},
        partitions_def=partitions,
        group_name=PREFIX,
        kinds={"redcap", "duckdb"},
        owners=OWNERS,
        # The launchpad asks for the asset's settings, not for those of an operation inside it.
        config=dg.ConfigMapping(
            config_schema=Allowances.to_config_schema(), config_fn=lambda given: {"plan_batches": {"config": given}}
        ),
        description=(
            "Every record of the project, one table per instrument: fetched in chunks, each proven whole, and applied "
            "to the project's mirror. Only rows that differ are written, and every changed cell is traced."
        ),
    )
    def records(**structure: Any) -> Any:
        return apply(plan_batches(**structure).map(fetch).collect())

    return records


def _records_metadata(report: LoadReport, rows: Mapping[str, int], seconds: float, calls: Calls) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": sum(rows.values()),
        "records": report.records_in_redcap,
        "mode": report.mode,
        "records_loaded": report.records_loaded,
        "records_added": report.records_added,
        "records_changed": report.records_changed,
        "records_unchanged": report.records_unchanged,
        "records_deleted": report.records_deleted,
        "records_renamed": report.records_renamed,
        "records_quarantined": report.records_quarantined,
        "rows_inserted": report.rows_inserted,
        "rows_updated": report.rows_updated,
        "rows_deleted": report.rows_deleted,
        "rows_unchanged": report.rows_unchanged,
        "cells": report.cells,
        "invalid_values": report.invalid_values,
        "bytes": calls.bytes,
        "requests": calls.requests,
        "retries": calls.retries,
        "chunks": report.chunks,
        "seconds": round(seconds, 2),
        "rows_by_instrument": markdown_table(("instrument", "rows"), [(n, f"{count:,}") for n, count in rows.items()]),
    }
    if report.watermark is not None:
        metadata["watermark_utc"] = f"{report.watermark:%Y-%m-%d %H:%M:%S}"
    return metadata


# -- changes ------------------------------------------------------------------------------------------------


def _record_changes(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=key("record_changes"),
        deps=[key("records")],
        partitions_def=partitions,
        group_name=PREFIX,
        kinds={"duckdb"},
        owners=OWNERS,
        retry_policy=RETRY,
        metadata={
            "dagster/table_name": "redcap.record_changes",
            "dagster/column_schema": _columns_of("record_changes"),
        },
        description=(
            "Every changed cell of every record: its value before and after, when it was found, and, where REDCap's "
            "log may be read, who changed it and when. Written with the records, in the same transactions."
        ),
    )
    def record_changes(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Count what the load of this run found changed."""
        with failing_plainly():
            found = last_changes(_load(context, warehouse).folder, context.partition_key)
        return dg.MaterializeResult(
            metadata={
                "cells_changed": sum(cells for *_, cells in found),
                "by_instrument": markdown_table(
                    ("instrument", "change", "records", "cells"),
                    [(name, change, f"{records:,}", f"{cells:,}") for name, change, records, cells in found],
                ),
            }
        )

    return record_changes


# -- published -----------------------------------------------------------------------------------------------


def _published(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=key("published"),
        deps=[key("records")],
        partitions_def=partitions,
        group_name=PREFIX,
        kinds={"duckdb"},
        owners=OWNERS,
        pool="redcap_publish",
        retry_policy=RETRY,
        description=(
            "warehouse.duckdb, the database readers open, put in place in one step. A publish takes up every project "
            "that was loaded since the last one."
        ),
    )
    def published(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Publish what is loaded."""
        with failing_plainly():
            load = _load(context, warehouse)
            # Only here: until its checks have passed, no other project's publish may take this one along.
            release(load.folder, context.partition_key)
            try:
                taken = publish(
                    load.folder, memory_limit=load.config.memory_limit, configured=load.config.projects
                ).projects
            except NotAllPublished as problem:
                if context.partition_key not in problem.published:
                    raise
                # Another project's trouble is for its own run to tell.
                taken = problem.published
            if context.partition_key in load.folder.waiting():
                raise WarehouseBusy(path=load.folder.mirror(context.partition_key))
            rows = published_rows(load.folder, context.partition_key)
        return dg.MaterializeResult(
            metadata={
                "dagster/partition_row_count": sum(rows.values()),
                "dagster/uri": str(load.folder.database),
                "dagster/table_name": f"warehouse.{context.partition_key}",
                "projects_taken_up": len(taken),
                "database_bytes": load.folder.database.stat().st_size,
            }
        )

    return published


def _load(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    warehouse: WarehouseResource,
    allowances: Allowances | None = None,
) -> Load:
    """This run's load of its partition; a re-executed run finds what the run it repeats had fetched."""
    return warehouse.load(
        context.partition_key,
        run_id=context.run.run_id,
        staging=context.run.root_run_id or context.run.run_id,
        options=allowances.options() if allowances is not None else None,
    )


def _batches(plan: WorkPlan) -> int:
    return max(1, min(MOST_BATCHES, -(-plan.size // RECORDS_IN_BATCH)))
