"""Every change to a record: what differs is stored, calculated fields are recomputed, and the log gets a row.

Not here: whether a change is allowed (imports.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from redcap_source.simulator.logic.calculation import recalculated
from redcap_source.simulator.state.clock import Clock
from redcap_source.simulator.state.log import Effect, Kind, LogRow, details_of
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot, Values

# How a change was made, as the log's action names it.
Way = Literal["", " (API)", " (import)"]


@dataclass(frozen=True)
class By:
    """Who makes a change, how, and by which clock."""

    user: str
    clock: Clock
    way: Way = ""
    # What the log's action names: a survey's answers are a Response, all else is a record.
    noun: Literal["record", "Response"] = "record"

    def row(self, kind: Kind, action: str, details: str = "", record: str = "", effect: Effect = "none") -> LogRow:
        """A row of the log about what they do."""
        return LogRow(self.clock.local(), self.user, kind, action, details, record, effect)


def save(project: Project, record_id: str, changes: Iterable[tuple[Slot, Mapping[str, str]]], by: By) -> bool:
    """Store new values of one record by slot, where a blank erases; return whether anything changed."""
    changed, is_new = False, record_id not in project.records
    touched: list[Slot] = []
    for slot, values in changes:
        if _save_slot(project, record_id, slot, values, by):
            changed = True
            touched.append(slot)
    if changed:
        record = _with_base_row(project, record_id, touched) if is_new else project.records.get(record_id)
        _calculate(project, record_id, [*record.slots] if record is not None and is_new else touched, by)
    return changed


def _with_base_row(project: Project, record_id: str, touched: list[Slot]) -> Record | None:
    """A new record as it was saved; one of instances alone also gets a base row in their event, for its id."""
    record = project.records.get(record_id)
    if record is not None and all(slot[1] for slot in record.slots):
        record = record.with_slot((touched[0][0], "", 0), {})
        project.records.put(record)
    return record


def _save_slot(project: Project, record_id: str, slot: Slot, values: Mapping[str, str], by: By) -> bool:
    record = project.records.get(record_id)
    is_new = record is None
    record = record or Record(record_id)
    before = record.slots.get(slot)
    different = _differences(before or {}, values)
    different |= _implied_status(project, before or {}, different)
    is_empty_instance = bool(slot[1]) and before is None and not different
    if not is_new and (is_empty_instance or (not different and before is not None)):
        return False
    if not is_empty_instance:
        record = record.with_slot(slot, _merged(before or {}, different))
    project.records.put(record)
    _log_save(project, record_id, slot, different, by, is_new=is_new)
    return True


def _differences(before: Values, wanted: Mapping[str, str]) -> dict[str, str]:
    def stored(name: str) -> str:
        return before.get(name, "")

    # An unchecked option is not stored; only checkbox columns have three underscores in a row.
    return {
        name: value
        for name, value in wanted.items()
        if value != stored(name) and not (value == "0" and "___" in name and not stored(name))
    }


def log_answers(project: Project, record_id: str, slot: Slot, values: Mapping[str, str], by: By) -> None:
    """Log a survey's answers that are the same as the stored values."""
    _log_save(project, record_id, slot, {name: value for name, value in values.items() if value}, by, is_new=False)


def _implied_status(project: Project, before: Values, different: Mapping[str, str]) -> dict[str, str]:
    # The first value of an instrument makes its status Incomplete.
    named = project.dictionary.column_named
    forms = {named[name].form for name, value in different.items() if name in named and value}
    statuses = [f"{form}_complete" for form in project.dictionary.forms if form in forms]
    return {status: "0" for status in statuses if status not in before and status not in different}


def _merged(before: Values, different: Mapping[str, str]) -> dict[str, str]:
    merged = {**before, **different}
    return {name: value for name, value in merged.items() if value and not (value == "0" and "___" in name)}


def _log_save(
    project: Project, record_id: str, slot: Slot, different: Mapping[str, str], by: By, *, is_new: bool
) -> None:
    names_itself = is_new or not different
    shown = ({project.dictionary.record_id: record_id} if names_itself else {}) | dict(different)
    action = f"{'Create' if is_new else 'Update'} {by.noun}{by.way} {record_id}{project.event_suffix(slot[0])}"
    kind: Kind = "record_add" if is_new else "record_edit"
    details = details_of(shown, checkbox_codes(project, shown), slot[2])
    project.log.add(by.row(kind, action, details, record_id, "data"))


