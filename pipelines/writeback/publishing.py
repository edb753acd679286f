"""Publishes what a plan, a write-back or a withdrawal recorded, so that readers of the warehouse see it."""

from __future__ import annotations

from pipelines.config.settings import Config, ProjectConfig
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publishing.publish import publish
from pipelines.writeback.report import Done


def publish_results(config: Config, project: ProjectConfig, done: Done) -> bool:
    """Publish what a run did, if the load it builds on is published too; returns whether it did."""
    if not done.to_publish:
        return False
    folder = WarehouseFolder(config.warehouse)
    folder.mark_loaded(project.name, done.run_id)
    published = publish(folder, memory_limit=config.memory_limit, configured=config.projects, sharing=config.published)
    return project.name in published.projects
