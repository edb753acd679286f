"""Reverts a batch: proposes the values its cells had before, in a batch of their own, then plans or applies that."""

from __future__ import annotations

import time
from dataclasses import replace

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import Now, Sleep, new_run_id, utc_now
from pipelines.warehouse.tables.writeback import Proposal
from pipelines.writeback.apply import apply_open
from pipelines.writeback.errors import WritebackRefused
from pipelines.writeback.plan import make_plan
from pipelines.writeback.report import Outcome, Plan, WritebackOptions
from pipelines.writeback.session import Session, Step, no_step, open_session


def reverse_name(batch: str) -> str:
    """Return the name of the batch that undoes another."""
    return f"revert {batch}"


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
    """Undo what a batch wrote, with the same checks: a cell that somebody changed since is a conflict and is kept.

    The inverse proposals are a batch of their own, which is made to plan as well as to apply, and made again when the
    batch has written more since. Raises what plan_writeback and apply_writeback raise, and WritebackRefused if the
    batch does not exist or wrote nothing that could be undone.
    """
    opened = open_session(
        config,
        project,
        run_id=run_id or new_run_id(now),
        options=replace(options or WritebackOptions(), batch=reverse_name(batch)),
        now=now,
        sleep=sleep,
        step=step,
    )
    with opened as session:
        if apply:
            return apply_open(session, lambda: propose_reverse(session, batch, author))
        propose_reverse(session, batch, author)
        return make_plan(session)


def propose_reverse(session: Session, batch: str, author: str) -> None:
    """Propose what undoes a batch as it is now; proposals that say the same already are kept."""
    names, reverse = session.proposals.batch_names(), reverse_name(batch)
    cells = session.proposals.undoing(batch, reverse) if batch in names else []
    if not cells and reverse not in names:
        what = "wrote nothing that could be undone" if batch in names else "is not known"
        raise WritebackRefused(
            project=session.project.name,
            problem=f"the batch {batch} {what}.",
            remedy="writeback.batches lists all batches and their counts.",
        )
    present = session.proposals.open_proposals(reverse)
    is_same = {(each.cell, each.seen, each.new) for each in present} == set(cells)
    if is_same and not any(each.ruled_out for each in present):
        return
    proposals = [
        Proposal(0, reverse, cell, after, before, f"revert of {batch}", author) for cell, after, before in cells
    ]
    with session.mirror.transaction():
        session.proposals.supersede_open(reverse)
        session.proposals.add(
            proposals, batch=reverse, author=author, source="revert", now=session.now(), reverts=batch
        )
