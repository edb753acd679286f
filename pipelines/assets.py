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

from pipelines.config import Config
from pipelines.failures import failing_plainly
from pipelines.resources import WarehouseResource
from pipelines.sync import Load, LoadReport, StructureReport, WorkPlan
from pipelines.warehouse.audit import rows_by_instrument
from pipelines.warehouse.catalog import table_columns
from pipelines.warehouse.publish import publish
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


def key(name: str) -> dg.AssetKey:
    """The asset's key: everything of this location stands under `redcap`."""
    return dg.AssetKey([PREFIX, name])


def make_assets(config: Config) -> list[dg.AssetsDefinition]:
    """The assets for the projects of this configuration."""
    partitions = dg.StaticPartitionsDefinition(list(config.projects))
    return [_structure(partitions), _records(partitions), _published(partitions)]


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
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Preflight, structure and the plan of the night; no record is touched."""
        load = warehouse.load(context.partition_key, _run_id(context))
        with failing_plainly(load):
            _, report = _read_structure(load)
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


def _read_structure(load: Load) -> tuple[WorkPlan, StructureReport]:
    with load.mirror() as mirror, load.client() as client:
        mirror.begin_run(load.stamp.run_id, "full", load.now())
        plan, report = load.structure(client, mirror)
        load.keep_plan(plan)
    return plan, report


def _structure_metadata(name: str, count: int, report: StructureReport) -> Mapping[str, Any]:
    metadata: dict[str, Any] = {"dagster/row_count": count}
    if name == "project_info":
        metadata |= {
            "redcap_version": report.redcap_version,
            "not_readable": ", ".join(report.not_readable) or "nothing",
            "hidden_fields": len(report.hidden_fields),
        }
    if name == "data_dictionary":
        metadata |= {"instruments": report.instruments, "changes": len(report.drift)}
        if report.drift:
            lines = [f"| {d.change} | {d.kind} | {d.name} |" for d in report.drift[:100]]
            metadata["drift"] = dg.MetadataValue.md("\n".join(["| change | kind | name |", "|---|---|---|", *lines]))
    return metadata


def _columns_of(table: str) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in table_columns(table)])


# -- records -------------------------------------------------------------------------------------------------


@dg.op(
    ins={name: dg.In(dg.Nothing) for name in STRUCTURE},
    out=dg.DynamicOut(int),
    description="Which records to fetch, in batches; a batch is a number here, its records are in the staging folder.",
    retry_policy=RETRY,
)
def plan_batches(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.DynamicOutput[int]]:
    """The night's work in batches; structure is read here only if it is not part of this run."""
    load = warehouse.load(context.partition_key, _run_id(context))
    with failing_plainly(load):
        plan = load.read_plan() if load.has_plan() else _read_structure(load)[0]
    batches = _batches(plan)
    context.log.info("%s records in %s batches", len(plan.records), batches)
    for number in range(batches):
        yield dg.DynamicOutput(number, mapping_key=f"{number:03d}")


@dg.op(description="One batch of records, in chunks proven whole, into the staging folder.", retry_policy=RETRY)
def fetch(context: dg.OpExecutionContext, warehouse: WarehouseResource, batch: int) -> dict[str, Any]:
    """Fetch one batch; what is returned are counts."""
    load = warehouse.load(context.partition_key, _run_id(context))
    with failing_plainly(load):
        plan = load.read_plan()
        batches = _batches(plan)
        with load.client() as client:
            fetched = load.fetch(client, plan, plan.batch(batch, batches), f"batch{batch:03d}")
            report = load.keep_fetched(batch, fetched)
            calls = client.calls
    context.log.info("batch %s of %s: %s of %s records", batch + 1, batches, report.records, len(plan.records))
    return {**asdict(report), "requests": calls.requests, "seconds": calls.seconds}


