"""The jobs of each project: the night, and the way back."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.writeback import GROUP as WRITEBACK_GROUP

NIGHTLY = "nightly_load"
WRITEBACK = "write_back"


def make_job() -> dg.UnresolvedAssetJobDefinition:
    """All assets of one project, in process: a step costs a tenth of a second so, and seconds otherwise."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all() - dg.AssetSelection.groups(WRITEBACK_GROUP),
        executor_def=dg.in_process_executor,
        description="The whole night of one REDCap project: structure, records, checks, publish.",
    )


def make_writeback_job() -> dg.UnresolvedAssetJobDefinition:
    """Open proposals of one project back into REDCap; nobody runs it but people, and it is a dry run unless told."""
    return dg.define_asset_job(
        WRITEBACK,
        selection=dg.AssetSelection.groups(WRITEBACK_GROUP),
        executor_def=dg.in_process_executor,
        description="Compare proposed values with REDCap, and with `apply` write them, read them back, journal them.",
    )
