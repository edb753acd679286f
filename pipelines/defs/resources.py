"""The resource of all assets: the path of projects.yaml. No token is in any resource, field or run config.

Not here: tokens, which each step that needs one reads from the place that projects.yaml names.
"""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from pipelines.config.load import load_config
from pipelines.config.settings import Config
from pipelines.run import ProjectRun
from pipelines.store import open_store
from pipelines.warehouse.store.protocol import Store


class WarehouseResource(dg.ConfigurableResource[None]):
    """The warehouse that projects.yaml describes."""

    config_path: str = Field(
        default="", description="The projects.yaml to use; empty for $REDCAP_WAREHOUSE_CONFIG or ./projects.yaml."
    )

    def config(self) -> Config:
        """projects.yaml as it is now."""
        return load_config(self.config_path or None)

    def store(self) -> Store:
        """The store that projects.yaml describes; whoever opens it closes it."""
        return open_store(self.config())

    def run(self, project: str, *, run_id: str, staging: str) -> ProjectRun:
        """A run over one project; its steps find each other's files in the staging folder of that name."""
        config = self.config()
        return ProjectRun(config, config.project(project), run_id=run_id, staging=staging)