@dg.op(description="Proven chunks into the project's mirror; the watermark last.", pool="redcap_apply")
def apply(
    context: dg.OpExecutionContext, warehouse: WarehouseResource, batches: list[dict[str, Any]]
) -> dg.Output[None]:
    """Apply what was fetched, in bounded transactions."""
    load = warehouse.load(context.partition_key, _run_id(context))
    began = time.monotonic()
    with failing_plainly(load):
        plan = load.read_plan()
        with load.mirror() as mirror:
            tally = load.apply(mirror, plan, load.read_fetched(len(batches)))
            report = load.finish(mirror, plan, tally)
            seconds = time.monotonic() - began + sum(batch["seconds"] for batch in batches)
            calls = Calls(requests=sum(batch["requests"] for batch in batches), bytes=report_bytes(batches))
            load.end(mirror, report.outcome, report.message, seconds, calls)
        rows = rows_by_instrument(load.folder, context.partition_key)
    if report.message:
        context.log.warning(report.message)
    return dg.Output(None, metadata=_records_metadata(report, rows, seconds, calls))


def report_bytes(batches: Sequence[Mapping[str, Any]]) -> int:
    """Bytes received by all batches."""
    return sum(int(batch["bytes"]) for batch in batches)


def _records(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.graph_asset(
        key=key("records"),
        ins={name: dg.AssetIn(key(name), dagster_type=dg.Nothing) for name in STRUCTURE},
        partitions_def=partitions,
        group_name=PREFIX,
        kinds={"redcap", "duckdb"},
        owners=OWNERS,
        description=(
            "Every record of the project, one table per instrument: fetched in chunks, each proven whole, and applied "
            "to the project's mirror. Only rows that differ are written, and every changed cell is traced."
        ),
    )
    def records(**structure: Any) -> Any:
        return apply(plan_batches(**structure).map(fetch).collect())

    return records


def _records_metadata(report: LoadReport, rows: Mapping[str, int], seconds: float, calls: Calls) -> dict[str, Any]:
    lines = [f"| {name} | {count:,} |" for name, count in rows.items()]
    metadata: dict[str, Any] = {
        "dagster/row_count": sum(rows.values()),
        "records": report.records_in_redcap,
        "records_loaded": report.records_loaded,
        "records_deleted": report.records_deleted,
        "records_quarantined": report.records_quarantined,
        "rows_inserted": report.rows_inserted,
        "rows_updated": report.rows_updated,
        "rows_deleted": report.rows_deleted,
        "rows_unchanged": report.rows_unchanged,
        "cells": report.cells,
        "invalid_values": report.invalid_values,
        "bytes": calls.bytes,
        "requests": calls.requests,
        "chunks": report.chunks,
        "seconds": round(seconds, 2),
        "rows_by_instrument": dg.MetadataValue.md("\n".join(["| instrument | rows |", "|---|---:|", *lines])),
    }
    if report.watermark is not None:
        metadata["watermark_utc"] = f"{report.watermark:%Y-%m-%d %H:%M:%S}"
    return metadata


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
        description=(
            "warehouse.duckdb, the database readers open, put in place in one step. A publish takes up every project "
            "that was loaded since the last one."
        ),
    )
    def published(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Publish what is loaded."""
        with failing_plainly():
            load = warehouse.load(context.partition_key, _run_id(context))
            result = publish(load.folder, memory_limit=load.config.memory_limit)
            rows = rows_by_instrument(load.folder, context.partition_key)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(rows.values()),
                "dagster/uri": str(load.folder.database),
                "dagster/table_name": f"warehouse.{context.partition_key}",
                "projects_taken_up": len(result.projects),
                "instruments_copied": result.instruments_copied,
                "database_bytes": result.bytes,
            }
        )

    return published


def _run_id(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> str:
    # Re-executed runs find what the first one fetched.
    return context.run.root_run_id or context.run.run_id


def _batches(plan: WorkPlan) -> int:
    return max(1, min(MOST_BATCHES, -(-len(plan.records) // RECORDS_IN_BATCH)))
