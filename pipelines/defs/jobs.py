"""The jobs of each project: the load, and write-back.

Not here: when they run (schedules.py), the job that publishes for all projects (publish_job.py).
"""

from __future__ import annotations

import dagster as dg

from pipelines.defs.writeback import GROUP as WRITEBACK_GROUP

NIGHTLY = "nightly_load"
WRITEBACK = "write_back"


def make_job() -> dg.UnresolvedAssetJobDefinition:
    """All assets of one project, in one process: a step in its own process would cost seconds, not a tenth of one."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all() - dg.AssetSelection.groups(WRITEBACK_GROUP),
        executor_def=dg.in_process_executor,
        description="The whole load of one REDCap project: structure, records, checks, publish. A run that was started "
        "by hand publishes at once; a scheduled one leaves it to the job `publish`.",
    )


def make_writeback_job() -> dg.UnresolvedAssetJobDefinition:
    """Write the open proposals of one project to REDCap. Started by hand; a dry run unless `apply` is set."""
    return dg.define_asset_job(
        WRITEBACK,
        selection=dg.AssetSelection.groups(WRITEBACK_GROUP),
        executor_def=dg.in_process_executor,
        description="Compare proposed values with REDCap, and with `apply` write them, read them back, journal them.",
    )