def checkbox_codes(project: Project, values: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The field and code of each column that is a checkbox option."""
    named = project.dictionary.column_named
    columns = (named[name] for name in values if name in named)
    return {column.name: (column.field, column.code) for column in columns if column.kind == "checkbox"}


def _calculate(project: Project, record_id: str, touched: list[Slot], by: By) -> None:
    record = project.records.get(record_id)
    if record is None:
        return
    auto = replace(by, way=" (import)") if by.way == " (import)" else replace(by, way="")
    for slot, values in recalculated(project, record, touched, by.clock.now().astimezone(by.clock.zone)).items():
        before = record.slots[slot]
        different = _differences(before, values)
        different |= _implied_status(project, before, different)
        if different:
            record = record.with_slot(slot, _merged(before, different))
            project.records.put(record)
            action = f"Update record{auto.way} (Auto calculation) {record_id}{project.event_suffix(slot[0])}"
            details = details_of(different, {}, slot[2])
            project.log.add(auto.row("record_edit", action.replace(") (Auto", ")(Auto"), details, record_id, "data"))


def stamp_survey(project: Project, record_id: str, slot: Slot, instrument: str, stamp: str) -> bool:
    """Store the time of a survey's response with its answers; return whether it changed.

    It has no row in the log besides that of the answers. The time of a completed response does not change when its
    answers do.
    """
    record = project.records.get(record_id)
    name = f"{instrument}_timestamp"
    if record is None or record.slots[slot].get(name, "[")[:1] != "[" or record.slots[slot].get(name) == stamp:
        return False
    project.records.put(record.with_slot(slot, {**record.slots[slot], name: stamp}))
    return True


def delete(project: Project, record_id: str, arm: int | None, by: By, *, erase_log: bool = False) -> None:
    """Delete a record, or its data in one arm."""
    record = project.records.get(record_id)
    if record is None:
        return
    events = {event.event_id for event in project.events if arm is None or event.arm == arm}
    left = record.without_slots(lambda slot: slot[0] in events)
    if left.slots:
        project.records.put(left)
    else:
        project.records.remove(record_id)
    if erase_log:
        project.log.erase_content(record_id)
    details = f"{project.dictionary.record_id} = '{record_id}'"
    project.log.add(by.row("record_delete", f"Delete record{by.way} {record_id}", details, record_id))


def rename(project: Project, old: str, new: str, by: By, events: frozenset[str] | None = None) -> None:
    """Give a record another id, also in the rows of the log about it, or only in those about these events."""
    record = project.records.get(old)
    if record is None:
        return
    project.records.remove(old)
    project.records.put(replace(record, id=new))
    project.log.relabel(old, new, events)
    details = f"{project.dictionary.record_id} = '{new}'"
    project.log.add(by.row("record_edit", f"Update record{by.way} {new}", details, new, "rename"))


def wipe(project: Project, record_id: str, slots: Iterable[Slot], forms: frozenset[str] | None, by: By) -> None:
    """Erase the values of slots, or only those of these instruments; slots without a value are removed.

    When the last instrument of an event is erased, the record's row in the event is removed, unless it is the only one.
    """
    for slot in slots:
        record = project.records.get(record_id)
        if record is None or slot not in record.slots:
            continue
        values = record.slots[slot]
        erased = {name: "" for name in values if forms is None or _form_of(project, name) in forms}
        left = {name: value for name, value in values.items() if name not in erased}
        if forms is not None and slot[2] == 0 and not erased:
            continue
        emptied = _emptied(project, record, slot, left, forms)
        if emptied == record:
            continue
        # A record without data in any event does not exist: not in exports, in counts or for new ids.
        project.records.put(emptied) if emptied.slots else project.records.remove(record_id)
        action = f"Update record{by.way} {record_id}{project.event_suffix(slot[0])}"
        # An event that held only the record's id shows it erased; the id with a value would look like a rename.
        shown = erased or {project.dictionary.record_id: ""}
        details = details_of(shown, checkbox_codes(project, shown), slot[2])
        project.log.add(by.row("record_edit", action, details, record_id, "data"))


def _emptied(project: Project, record: Record, slot: Slot, left: Values, forms: frozenset[str] | None) -> Record:
    """The record after the values of a slot were erased, with the row that still represents it in the event, if any."""
    if left:
        return record.with_slot(slot, left)
    emptied = record.without_slots(slot.__eq__)
    if forms is None:
        return emptied
    if slot[0] in project.repeating_events:
        # Clearing a form does not delete the record: its very last instance stays as a blank row.
        return emptied if emptied.slots else record.with_slot(slot, {})
    base = (slot[0], "", 0)
    if any(place[0] == slot[0] and (place != base or values) for place, values in emptied.slots.items()):
        return record.with_slot(slot, {}) if slot == base else emptied
    elsewhere = emptied.without_slots(lambda place: place[0] == slot[0])
    return elsewhere if elsewhere.slots else emptied.with_slot(base, {})


def _form_of(project: Project, name: str) -> str:
    column = project.dictionary.column_named.get(name)
    return column.form if column is not None else name.removesuffix("_timestamp")


def assign_group(project: Project, record_id: str, group: str, by: By) -> bool:
    """Put a record into a data access group, or with a blank remove it from its group; return whether it changed."""
    record = project.records.get(record_id)
    if record is None or record.group == group:
        return False
    project.records.put(replace(record, group=group))
    words = "Assign record to" if group else "Remove record from"
    details = f"{words} Data Access Group (redcap_data_access_group = '{group}')"
    project.log.add(by.row("record_edit", f"Update record{by.way} {record_id}", details, record_id, "group"))
    return True
