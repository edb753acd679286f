"""The asset `records`: plan the batches, fetch them, apply them. Not here: the steps themselves (pipelines.sync)."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg

from pipelines.defs.asset_specs import OWNERS, PREFIX, RETRY, LoadConfig, key, markdown_table, project_run
from pipelines.defs.failures import as_dagster_failure
from pipelines.defs.resources import WarehouseResource
from pipelines.defs.structure import STRUCTURE, read_structure
from pipelines.run import ProjectRun
from pipelines.sync.apply import apply as apply_fetched
from pipelines.sync.fetch import fetch as fetch_parts
from pipelines.sync.fetch import search_first
from pipelines.sync.finish import finish
from pipelines.sync.handoff import check_newest, has_plan, read_fetched, resume, save_fetched, save_plan
from pipelines.sync.plan import WorkPlan
from pipelines.sync.recording import record_end
from pipelines.sync.reports import LoadReport
from pipelines.warehouse.published.quality import rows_by_instrument
from pipelines.wording import counted
from redcap_source import Calls

# A Dagster step costs a tenth of a second, so each step fetches this many records, in several chunks.
RECORDS_IN_BATCH = 1000


MOST_BATCHES = 24


@dg.op(
    ins={name: dg.In(dg.Nothing) for name in STRUCTURE},
    out=dg.DynamicOut(int),
    description="Which records to fetch, in batches; a batch is a number here, its records are in the staging folder.",
    retry_policy=RETRY,
)
def plan_batches(
    context: dg.OpExecutionContext, config: LoadConfig, warehouse: WarehouseResource
) -> Iterator[dg.DynamicOutput[int]]:
    """The load's work in batches; the structure is read here only if it is not part of this run."""
    with project_run(context, warehouse) as run, as_dagster_failure(run):
        plan = resume(run) if has_plan(run) else read_structure(run, config.options())[0]
        batches = _batches(plan)
        if batches > 1 and not plan.searched:
            with run.client() as client, run.verifier() as verifier:
                plan = search_first(run, client, verifier, plan)
            save_plan(run, plan)
    context.log.info("%s: %s records in %s batches, about %s requests", plan.mode, plan.size, batches, plan.requests)
    for number in range(batches):
        yield dg.DynamicOutput(number, mapping_key=f"{number:03d}")


@dg.op(description="Fetch one batch of records into the staging folder, in verified chunks.", retry_policy=RETRY)
def fetch(context: dg.OpExecutionContext, warehouse: WarehouseResource, batch: int) -> dict[str, Any]:
    """Fetch one batch; returns counts."""
    with project_run(context, warehouse) as run, as_dagster_failure(run):
        plan = resume(run)
        counts = _fetch(run, plan, batch)
    context.log.info("batch %s of %s: %s of %s records", batch + 1, _batches(plan), counts["records"], plan.size)
    return counts


def _fetch(run: ProjectRun, plan: WorkPlan, batch: int) -> dict[str, Any]:
    with run.client() as client, run.verifier() as verifier:
        parts = plan.batch(batch, _batches(plan))
        fetched = fetch_parts(run, client, verifier, plan, parts, prefix=f"batch{batch:03d}")
        report = save_fetched(run, batch, fetched)
        return {**asdict(report), **asdict(client.calls)}


# No pool: all projects would share it. Runs of one project are kept apart by the tags of schedules.py.
@dg.op(description="Apply verified chunks to the project's mirror; the watermark last.", retry_policy=RETRY)
def apply(
    context: dg.OpExecutionContext, warehouse: WarehouseResource, batches: list[dict[str, Any]]
) -> dg.Output[None]:
    """Apply what was fetched, in bounded transactions."""
    began = time.monotonic()
    with project_run(context, warehouse) as run, as_dagster_failure(run):
        plan = resume(run)
        # A run that Dagster repeats from where it failed leaves out the steps of batches that had not begun.
        missing = sorted(set(range(_batches(plan))).difference(batch["batch"] for batch in batches))
        if missing:
            context.log.info("%s fetched here, as Dagster left out their steps", counted(len(missing), "batch"))
        calls = _all_calls(plan, [*batches, *(_fetch(run, plan, batch) for batch in missing)])
        with run.mirror() as mirror:
            check_newest(run, mirror)
            tally = apply_fetched(run, mirror, plan, read_fetched(run, _batches(plan)), keep_answers=True)
            report = finish(run, mirror, plan, tally)
            seconds = time.monotonic() - began + calls.seconds
            record_end(run, mirror, report.outcome, report.message, seconds, calls)
        rows = rows_by_instrument(run.store, context.partition_key)
    if report.message:
        context.log.warning(report.message)
    return dg.Output(None, metadata=_records_metadata(report, rows, seconds, calls))


def _all_calls(plan: WorkPlan, batches: Sequence[Mapping[str, Any]]) -> Calls:
    """The requests of the structure step and of all batches together."""
    steps = [asdict(plan.calls), *batches]
    return Calls(**{name: sum(step[name] for step in steps) for name in asdict(plan.calls)})


def make_records(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.graph_asset(
        key=key("records"),
        ins={name: dg.AssetIn(key(name), dagster_type=dg.Nothing) for name in STRUCTURE},
        partitions_def=partitions,
        group_name=PREFIX,
        kinds={"redcap", "duckdb"},
        owners=OWNERS,
        # The launchpad offers the settings of the asset, not those of an operation inside it.
        config=dg.ConfigMapping(
            config_schema=LoadConfig.to_config_schema(), config_fn=lambda given: {"plan_batches": {"config": given}}
        ),
        description=(
            "Every record of the project, one table per instrument: fetched in verified chunks, and applied to the "
            "project's mirror. Only rows that differ are written, and every changed cell is recorded."
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


def _batches(plan: WorkPlan) -> int:
    return max(1, min(MOST_BATCHES, -(-plan.size // RECORDS_IN_BATCH)))
