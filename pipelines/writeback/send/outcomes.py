"""What became of each cell that was sent, from what REDCap holds afterwards. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pipelines.warehouse.mirror.journal import Settlement
from pipelines.warehouse.tables.writeback import Cell, Decision, Entry, Proposal, Status
from pipelines.writeback.decide.decide import Decided, Live, Place
from pipelines.writeback.decide.rulebook import Rulebook
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.decide.values import came_through, canonical
from pipelines.writeback.send.requests import sent_value


@dataclass(slots=True)
class SendResult:
    """How the sending of a batch went, by the numbers of the proposals."""

    guilty: dict[int, str] = field(default_factory=dict)
    """Refused by REDCap, in its own words."""
    left: set[int] = field(default_factory=set)
    """In a request that left, whatever became of it."""
    changed: set[int] = field(default_factory=set)
    """Not sent, because somebody changed the cell at the last moment."""


UNREADABLE = "REDCap refuses the token this record, so nobody knows what it holds"


LANDED_ELSEWHERE = "REDCap put it into another record, whose id differs only in blanks, letter case or accents"


NEVER_ARRIVED = "it never arrived in REDCap"


CHANGED_BEFORE = "not sent: somebody changed it before"


OTHER_VALUE = "REDCap holds another value than was sent"


def settlement(rulebook: Rulebook, cell: Decided, live: Live, came: SendResult, *, lost: bool) -> Settlement | None:
    """What became of a cell that was sent; None while its request may still arrive."""
    number, rule = cell.proposal.number, rulebook.rules[cell.column]
    held = live.value(cell.place, cell.column)
    if number in came.guilty:
        return Settlement(number, Status.FAILED, held, came.guilty[number])
    if number in came.changed and number not in came.left:
        return Settlement(number, Status.FAILED, held, CHANGED_BEFORE, closes=False)
    if cell.place.record in live.refused:
        return None if lost else Settlement(number, Status.NOT_CONFIRMED, "", UNREADABLE)
    if has_arrived(rulebook, cell, held):
        return _arrival(cell, live, held)
    if _same(rule, held, cell.live):
        return None if lost else Settlement(number, Status.NOT_CONFIRMED, held, NEVER_ARRIVED)
    return Settlement(number, Status.NOT_CONFIRMED, held, OTHER_VALUE)


def not_sent(settled: Settlement, why: str) -> Settlement:
    """A cell that REDCap refused for a reason that is none of its own; its proposal stays open."""
    if settled.message != NEVER_ARRIVED:
        return settled
    return replace(settled, status=Status.FAILED, message=why, closes=False)


def late_settlement(rulebook: Rulebook, cell: Decided, live: Live) -> Settlement:
    """What became of a cell of a run that died; one that never arrived may be sent by this run."""
    held = live.value(cell.place, cell.column)
    if cell.place.record in live.refused:
        return Settlement(cell.proposal.number, Status.NOT_CONFIRMED, "", UNREADABLE)
    if has_arrived(rulebook, cell, held):
        return _arrival(cell, live, held)
    if _same(rulebook.rules[cell.column], held, cell.live):
        return Settlement(cell.proposal.number, Status.FAILED, held, NEVER_ARRIVED, closes=False)
    return Settlement(cell.proposal.number, Status.NOT_CONFIRMED, held, OTHER_VALUE)


def _arrival(cell: Decided, live: Live, held: str) -> Settlement:
    """A cell that holds what was sent: confirmed, unless it is another record's."""
    if cell.place.record in live.alike:
        return Settlement(cell.proposal.number, Status.NOT_CONFIRMED, held, LANDED_ELSEWHERE)
    return Settlement(cell.proposal.number, Status.CONFIRMED, held)


def has_arrived(rulebook: Rulebook, cell: Decided, held: str) -> bool:
    rule = rulebook.rules[cell.column]
    return came_through(rule.kind, rule.validation, sent_value(rulebook, cell), held)


def is_untouched(rulebook: Rulebook, cell: Decided, live: Live) -> bool:
    """Whether a cell still holds what it held before it was sent."""
    held = live.value(cell.place, cell.column)
    return not has_arrived(rulebook, cell, held) and same_as_before(rulebook, cell, live)


def same_as_before(rulebook: Rulebook, cell: Decided, live: Live) -> bool:
    return _same(rulebook.rules[cell.column], live.value(cell.place, cell.column), cell.live)


def _same(rule: Rule, one: str, other: str) -> bool:
    return canonical(rule.kind, rule.validation, one) == canonical(rule.kind, rule.validation, other)


def journal_entry(rulebook: Rulebook, cell: Decided, run_id: str, request: int) -> Entry:
    proposal = cell.proposal
    return Entry(
        proposal=proposal.number,
        batch=proposal.batch,
        run_id=run_id,
        request=request,
        cell=cell.cell,
        seen=proposal.seen,
        before=cell.live,
        new=sent_value(rulebook, cell),
        reason=proposal.reason,
        author=proposal.author,
    )


def cell_of(rulebook: Rulebook, entry: Entry) -> Decided:
    """An entry of the journal as the cell that was sent."""
    rule = rulebook.rules[entry.cell.field]
    proposal = Proposal(entry.proposal, entry.batch, entry.cell, entry.seen, entry.new, entry.reason, entry.author)
    cell: Cell = entry.cell
    place = Place(cell.record, cell.event, rulebook.repeat_instrument(cell.event, rule.instrument), cell.instance)
    return Decided(proposal, place, rule.column, Decision.WRITE, live=entry.before)


def problem_class(problem: Exception) -> str:
    """A problem in the words of its class; its text may name records."""
    return (type(problem).__doc__ or type(problem).__name__).splitlines()[0]
