"""Plans a write-back: decides about every open proposal, stores the decisions, and sends nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import Now, Sleep, new_run_id, utc_now
from pipelines.warehouse.tables.writeback import Proposal
from pipelines.writeback.decide.cells import CurrentValues, PlannedCell, count_records, counts
from pipelines.writeback.decide.decide import decide, precheck
from pipelines.writeback.decide.reasons import Reason
from pipelines.writeback.errors import WritebackRefused
from pipelines.writeback.guards import plan_refusal
from pipelines.writeback.project_rules import ProjectRules
from pipelines.writeback.report import Plan, WritebackOptions
from pipelines.writeback.session import Session, open_session


def plan_writeback(
    config: Config,
    project: ProjectConfig,
    *,
    options: WritebackOptions | None = None,
    run_id: str | None = None,
    now: Now = utc_now,
    sleep: Sleep = time.sleep,
) -> Plan:
    """Decide about every open proposal by what REDCap holds now, and store the decisions; sends nothing.

    Raises WritebackRefused if the project's last load does not allow a write-back, or the batch does not exist. A plan
    that would be refused as a whole is returned, with the refusal in it.
    """
    opened = open_session(config, project, run_id=run_id or new_run_id(now), options=options, now=now, sleep=sleep)
    with opened as session:
        return make_plan(session)


def make_plan(session: Session) -> Plan:
    """Decide about every open proposal, and store the decisions."""
    rules = session.read_rules()
    proposals = open_proposals(session)
    planned = decide_now(session, rules, proposals)
    batches = save_decisions(session, rules, proposals, planned, final=False)
    refusal = find_refusal(session, rules, planned)
    return Plan(
        project=session.project.name,
        run_id=session.run_id,
        counts=counts(planned),
        records=count_records(planned),
        batches=batches,
        unsettled=len(session.journal.intended()),
        refusal=str(refusal) if refusal else "",
        to_publish=session.may_publish(),
        requests=session.requests,
        seconds=session.seconds,
        decided=tuple(planned),
    )


def open_proposals(session: Session) -> list[Proposal]:
    """Return the open proposals of the batch that was asked for, or of all; refuses a batch that does not exist."""
    batch, names = session.options.batch, session.proposals.batch_names()
    if batch is not None and batch not in names:
        latest = ", ".join(names[-5:]) or "none"
        raise WritebackRefused(
            project=session.project.name,
            problem=f"there is no batch {batch}. The latest are: {latest}.",
            remedy="Propose something first, or name one of these.",
        )
    return session.proposals.open_proposals(batch)


def decide_now(session: Session, rules: ProjectRules, proposals: Sequence[Proposal]) -> list[PlannedCell]:
    """Decide about proposals by what REDCap holds now; in the order of their numbers."""
    checked, invalid = precheck(rules.rulebook, proposals)
    planned = decide_by(session, rules, checked, session.read_current(rules, checked))
    return sorted([*planned, *invalid], key=lambda item: item.proposal.number)


def decide_by(
    session: Session, rules: ProjectRules, cells: Sequence[PlannedCell], current: CurrentValues
) -> list[PlannedCell]:
    """Decide about cells by the values that were read."""
    allowed = session.options.new_records
    return decide(
        rules.rulebook,
        cells,
        current,
        today=session.now().date(),
        new_records=session.project.writeback.new_records if allowed is None else allowed,
    )


def find_refusal(session: Session, rules: ProjectRules, planned: Sequence[PlannedCell]) -> WritebackRefused | None:
    """Return why none of the planned cells may be sent; None if they may."""
    mirror = session.mirror
    return plan_refusal(session.project, session.options, rules, planned, lambda: len(mirror.state.known_records()))


def save_decisions(
    session: Session,
    rules: ProjectRules,
    proposals: Sequence[Proposal],
    planned: Sequence[PlannedCell],
    *,
    final: bool,
) -> tuple[str, ...]:
    """Store decisions with their proposals, and mark the batches as planned or, if `final`, applied; returns these."""
    batches = tuple(dict.fromkeys(proposal.batch for proposal in proposals))
    with session.mirror.transaction():
        rows = [item.decision_row for item in planned]
        session.proposals.save_decisions(rows, session.run_id, session.now(), final=final)
        _empty_withheld(session, rules)
        session.proposals.mark(batches, session.run_id, session.now(), applied=final)
    return batches


def _empty_withheld(session: Session, rules: ProjectRules) -> None:
    """Remove the values of proposals that the warehouse may not keep, and have the file rewritten without them."""
    rulebook = rules.rulebook
    if rulebook.identifiers:
        return
    if session.proposals.empty_withheld(rulebook.withholds, Reason.IDENTIFIER, session.run_id, session.now()):
        session.mirror.removed_values = True
