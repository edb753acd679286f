"""Apply a write-back: plan, send, read back, and publish what was done."""

from __future__ import annotations

import time

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import Now, Sleep, new_run_id, utc_now
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published.publish import publish
from pipelines.writeback.report import Done, Outcome, Step, WritebackOptions, no_step
from pipelines.writeback.session import Writeback


def apply_writeback(
    config: Config,
    project: ProjectConfig,
    *,
    options: WritebackOptions | None = None,
    run_id: str | None = None,
    now: Now = utc_now,
    sleep: Sleep = time.sleep,
    step: Step = no_step,
) -> Outcome:
    """Plan, send, look and account; proposals that cannot be written are left with their reasons.

    Raises WritebackRefused before anything is sent, WritebackStopped or what stopped it otherwise; whatever happens,
    the journal knows every cell that may have been sent, and the next call begins by looking at those.
    """
    work = Writeback(
        config, project, run_id=run_id or new_run_id(now), options=options, now=now, sleep=sleep, step=step
    )
    with work.opened() as desk:
        return desk.apply()


def show(config: Config, project: ProjectConfig, done: Done) -> bool:
    """Publish what a run did, where the load it builds on is published too; whether it did."""
    if not done.to_publish:
        return False
    folder = WarehouseFolder(config.warehouse)
    folder.mark_loaded(project.name, done.run_id)
    return project.name in publish(folder, memory_limit=config.memory_limit, configured=config.projects).projects
