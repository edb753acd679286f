"""Applies a write-back: decides, sends, reads back, and records what happened. `apply_open` is the whole sequence.

settle     cells of a run that was killed are read back before anything else
decide     every open proposal is compared with REDCap; a plan that is too large is refused
send       batch by batch: read again, record as intended, import, read back
refresh    written records into the mirror, with their outcomes, in one transaction
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import Now, Sleep, new_run_id, utc_now
from pipelines.warehouse.tables.writeback import Status
from pipelines.writeback.decide.cells import PlannedCell, counts
from pipelines.writeback.plan import decide_now, find_refusal, open_proposals, save_decisions
from pipelines.writeback.report import Outcome, WritebackOptions
from pipelines.writeback.send.read_back import ReadBack
from pipelines.writeback.send.refresh import Refresh
from pipelines.writeback.send.requests import in_batches
from pipelines.writeback.send.sender import Sender
from pipelines.writeback.send.tally import Tally
from pipelines.writeback.session import Session, Step, no_step, open_session


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
    """Decide, send, read back and record; proposals that cannot be written keep the reason.

    Raises WritebackRefused before anything is sent, WritebackStopped if sending ended early. Whatever happens, the
    journal has every cell that may have been saved, and the next call begins by reading those back.
    """
    opened = open_session(
        config, project, run_id=run_id or new_run_id(now), options=options, now=now, sleep=sleep, step=step
    )
    with opened as session:
        return apply_open(session)


def apply_open(session: Session, prepare: Callable[[], None] = lambda: None) -> Outcome:
    """Run the whole write-back, recorded in the ledger; `prepare` is called once earlier runs are settled."""
    with session.recorded():
        rules, tally = session.read_rules(), Tally()
        refresh = Refresh(session, rules, tally)
        read_back = ReadBack(session, rules, refresh, tally)
        read_back.settle_earlier_runs()
        prepare()
        proposals = open_proposals(session)
        planned = decide_now(session, rules, proposals)
        if refusal := find_refusal(session, rules, planned):
            raise refusal
        final = {item.proposal.number: item for item in planned}
        sender = Sender(session, rules, read_back, refresh, tally)
        with refresh.saved_at_end():
            for batch in in_batches([item for item in planned if item.writes]):
                final |= {item.proposal.number: item for item in sender.send(batch)}
                refresh.save_if_due()
        session.step("rule")
        batches = save_decisions(session, rules, proposals, list(final.values()), final=True)
    return _outcome(session, batches, list(final.values()), tally)


def _outcome(session: Session, batches: tuple[str, ...], final: Sequence[PlannedCell], tally: Tally) -> Outcome:
    return Outcome(
        project=session.project.name,
        run_id=session.run_id,
        batches=batches,
        counts=counts(final),
        sent=tally.sent,
        confirmed=tally.count(Status.CONFIRMED),
        failed=tally.count(Status.FAILED),
        not_confirmed=tally.count(Status.NOT_CONFIRMED),
        settled=tally.settled,
        messages=dict(tally.messages),
        rows_changed=tally.rows_changed,
        to_publish=session.may_publish(),
        requests=session.requests,
        seconds=session.seconds,
    )
