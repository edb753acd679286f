"""Publishes what a plan, a write-back or a withdrawal recorded, so that readers of the warehouse see it."""

from __future__ import annotations

from pipelines.config.settings import Config, ProjectConfig
from pipelines.store import open_store
from pipelines.writeback.report import Done


def publish_results(config: Config, project: ProjectConfig, done: Done) -> bool:
    """Publish what a run did, if the load it builds on is published too; returns whether it did."""
    if not done.to_publish:
        return False
    with open_store(config) as store:
        store.marks.mark_loaded(project.name, done.run_id)
        return project.name in store.published.publish().projects
