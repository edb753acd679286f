"""What happened to each cell that was sent, from what REDCap holds afterwards. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from pipelines.warehouse.tables.writeback import CellOutcome, Decision, JournalEntry, Proposal, Status
from pipelines.writeback.decide.cells import CurrentValues, PlannedCell, RowKey
from pipelines.writeback.decide.rulebook import Rulebook
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.decide.values import canonical, stored_as_sent
from pipelines.writeback.send.requests import sent_value

UNREADABLE = "REDCap does not let the token read this record, so its value is not known"
LANDED_ELSEWHERE = "REDCap put it into another record, whose id differs only in blanks, letter case or accents"
NEVER_ARRIVED = "it never arrived in REDCap"
CHANGED_BEFORE = "not sent: somebody changed it before"
OTHER_VALUE = "REDCap holds another value than was sent"
NO_SUCH_FIELD = "the project has no such field any more"


@dataclass(slots=True)
class SendResult:
    """What happened while a batch was sent, by the numbers of its proposals."""

    rejected: dict[int, str] = field(default_factory=dict)
    """Rejected by REDCap, with its message."""
    sent: set[int] = field(default_factory=set)
    """In a request that was sent, whatever its answer."""
    changed: set[int] = field(default_factory=set)
    """Not sent, because somebody changed the cell directly before."""


def outcome_of(
    rulebook: Rulebook, cell: PlannedCell, current: CurrentValues, result: SendResult, *, lost: bool
) -> CellOutcome | None:
    """Return what happened to a cell of this run; None if its request's answer was lost and it may still be saved."""
    number, rule = cell.proposal.number, rulebook.rules[cell.column]
    held = current.value(cell.key, cell.column)
    if number in result.rejected:
        return CellOutcome(number, Status.FAILED, held, result.rejected[number])
    if number in result.changed and number not in result.sent:
        return CellOutcome(number, Status.FAILED, held, CHANGED_BEFORE, closes=False)
    if cell.key.record in current.refused:
        return None if lost else CellOutcome(number, Status.NOT_CONFIRMED, "", UNREADABLE)
    if has_arrived(rulebook, cell, held):
        return _arrived(cell, current, held)
    if _same(rule, held, cell.current):
        return None if lost else CellOutcome(number, Status.NOT_CONFIRMED, held, NEVER_ARRIVED)
    return CellOutcome(number, Status.NOT_CONFIRMED, held, OTHER_VALUE)


def as_not_sent(outcome: CellOutcome, reason: str) -> CellOutcome:
    """Return a cell's outcome after REDCap refused the request for another reason; its proposal stays open."""
    if outcome.message != NEVER_ARRIVED:
        return outcome
    return replace(outcome, status=Status.FAILED, message=reason, closes=False)


def earlier_outcomes(
    rulebook: Rulebook, entries: Sequence[JournalEntry], cells: Sequence[PlannedCell], current: CurrentValues
) -> list[CellOutcome]:
    """Return what happened to the cells of a run that was killed; `cells` are the entries that still have a field."""
    known: Collection[str] = rulebook.rules.keys()
    gone = [entry for entry in entries if entry.cell.field not in known]
    return [
        *(earlier_outcome(rulebook, cell, current) for cell in cells),
        *(CellOutcome(entry.proposal, Status.NOT_CONFIRMED, "", NO_SUCH_FIELD) for entry in gone),
    ]


def earlier_outcome(rulebook: Rulebook, cell: PlannedCell, current: CurrentValues) -> CellOutcome:
    """Return what happened to a cell of a run that was killed; if it never reached REDCap, this run may send it."""
    number, held = cell.proposal.number, current.value(cell.key, cell.column)
    if cell.key.record in current.refused:
        return CellOutcome(number, Status.NOT_CONFIRMED, "", UNREADABLE)
    if has_arrived(rulebook, cell, held):
        return _arrived(cell, current, held)
    if _same(rulebook.rules[cell.column], held, cell.current):
        return CellOutcome(number, Status.FAILED, held, NEVER_ARRIVED, closes=False)
    return CellOutcome(number, Status.NOT_CONFIRMED, held, OTHER_VALUE)


def _arrived(cell: PlannedCell, current: CurrentValues, held: str) -> CellOutcome:
    """A cell that holds what was sent: confirmed, unless the value is in another record."""
    if cell.key.record in current.alike:
        return CellOutcome(cell.proposal.number, Status.NOT_CONFIRMED, held, LANDED_ELSEWHERE)
    return CellOutcome(cell.proposal.number, Status.CONFIRMED, held)


def has_arrived(rulebook: Rulebook, cell: PlannedCell, held: str) -> bool:
    """Whether REDCap holds what was sent for a cell."""
    rule = rulebook.rules[cell.column]
    return stored_as_sent(rule.kind, rule.validation, sent_value(rulebook, cell), held)


def is_untouched(rulebook: Rulebook, cell: PlannedCell, current: CurrentValues) -> bool:
    """Whether a cell holds what it held before it was sent, and not what was sent."""
    held = current.value(cell.key, cell.column)
    return not has_arrived(rulebook, cell, held) and same_as_before(rulebook, cell, current)


def same_as_before(rulebook: Rulebook, cell: PlannedCell, current: CurrentValues) -> bool:
    """Whether a cell holds what it held when it was decided about."""
    return _same(rulebook.rules[cell.column], current.value(cell.key, cell.column), cell.current)


def _same(rule: Rule, one: str, other: str) -> bool:
    return canonical(rule.kind, rule.validation, one) == canonical(rule.kind, rule.validation, other)


def journal_entry(rulebook: Rulebook, cell: PlannedCell, run_id: str, request: int) -> JournalEntry:
    """Return the journal's entry for a cell that is about to be sent."""
    proposal = cell.proposal
    return JournalEntry(
        proposal=proposal.number,
        batch=proposal.batch,
        run_id=run_id,
        request=request,
        cell=cell.cell,
        seen=proposal.seen,
        before=cell.current,
        new=sent_value(rulebook, cell),
        reason=proposal.reason,
        author=proposal.author,
    )


def planned_cell_of(rulebook: Rulebook, entry: JournalEntry) -> PlannedCell:
    """Return an entry of the journal as the cell that was sent."""
    rule, cell = rulebook.rules[entry.cell.field], entry.cell
    proposal = Proposal(entry.proposal, entry.batch, cell, entry.seen, entry.new, entry.reason, entry.author)
    key = RowKey(cell.record, cell.event, rulebook.repeat_instrument(cell.event, rule.instrument), cell.instance)
    return PlannedCell(proposal, key, rule.column, Decision.WRITE, current=entry.before)


def problem_class(problem: Exception) -> str:
    """Describe a problem by its class, because its text may name records."""
    return (type(problem).__doc__ or type(problem).__name__).splitlines()[0]
