"""The assets of a project's structure, one for each of its tables. Not here: the records (records.py)."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from pipelines.defs.asset_specs import OWNERS, PREFIX, RETRY, LoadConfig, columns_of, key, markdown_table, project_run
from pipelines.defs.failures import as_dagster_failure
from pipelines.defs.resources import WarehouseResource
from pipelines.run import ProjectRun
from pipelines.sync.handoff import save_plan
from pipelines.sync.plan import WorkPlan
from pipelines.sync.prepare import prepare
from pipelines.sync.recording import record_end, record_start
from pipelines.sync.reports import LoadOptions, StructureReport

STRUCTURE = {
    "project_info": ("projects", "The project's settings, and what the token may see of it."),
    "data_dictionary": ("data_dictionary", "Every field with its label, type, choices and validation: the codebook."),
    "events": ("events", "The events of a longitudinal project, in order; empty for a classic one."),
    "form_event_mapping": ("form_event_mapping", "Which instrument is designated for which event."),
    "users": ("users", "Who may do what in the project, as far as the token may read it."),
}


def make_structure(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="structure",
        specs=[
            dg.AssetSpec(
                key(name),
                description=description,
                group_name=PREFIX,
                kinds={"redcap", "duckdb"},
                owners=OWNERS,
                metadata={"dagster/table_name": f"redcap.{table}", "dagster/column_schema": columns_of(table)},
            )
            for name, (table, description) in STRUCTURE.items()
        ],
        partitions_def=partitions,
        retry_policy=RETRY,
    )
    def structure(
        context: dg.AssetExecutionContext, config: LoadConfig, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Preflight, structure and the plan of the load; no record is written."""
        records_follow = key("records") in context.job_def.asset_layer.executable_asset_keys
        with project_run(context, warehouse) as run, as_dagster_failure(run):
            _, report = read_structure(run, config.options(), records_follow=records_follow)
        context.log.info("%s: %s fields in %s instruments", context.partition_key, report.fields, report.instruments)
        context.log.info("%s: %s", context.partition_key, _how_read(report))
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


def read_structure(
    run: ProjectRun, options: LoadOptions, *, records_follow: bool = True
) -> tuple[WorkPlan, StructureReport]:
    """The first step of the load; its plan is saved for the next ones if `records_follow`."""
    with run.mirror(goes_on=records_follow) as mirror, run.client() as client:
        record_start(run, mirror)
        try:
            with run.verifier() as verifier:
                plan, report = prepare(run, client, mirror, verifier, options)
        except BaseException:
            run.folder.clear_staging(run.project.name)
            raise
        if records_follow:
            # The plan names records, so it is on disk only as long as another step needs it.
            save_plan(run, plan)
        else:
            # An answer with a record in it is no longer needed.
            run.folder.clear_staging(run.project.name)
            message = "Load the records too; then it can be published."
            record_end(run, mirror, "structure only", message, calls=client.calls)
    return plan, report


def _how_read(report: StructureReport) -> str:
    if report.read:
        return "All of it was read in this load."
    return (
        "The version, the settings, the dictionary and, where permitted, the users were read and are as in the last "
        "load. REDCap's log shows that the rest did not change since, so it was not read again."
    )


def _structure_metadata(name: str, count: int, report: StructureReport) -> Mapping[str, Any]:
    metadata: dict[str, Any] = {"dagster/partition_row_count": count, "structure": _how_read(report)}
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
