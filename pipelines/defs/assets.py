"""All assets of the load, for the projects of a configuration.

Projects are partitions, one run per project. Steps return counts only, because Dagster stores what they return in clear
text; participants' rows are in the run's staging folder. Not here: what the steps do (pipelines.sync, which works
without Dagster), the write-back's assets (writeback.py).
"""

import dagster as dg

from pipelines.config.settings import Config
from pipelines.defs.published import make_published, make_record_changes
from pipelines.defs.records import make_records
from pipelines.defs.structure import make_structure


def make_assets(config: Config) -> list[dg.AssetsDefinition]:
    """The assets for the projects of this configuration."""
    partitions = dg.StaticPartitionsDefinition(list(config.projects))
    return [
        make_structure(partitions),
        make_records(partitions),
        make_record_changes(partitions),
        make_published(partitions),
    ]
