"""Decides about every proposed cell, from the value that was seen, REDCap's current value and the proposed one. Pure.

Every cell is decided about twice: for the plan that a person reads, and again directly before its batch is sent.
Not here: reading REDCap (current_values.py), sending (send/sender.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date

from pipelines.warehouse.tables.writeback import Decision, FormRow, Proposal
from pipelines.writeback.decide.cells import CurrentValues, PlannedCell, RowKey
from pipelines.writeback.decide.reasons import TRANSIENT_REASONS, Reason
from pipelines.writeback.decide.record_ids import look_alikes, trimmed
from pipelines.writeback.decide.rulebook import Rulebook
from pipelines.writeback.decide.rules import NEW, Rule
from pipelines.writeback.decide.values import canonical
from redcap_source import dictionary


def reconcile(rule: Rule, seen: str, current: str, new: str) -> Decision:
    """Decide about one value: write it only if REDCap still holds what the cleaner saw."""
    kind, validation = rule.kind, rule.validation
    held = canonical(kind, validation, current)
    if held == canonical(kind, validation, new):
        return Decision.ALREADY_THERE
    return Decision.WRITE if held == canonical(kind, validation, seen) else Decision.CONFLICT


def row_key_of(rulebook: Rulebook, proposal: Proposal, rule: Rule) -> RowKey:
    """Return the key of a proposal's row; a new instance is keyed by its batch until it has a number."""
    cell = proposal.cell
    instance = f"{cell.instance} of {proposal.batch}" if is_new(proposal) else cell.instance
    return RowKey(cell.record, cell.event, rulebook.repeat_instrument(cell.event, rule.instrument), instance)


def is_new(proposal: Proposal) -> bool:
    """Whether the cell is in an instance that does not exist yet."""
    instance = proposal.cell.instance
    return instance.startswith("new") and NEW.fullmatch(instance) is not None


def precheck(rulebook: Rulebook, proposals: Sequence[Proposal]) -> tuple[list[PlannedCell], list[PlannedCell]]:
    """Split proposals into those to compare with REDCap, and those that are invalid whatever it holds."""
    checked: list[PlannedCell] = []
    invalid: list[PlannedCell] = []
    repeated = _repeated(proposals)
    for proposal in proposals:
        reason = rulebook.why_invalid(proposal) or repeated.get(proposal.number)
        if reason is None and proposal.ruled_out and proposal.ruled_out not in TRANSIENT_REASONS:
            # Whoever read the plan saw it refused; that the rules have changed since is no reason to send it.
            reason = Reason.WAS_INVALID
        rule = rulebook.rule(proposal.cell)
        if reason is not None or rule is None:
            cell = proposal.cell
            key = RowKey(cell.record, cell.event, "", cell.instance)
            invalid.append(PlannedCell(proposal, key, cell.field, Decision.INVALID, reason or Reason.UNKNOWN_FIELD))
            continue
        if proposal.cell.instrument != rule.instrument:
            proposal = replace(proposal, cell=replace(proposal.cell, instrument=rule.instrument))
        checked.append(PlannedCell(proposal, row_key_of(rulebook, proposal, rule), rule.column, Decision.WRITE))
    return checked, invalid


def unopened_rows(rulebook: Rulebook, cells: Iterable[PlannedCell], current: CurrentValues) -> set[FormRow]:
    """Return the rows among these cells' rows whose form nobody has opened: its status is blank."""
    found: set[FormRow] = set()
    for cell in cells:
        key, instrument = cell.key, rulebook.rules[cell.column].instrument
        if not current.value(key, dictionary.complete_column(instrument)):
            found.add(FormRow(key.record, key.event, instrument, key.instance))
    return found


