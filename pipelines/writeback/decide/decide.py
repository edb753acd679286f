"""Deciding about every proposed cell, from what was seen, what REDCap holds now and what is wanted. Pure.

Reading REDCap is live.py's business, sending shell.py's. The decisions are made twice: for the plan that a person
looks at, and again for each batch directly before it is sent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from pipelines.warehouse.tables.writeback import Cell, Decision, FormRow, Proposal, Ruling
from pipelines.writeback.decide.reasons import PASSING, Why
from pipelines.writeback.decide.record_ids import look_alikes, trimmed
from pipelines.writeback.decide.rulebook import Rulebook
from pipelines.writeback.decide.rules import NEW, Rule
from pipelines.writeback.decide.values import canonical
from redcap_source import dictionary


class Place(NamedTuple):
    """One row of a flat export, by its keys; a tuple, since every cell is looked up by it several times."""

    record: str
    event: str
    repeat_instrument: str
    instance: str

    def __repr__(self) -> str:
        return f"Place(event={self.event!r}, instance={self.instance!r})"


@dataclass(frozen=True, slots=True)
class Live:
    """What REDCap holds of the cells in question, read just now."""

    rows: Mapping[Place, Mapping[str, str]] = field(repr=False)
    records: frozenset[str] = field(repr=False)
    """Those of the records asked for that exist."""
    alike: Mapping[str, str] = field(repr=False, default_factory=dict)
    """For records asked for that do not exist the existing one that REDCap may take them for."""
    refused: frozenset[str] = field(repr=False, default=frozenset())
    """Records about which REDCap refuses to answer this token."""
    hidden: frozenset[str] = frozenset()
    """The columns that were asked for and did not come: the token may not see them."""
    taken: Mapping[str, frozenset[str]] = field(repr=False, default_factory=dict)
    """For each value of the secondary unique field the records that have it; only where one is to be written."""

    def value(self, place: Place, column: str) -> str:
        """What a cell holds, wherever REDCap may have put it; blank where there is no row."""
        if place.record in self.alike:
            place = place._replace(record=self.alike[place.record])
        row = self.rows.get(place)
        return "" if row is None else row.get(column, "")


@dataclass(frozen=True, slots=True)
class Decided:
    """A proposal, where it would go, and what to do about it."""

    proposal: Proposal
    place: Place
    column: str
    decision: Decision
    why: Why | None = None
    warning: Why | None = None
    live: str = field(repr=False, default="")

    @property
    def writes(self) -> bool:
        """Whether the cell is to be sent."""
        return self.decision is Decision.WRITE

    @property
    def cell(self) -> Cell:
        """The cell as it is known once a new instance has its number, and a new record the id it is made with."""
        cell, place = self.proposal.cell, self.place
        if (cell.record, cell.instance) == (place.record, place.instance):
            return cell
        return replace(cell, record=place.record, instance=place.instance)

    @property
    def ruling(self) -> Ruling:
        """What is kept of the decision."""
        return Ruling(self.proposal.number, self.decision, self.why or "", self.warning or "")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many cells there are of each decision, with the reasons."""

    write: int
    already_there: int
    conflict: int
    invalid: int
    reasons: Mapping[str, int]
    warnings: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return self.write + self.already_there + self.conflict + self.invalid


def counts(decided: Sequence[Decided]) -> Counts:
    """The decisions as numbers, fit for a log."""
    by = Counter(item.decision for item in decided)
    return Counts(
        write=by[Decision.WRITE],
        already_there=by[Decision.ALREADY_THERE],
        conflict=by[Decision.CONFLICT],
        invalid=by[Decision.INVALID],
        reasons=dict(Counter(str(item.why) for item in decided if item.why).most_common()),
        warnings=dict(Counter(str(item.warning) for item in decided if item.warning).most_common()),
    )


