"""The job `lake_maintenance` and its weekly schedule: the published lake stays small.

Not here: the maintenance itself (warehouse/lake/maintenance.py).
"""

# No postponed annotations here: Dagster reads them when it decorates.
from dataclasses import asdict

import dagster as dg

from pipelines.config.settings import Config
from pipelines.defs.asset_specs import RETRY
from pipelines.defs.failures import as_dagster_failure
from pipelines.defs.publish_job import POOL
from pipelines.defs.resources import WarehouseResource

MAINTENANCE = "lake_maintenance"
# A time at which few load and few read.
SUNDAY_NOON = "0 12 * * 0"


def make_maintenance(config: Config) -> tuple[list[dg.JobDefinition], list[dg.ScheduleDefinition]]:
    """The job and its schedule; none where the warehouse is files, which publishing compacts itself."""
    if config.store is None:
        return [], []

    @dg.job(
        name=MAINTENANCE,
        executor_def=dg.in_process_executor,
        description="Merge small files of the lake, end snapshots that are older than 30 days, and delete files that "
        "no snapshot needs. Readers notice nothing, and what is published stays as it is.",
    )
    def maintain_lake() -> None:
        maintain()

    schedule = dg.ScheduleDefinition(
        name=MAINTENANCE,
        job=maintain_lake,
        cron_schedule=SUNDAY_NOON,
        execution_timezone=config.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Weekly. Another time can be set by a schedule of your own for the job.",
    )
    return [maintain_lake], [schedule]


# In the pool, so that it does not wait for a publish with the place of a run.
@dg.op(description="Maintain the lake; no publish goes on meanwhile.", pool=POOL, retry_policy=RETRY)
def maintain(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> dg.Output[None]:
    """Maintain the lake, and report counts."""
    from pipelines.warehouse.store.published_lake import PublishedLake

    with as_dagster_failure(), warehouse.store() as store:
        if not isinstance(store.published, PublishedLake):
            raise dg.Failure("projects.yaml has no `store:` any more.", allow_retries=False)
        done = store.published.maintain()
    context.log.info("%s snapshots and %s files; %s files deleted", done.snapshots, done.files, done.deleted)
    return dg.Output(None, metadata=asdict(done))
