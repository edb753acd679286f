"""The assets: each wraps steps of pipelines.sync that work without Dagster.

Projects are partitions, one run a project. What passes between steps are counts and references; participants' rows
lie in the run's staging folder, because Dagster keeps what steps return, in clear.
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
