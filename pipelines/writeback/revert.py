"""Undo what a batch wrote, by proposals of the opposite."""

from __future__ import annotations

import time
from dataclasses import replace

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import Now, Sleep, new_run_id, utc_now
from pipelines.writeback.report import Outcome, Plan, Step, WritebackOptions, no_step, reverse_name
from pipelines.writeback.session import Writeback


def revert_writeback(
    config: Config,
    project: ProjectConfig,
    batch: str,
    *,
    apply: bool = False,
    author: str = "",
    options: WritebackOptions | None = None,
    run_id: str | None = None,
    now: Now = utc_now,
    sleep: Sleep = time.sleep,
    step: Step = no_step,
) -> Plan | Outcome:
    """Undo what a batch wrote, through the same gate: a cell that somebody changed since is a conflict and stays.

    The inverse proposals are a batch of their own, made when it is asked for, be it to plan or to apply, and made anew
    when the batch has written more since.
    """
    work = Writeback(
        config,
        project,
        run_id=run_id or new_run_id(now),
        options=replace(options or WritebackOptions(), batch=reverse_name(batch)),
        now=now,
        sleep=sleep,
        step=step,
    )
    with work.opened() as desk:
        if apply:
            return desk.apply(lambda: desk.propose_reverse(batch, author))
        desk.propose_reverse(batch, author)
        return desk.plan()
