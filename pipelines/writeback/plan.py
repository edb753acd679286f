"""Plan a write-back: decide about every open proposal, and send nothing."""

from __future__ import annotations

import time

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import Now, Sleep, new_run_id, utc_now
from pipelines.writeback.report import Plan, WritebackOptions
from pipelines.writeback.session import Writeback


def plan_writeback(
    config: Config,
    project: ProjectConfig,
    *,
    options: WritebackOptions | None = None,
    run_id: str | None = None,
    now: Now = utc_now,
    sleep: Sleep = time.sleep,
) -> Plan:
    """Decide about every open proposal by what REDCap holds now, and keep the decisions with them; sends nothing."""
    work = Writeback(config, project, run_id=run_id or new_run_id(now), options=options, now=now, sleep=sleep)
    with work.opened() as desk:
        return desk.plan()