def reconcile(rule: Rule, seen: str, live: str, new: str) -> Decision:
    """What to do about one cell: write it only if REDCap still holds what the cleaning saw."""
    kind, validation = rule.kind, rule.validation
    held = canonical(kind, validation, live)
    if held == canonical(kind, validation, new):
        return Decision.ALREADY_THERE
    return Decision.WRITE if held == canonical(kind, validation, seen) else Decision.CONFLICT


def place_of(rulebook: Rulebook, proposal: Proposal, rule: Rule) -> Place:
    """The row of an export in which a proposal's cell stands; a new instance goes by its batch until it is numbered."""
    cell = proposal.cell
    instance = f"{cell.instance} of {proposal.batch}" if is_new(proposal) else cell.instance
    return Place(cell.record, cell.event, rulebook.repeat_instrument(cell.event, rule.instrument), instance)


def is_new(proposal: Proposal) -> bool:
    """Whether the cell is in an instance that is yet to be made."""
    instance = proposal.cell.instance
    return instance.startswith("new") and NEW.fullmatch(instance) is not None


def sift(rulebook: Rulebook, proposals: Sequence[Proposal]) -> tuple[list[Decided], list[Decided]]:
    """The proposals that have to be compared with REDCap, and those that need not be, as they are invalid."""
    open_ones: list[Decided] = []
    invalid: list[Decided] = []
    repeated = _repeated(proposals)
    for proposal in proposals:
        why = rulebook.refusal(proposal) or repeated.get(proposal.number)
        if why is None and proposal.ruled_out and proposal.ruled_out not in PASSING:
            # Whoever looked at the plan saw it refused; that the rules are others now is no reason to send it.
            why = Why.WAS_INVALID
        rule = rulebook.rule(proposal.cell)
        if why is not None or rule is None:
            cell = proposal.cell
            nowhere = Place(cell.record, cell.event, "", cell.instance)
            invalid.append(Decided(proposal, nowhere, cell.field, Decision.INVALID, why or Why.UNKNOWN_FIELD))
            continue
        if proposal.cell.instrument != rule.instrument:
            proposal = replace(proposal, cell=replace(proposal.cell, instrument=rule.instrument))
        open_ones.append(Decided(proposal, place_of(rulebook, proposal, rule), rule.column, Decision.WRITE))
    return open_ones, invalid


def unopened_rows(rulebook: Rulebook, cells: Iterable[Decided], live: Live) -> set[FormRow]:
    """The rows among those of these cells in which nobody has opened the form yet: its status is blank."""
    found: set[FormRow] = set()
    for cell in cells:
        place, instrument = cell.place, rulebook.rules[cell.column].instrument
        if not live.value(place, dictionary.complete_column(instrument)):
            found.add(FormRow(place.record, place.event, instrument, place.instance))
    return found


