"""The code location `redcap`, as `dagster dev` and `dg dev` load it. Importing it reads nothing and connects to
nothing.

Not here: the assets, checks, jobs, schedules and sensors themselves (defs/).
"""

from __future__ import annotations

import dagster as dg

from pipelines.config.load import load_config
from pipelines.config.settings import Config


@dg.definitions
def definitions() -> dg.Definitions:
    """All definitions of this location, for the projects in projects.yaml.

    Without a usable projects.yaml the location fails to load and says why: an empty location would look like success.
    """
    return make_definitions(load_config())


def make_definitions(config: Config) -> dg.Definitions:
    """Assets, checks, jobs, schedule and sensor for the projects of a configuration."""
    from pipelines.defs.assets import make_assets
    from pipelines.defs.checks import make_checks
    from pipelines.defs.jobs import make_job, make_writeback_job
    from pipelines.defs.publish_job import make_publish_job
    from pipelines.defs.resources import WarehouseResource
    from pipelines.defs.schedules import make_schedule, make_sensor
    from pipelines.defs.shared.dead_runs import make_dead_runs
    from pipelines.defs.shared.lake_maintenance import make_maintenance
    from pipelines.defs.writeback import make_writeback_assets

    job = make_job()
    maintenance, weekly = make_maintenance(config)
    return dg.Definitions(
        assets=[*make_assets(config), *make_writeback_assets(config)],
        asset_checks=make_checks(config),
        jobs=[job, make_writeback_job(), make_publish_job(), *maintenance],
        schedules=[make_schedule(config, job), *weekly],
        sensors=[make_sensor(config), *make_dead_runs(config)],
        # A step in its own process takes seconds to start; runs are parallel, steps are not.
        executor=dg.in_process_executor,
        resources={"warehouse": WarehouseResource(config_path=str(config.path), shared=config.store is not None)},
    )