def _repeated(proposals: Sequence[Proposal]) -> dict[int, Reason]:
    """Proposals for a cell that others name too: if all agree, the first one counts, otherwise none."""
    found: defaultdict[tuple[str, ...], list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        cell = proposal.cell
        batch = proposal.batch if is_new(proposal) else ""
        found[cell.record, cell.event, cell.instance, cell.field, batch].append(proposal)
    repeated: dict[int, Reason] = {}
    for first, *others in found.values():
        if any(other.new != first.new for other in others):
            repeated |= {proposal.number: Reason.CONTRADICTION for proposal in (first, *others)}
        else:
            repeated |= {other.number: Reason.TWICE for other in others}
    return repeated


def decide(
    rulebook: Rulebook,
    checked: Sequence[PlannedCell],
    current: CurrentValues,
    *,
    today: date,
    new_records: bool = False,
) -> list[PlannedCell]:
    """Decide about every cell that passed `precheck`; `new_records` says whether records may be created."""
    keys = _numbered(checked, current)
    absent = {item.key.record for item in checked} - current.records
    ambiguous = look_alikes(absent) | current.alike.keys()
    planned = []
    for item in checked:
        key = keys[item.key]
        missing = _missing(item, key, current, new_records, ambiguous)
        planned.append(_decided(rulebook, item, key, current, today, missing))
    planned = _without_taken(rulebook, planned, current)
    return _without_lone_status(rulebook, planned)


def _numbered(checked: Sequence[PlannedCell], current: CurrentValues) -> dict[RowKey, RowKey]:
    """Map every key to one with its instance as a number: new ones get the next free numbers, in order.

    REDCap would number `new` itself, but then a request that is sent twice would add the instance twice.
    """
    highest: dict[tuple[str, str, str], int] = {}
    for key in current.rows:
        if key.instance:
            series = key.record, key.event, key.repeat_instrument
            highest[series] = max(highest.get(series, 0), int(key.instance))
    numbered: dict[RowKey, RowKey] = {}
    for item in checked:
        key = item.key
        if key in numbered or not is_new(item.proposal):
            numbered.setdefault(key, key)
            continue
        series = key.record, key.event, key.repeat_instrument
        highest[series] = highest.get(series, 0) + 1
        numbered[key] = key._replace(instance=str(highest[series]))
    return numbered


def _decided(
    rulebook: Rulebook, item: PlannedCell, key: RowKey, current: CurrentValues, today: date, missing: Reason | None
) -> PlannedCell:
    """Decide about one cell; `missing` says what REDCap lacks for it."""
    rule, proposal = rulebook.rules[item.column], item.proposal
    held = current.value(key, item.column)
    if missing is not None:
        return PlannedCell(proposal, key, item.column, Decision.INVALID, missing, current=held)
    decision = reconcile(rule, proposal.seen, held, proposal.new)
    reason = Reason.CHANGED if decision is Decision.CONFLICT else None
    warning = rulebook.warning(rule, proposal.new, today) if decision is Decision.WRITE else None
    if key.record not in current.records and key.record != trimmed(key.record):
        # REDCap might trim it, and then the cell could not be read back under the id that was sent.
        key, warning = key._replace(record=trimmed(key.record)), warning or Reason.TRIMMED
    return PlannedCell(proposal, key, item.column, decision, reason, warning, held)


def _missing(
    item: PlannedCell, key: RowKey, current: CurrentValues, new_records: bool, ambiguous: Collection[str]
) -> Reason | None:
    """Return what REDCap lacks for a cell to be written; `ambiguous` are ids that REDCap may take for others."""
    if key.record in current.refused:
        return Reason.OUT_OF_REACH
    if item.column in current.hidden:
        return Reason.HIDDEN
    if key.record not in current.records:
        if key.record in ambiguous:
            return Reason.ALIKE
        return None if new_records else Reason.UNKNOWN_RECORD
    if key.instance and key not in current.rows and not is_new(item.proposal):
        # Writing to it would create it; most likely somebody deleted it.
        return Reason.UNKNOWN_INSTANCE
    return None


def _without_taken(rulebook: Rulebook, planned: Sequence[PlannedCell], current: CurrentValues) -> list[PlannedCell]:
    """Mark values of the secondary unique field as invalid if another record holds them, or two proposals want them."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for item in planned:
        if item.writes and item.column == rulebook.secondary_unique:
            wanted[item.proposal.new].add(item.key.record)

    def is_taken(item: PlannedCell) -> bool:
        if not (item.writes and item.column == rulebook.secondary_unique and item.proposal.new):
            return False
        holders = current.taken.get(item.proposal.new, frozenset()) | wanted[item.proposal.new]
        return bool(holders - {item.key.record})

    return [_invalid(item, Reason.TAKEN) if is_taken(item) else item for item in planned]


def _without_lone_status(rulebook: Rulebook, planned: Sequence[PlannedCell]) -> list[PlannedCell]:
    """Mark the status of a form that was never opened as invalid, unless data of the form is written with it.

    By itself it would open the form, and give a status to a form that nobody has filled in.
    """
    opened = {
        (item.key, rulebook.rules[item.column].instrument)
        for item in planned
        if item.writes and not rulebook.rules[item.column].status and item.proposal.new not in ("", "0")
    }

    def is_alone(item: PlannedCell) -> bool:
        rule = rulebook.rules[item.column]
        return item.writes and rule.status and item.current == "" and (item.key, rule.instrument) not in opened

    return [_invalid(item, Reason.GRAY_STATUS) if is_alone(item) else item for item in planned]


def _invalid(item: PlannedCell, reason: Reason) -> PlannedCell:
    return replace(item, decision=Decision.INVALID, reason=reason)