def _repeated(proposals: Sequence[Proposal]) -> dict[int, Why]:
    """Proposals for a cell that another one names too: of those that agree the first counts, others none."""
    found: defaultdict[tuple[str, ...], list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        cell = proposal.cell
        whose = proposal.batch if is_new(proposal) else ""
        found[cell.record, cell.event, cell.instance, cell.field, whose].append(proposal)
    repeated: dict[int, Why] = {}
    for first, *others in found.values():
        if any(other.new != first.new for other in others):
            repeated |= {proposal.number: Why.CONTRADICTION for proposal in (first, *others)}
        else:
            repeated |= {other.number: Why.TWICE for other in others}
    return repeated


def decide(
    rulebook: Rulebook, sifted: Sequence[Decided], live: Live, *, today: date, new_records: bool = False
) -> list[Decided]:
    """The decision about every proposal that is not invalid by itself."""
    places = _numbered(sifted, live)
    absent = {item.place.record for item in sifted} - live.records
    contested = look_alikes(absent) | live.alike.keys()
    decided = []
    for item in sifted:
        place = places[item.place]
        why = _absent(item, place, live, new_records, contested)
        decided.append(_decided(rulebook, item, place, live, today, why))
    decided = _without_taken(rulebook, decided, live)
    return _without_gray(rulebook, decided, live)


def _numbered(sifted: Sequence[Decided], live: Live) -> dict[Place, Place]:
    """Every place with its instance as a number: new ones get the next free ones, in the order they are named.

    REDCap would number `new` itself, but then a request that is sent again adds the instance again.
    """
    highest: dict[tuple[str, str, str], int] = {}
    for place in live.rows:
        if place.instance:
            keys = place.record, place.event, place.repeat_instrument
            highest[keys] = max(highest.get(keys, 0), int(place.instance))
    places: dict[Place, Place] = {}
    for item in sifted:
        place = item.place
        if place in places or not is_new(item.proposal):
            places.setdefault(place, place)
            continue
        keys = place.record, place.event, place.repeat_instrument
        highest[keys] = highest.get(keys, 0) + 1
        places[place] = place._replace(instance=str(highest[keys]))
    return places


def _decided(rulebook: Rulebook, item: Decided, place: Place, live: Live, today: date, absent: Why | None) -> Decided:
    """The decision about a cell; `absent` says what is missing for it to be written."""
    rule, proposal = rulebook.rules[item.column], item.proposal
    held = live.value(place, item.column)
    if absent is not None:
        return Decided(proposal, place, item.column, Decision.INVALID, absent, live=held)
    decision = reconcile(rule, proposal.seen, held, proposal.new)
    why = Why.CHANGED if decision is Decision.CONFLICT else None
    warning = rulebook.warning(rule, proposal.new, today) if decision is Decision.WRITE else None
    if place.record not in live.records and place.record != trimmed(place.record):
        # A server would trim it, and what was sent would have to be looked for.
        place, warning = place._replace(record=trimmed(place.record)), warning or Why.TRIMMED
    return Decided(proposal, place, item.column, decision, why, warning, held)


def _absent(item: Decided, place: Place, live: Live, new_records: bool, contested: Collection[str]) -> Why | None:
    """What is missing in REDCap for the cell to be written; `contested` are ids that REDCap may take for others."""
    if place.record in live.refused:
        return Why.OUT_OF_REACH
    if item.column in live.hidden:
        return Why.HIDDEN
    if place.record not in live.records:
        if place.record in contested:
            return Why.ALIKE
        return None if new_records else Why.UNKNOWN_RECORD
    if place.instance and place not in live.rows and not is_new(item.proposal):
        # Writing to it would create it; most likely somebody deleted it.
        return Why.UNKNOWN_INSTANCE
    return None


def _without_taken(rulebook: Rulebook, decided: Iterable[Decided], live: Live) -> list[Decided]:
    """Values of the secondary unique field that another record has, or that two proposals want, are invalid."""
    kept = list(decided)
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for item in kept:
        if item.writes and item.column == rulebook.secondary_unique:
            wanted[item.proposal.new].add(item.place.record)

    def taken(item: Decided) -> bool:
        if not (item.writes and item.column == rulebook.secondary_unique and item.proposal.new):
            return False
        holders = live.taken.get(item.proposal.new, frozenset()) | wanted[item.proposal.new]
        return bool(holders - {item.place.record})

    return [replace(item, decision=Decision.INVALID, why=Why.TAKEN) if taken(item) else item for item in kept]


def _without_gray(rulebook: Rulebook, decided: Sequence[Decided], live: Live) -> list[Decided]:
    """The status of a form that was never opened is written only beside data of the form.

    Alone it would open the form, and say so of one that nobody has filled in.
    """
    opened = {
        (item.place, rulebook.rules[item.column].instrument)
        for item in decided
        if item.writes and not rulebook.rules[item.column].status and item.proposal.new not in ("", "0")
    }

    def gray(item: Decided) -> bool:
        rule = rulebook.rules[item.column]
        return item.writes and rule.status and item.live == "" and (item.place, rule.instrument) not in opened

    return [replace(item, decision=Decision.INVALID, why=Why.GRAY_STATUS) if gray(item) else item for item in decided]
