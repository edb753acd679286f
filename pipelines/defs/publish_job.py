"""The job `publish`: one publish for all projects that a night has loaded, and what it reports to Dagster for each.

Not here: when it runs (schedules.py), the publish itself (warehouse/publishing/publish.py).
"""

# No postponed annotations here: Dagster reads them when it decorates.
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from pipelines.defs.asset_specs import RETRY, key
from pipelines.defs.checks import published_checks
from pipelines.defs.failures import as_dagster_failure
from pipelines.defs.resources import WarehouseResource
from pipelines.errors import NotAllPublished, WarehouseBusy
from pipelines.warehouse.manifest import PublishedProject
from pipelines.warehouse.published.quality import published_records
from pipelines.warehouse.store.protocol import PublishedStore, Store
from pipelines.warehouse.store.results import Published
from pipelines.wording import counted

PUBLISH = "publish"
# One process publishes at a time.
POOL = "redcap_publish"
# The label under which a materialization of `published` names the load that readers find.
LOAD = "load_run"


def make_publish_job() -> dg.JobDefinition:
    """The job that publishes for all projects of a night."""

    @dg.job(
        name=PUBLISH,
        executor_def=dg.in_process_executor,
        description="Publish every project that waits for it. The sensor `publish_night` starts it; it may be started "
        "by hand at any time.",
    )
    def publish_all() -> None:
        publish_night()

    return publish_all


@dg.op(
    description="Publish once, and report each project that readers find now.",
    pool=POOL,
    retry_policy=RETRY,
    out=dg.Out(dg.Nothing),
)
def publish_night(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
    """Publish once; then materialize `published` for each project of which readers find a newer load than before."""
    with as_dagster_failure(), warehouse.store() as store:
        done, problem = publish_marked(context, store.published)
        failed = _report(context, store, warehouse.config().projects, done)
    if problem is not None:
        failed = [str(problem), *failed]
    if failed:
        # A failed run reaches those who watch for failed runs; a failed check alone does not.
        raise dg.Failure("\n".join(failed), allow_retries=False)


def publish_marked(
    context: dg.OpExecutionContext, published: PublishedStore
) -> tuple[Published, NotAllPublished | None]:
    """Publish all that waits; returns what was done, and the error for projects that could not be published."""
    problem = None
    try:
        done = published.publish()
    except NotAllPublished as found:
        problem = found
        done = Published(found.published, found.failed, found.left_out, found.rebuilt)
    if done.rebuilt:
        context.log.warning("%s was made again from the projects' mirrors: %s.", published.name, done.rebuilt)
    return done, problem


def metadata_of(published: PublishedStore, project: str, entry: PublishedProject, done: Published) -> Mapping[str, Any]:
    """What a materialization of `published` says: counts and names only."""
    metadata = {
        LOAD: entry.run,
        "dagster/partition_row_count": entry.rows,
        "dagster/uri": published.place,
        "dagster/table_name": f"warehouse.{project}",
        "projects_taken_up": len(done.projects),
        "database_bytes": published.size(),
        "new_file": done.written,
    }
    if done.rebuilt:
        metadata["made_again_because"] = done.rebuilt
    return metadata


def unreported_loads(instance: dg.DagsterInstance, runs: Mapping[str, str]) -> list[str]:
    """The projects whose published load is of a run of this instance, and newer than the load last reported.

    `runs` is the published load of each project. A publish may take up loads of other runs, and may be killed before it
    has reported them; so this compares states and does not follow events.
    """
    known = known_runs(instance, runs.values())
    reported = _reported(instance, [project for project, run in runs.items() if run in known])
    return [project for project, run in runs.items() if run in known and reported.get(project) != run]


def known_runs(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> dict[str, dg.DagsterRun]:
    """Those of the runs that are runs of this instance; loads by the command line are not."""
    wanted = sorted(set(run_ids))
    found = instance.get_runs(dg.RunsFilter(run_ids=wanted)) if wanted else []
    return {run.run_id: run for run in found}


def _reported(instance: dg.DagsterInstance, projects: list[str]) -> dict[str, str]:
    """The load that the last materialization of each project names."""
    loads = {}
    for project in projects:
        wanted = dg.AssetRecordsFilter(key("published"), asset_partitions=[project])
        for record in instance.fetch_materializations(wanted, limit=1).records:
            if (event := record.asset_materialization) and LOAD in event.metadata:
                loads[project] = str(event.metadata[LOAD].value)
    return loads


def _report(context: dg.OpExecutionContext, store: Store, configured: Collection[str], done: Published) -> list[str]:
    """Report every project of which readers find a newer load; returns what the checks found that fails a run."""
    entries = {name: entry for name, entry in store.published.last().items() if name in configured}
    projects = unreported_loads(context.instance, {name: entry.run for name, entry in entries.items()})
    records = published_records(store) if projects else {}
    failed = []
    for project in projects:
        try:
            results = published_checks(store, project, records)
        except WarehouseBusy:
            context.log.warning("%s is being loaded, so its checks were left out: that load makes them.", project)
            results = {}
        metadata = metadata_of(store.published, project, entries[project], done)
        context.log_event(dg.AssetMaterialization(key("published"), partition=project, metadata=metadata))
        for name, result in results.items():
            # Dagster's type hint leaves out what its code takes.
            context.log_event(_evaluation(context.instance, project, name, result))  # type: ignore[arg-type]
            if not result.passed:
                failed.append(f"{project}: {result.description}")
    context.log.info("readers find newer data of %s: %s", counted(len(projects), "project"), ", ".join(projects))
    return failed


def _evaluation(
    instance: dg.DagsterInstance, project: str, name: str, result: dg.AssetCheckResult
) -> dg.AssetCheckEvaluation:
    """The result of a check as Dagster's own runs of it record it: for this partition, of its last materialization."""
    wanted = dg.AssetRecordsFilter(key("published"), asset_partitions=[project])
    [materialized] = instance.fetch_materializations(wanted, limit=1).records
    return dg.AssetCheckEvaluation(
        asset_key=key("published"),
        check_name=name,
        passed=result.passed,
        metadata=result.metadata,
        target_materialization_data=AssetCheckEvaluationTargetMaterializationData(
            storage_id=materialized.storage_id,
            run_id=materialized.run_id,
            timestamp=materialized.timestamp,
        ),
        severity=result.severity,
        description=result.description,
        blocking=True,
        partition=project,
    )
