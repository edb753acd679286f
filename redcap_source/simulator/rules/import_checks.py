"""Checks each cell of an import, in REDCap's words, and plans what to store.

Not here: which values a field accepts (validation.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from redcap_source.simulator.errors import FOREIGN_RECORD, Refusal
from redcap_source.simulator.rules.import_plan import ImportOptions, Plan
from redcap_source.simulator.rules.validation import limit_problem, stored_form, value_problem
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import Column
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot
from redcap_source.simulator.whole_numbers import number_or

Row = Mapping[str, str]
GROUP = "redcap_data_access_group"

LOCKED_FORM = "This field is located on a form that is locked. You must first unlock this form for this record."
LOCKED_RECORD = "This record has been locked at the record level. No value within this record can be modified."
NOT_REPEATING = (
    "redcap_repeat_instance cannot have a value since this instrument or event is not a repeating instrument or "
    "repeating event, respectively.  The redcap_repeat_instance field must be left blank for this row of data."
)
WRONG_INSTRUMENT = (
    "redcap_repeat_instrument must be the unique form name of a Repeating Instrument. It currently does not match the "
    "unique form name of any Repeating Instruments.  Please fix this in the data import file and try again."
)


class ImportChecker:
    """Checks rows one by one, against the project and the earlier rows of the same import."""

    def __init__(self, project: Project, username: str, options: ImportOptions) -> None:
        self.plan = Plan()
        self._project = project
        self._options = options
        self._group = project.user(username).group
        self._rights = project.rights_of(username)

    def check(self, row: Row) -> None:
        """Add what a row would store to the plan, or its errors."""
        record_id = row.get(self._project.dictionary.record_id, "").strip()
        if not record_id:
            if any(value for value in row.values()):
                name = self._project.dictionary.record_id
                raise Refusal(f"The record identifier field '{name}' has no value in one or more rows of the data.")
            return
        if self._options.ids_ignore_case:
            record_id = self._project.records.matching_id(record_id)
        record = self._project.records.get(record_id)
        if self._group and record is not None and record.group != self._group:
            raise Refusal(FOREIGN_RECORD % record_id, 403)
        event = self._event(row, record_id)
        cells = self._cells(row)
        slot = self._slot(row, record_id, event, cells) if event is not None else None
        if slot is None:
            return
        self._plan_cells(record_id, record, slot, cells)
        self._plan_group(record_id, row)

    def _event(self, row: Row, record_id: str) -> Event | None:
        project = self._project
        name = row.get("redcap_event_name", "").strip()
        if not project.is_longitudinal or not name:
            return project.first_event()
        event = project.event_named(name)
        if event is None:
            self.plan.add_error(record_id, "redcap_event_name", name, "The event name is not valid for this project.")
        return event

    def _cells(self, row: Row) -> dict[Column, str]:
        """The cells of a row that are imported: neither keys nor values that the server computes."""
        dictionary = self._project.dictionary
        found: dict[Column, str] = {}
        for name, value in row.items():
            if value == "" and not self._options.overwrite:
                continue
            column = dictionary.column_named.get(name)
            if column is None or column.kind == "file" or name == dictionary.record_id:
                continue
            field_row = dictionary.by_name.get(column.field)
            if field_row is not None and field_row.is_calculated and not self._options.refuses_calculated:
                continue
            found[column] = value
        return found

    def _slot(self, row: Row, record_id: str, event: Event, cells: Mapping[Column, str]) -> Slot | None:
        project, event_id = self._project, event.event_id
        instrument = row.get("redcap_repeat_instrument", "").strip()
        given = row.get("redcap_repeat_instance", "").strip()
        if event_id in project.repeating_events:
            return (event_id, "", self._instance(record_id, event_id, "", given or "1"))
        if instrument:
            if (event_id, instrument) not in project.repeating_forms:
                self.plan.add_error(record_id, "redcap_repeat_instrument", instrument, WRONG_INSTRUMENT)
                return None
            return (event_id, instrument, self._instance(record_id, event_id, instrument, given or "1"))
        filled = [column for column, value in cells.items() if value]
        if given and filled and not any((event_id, column.form) in project.repeating_forms for column in filled):
            self.plan.add_error(record_id, "redcap_repeat_instance", given, NOT_REPEATING)
            return None
        return (event_id, "", 0)

    def _instance(self, record_id: str, event_id: int, instrument: str, given: str) -> int:
        if number := number_or(given, 0):
            return number
        if given != "new":
            message = "The value of redcap_repeat_instance must be a positive whole number or 'new'."
            self.plan.add_error(record_id, "redcap_repeat_instance", given, message)
            return 1
        record = self._project.records.get(record_id)
        slots = [*(record.slots if record else ()), *self.plan.records.get(record_id, ())]
        return 1 + max((slot[2] for slot in slots if slot[:2] == (event_id, instrument)), default=0)

    def _plan_cells(self, record_id: str, record: Record | None, slot: Slot, cells: Mapping[Column, str]) -> None:
        stored = self.plan.records.setdefault(record_id, {}).setdefault(slot, {})
        for column, value in cells.items():
            message = self._problem(column, value, slot, record)
            if message is not None:
                # REDCap names the event of a locked form.
                at_event = message == LOCKED_FORM and self._project.is_longitudinal
                event = f" ({self._project.event(slot[0]).unique_name})" if at_event else ""
                self.plan.add_error(record_id, column.name, value, message, f"{record_id}{event}")
                continue
            stored[column.name] = self._stored(column, value)

    def _stored(self, column: Column, value: str) -> str:
        field_row = self._project.dictionary.by_name.get(column.field)
        if field_row is None or not value:
            return value
        return stored_form(field_row, value, self._options.date_format)

    def _problem(self, column: Column, value: str, slot: Slot, record: Record | None) -> str | None:
        place = self._place_problem(column, value, slot)
        if place is not None:
            return place
        field_row = self._project.dictionary.by_name.get(column.field)
        if field_row is not None and field_row.is_calculated:
            return f"The field {column.name} is calculated; its value cannot be imported."
        if record is not None and record.is_locked:
            return LOCKED_RECORD
        if record is not None and (slot, column.form) in record.locks:
            return LOCKED_FORM
        if self._options.checks_form_rights and not self._rights.may_edit(column.form):
            return f"You do not have edit rights to the instrument of the field {column.name}."
        if self._options.checks_limits and (message := self._limit(column, self._stored(column, value))) is not None:
            return message
        return value_problem(self._project.dictionary, column, self._stored(column, value)) if value else None

    def _limit(self, column: Column, value: str) -> str | None:
        field_row = self._project.dictionary.by_name.get(column.field)
        return limit_problem(field_row, value) if field_row is not None else None

    def _place_problem(self, column: Column, value: str, slot: Slot) -> str | None:
        project, (event_id, instrument, _) = self._project, slot
        if not value:
            return None
        if column.form not in project.forms_at(event_id):
            return not_designated(column, project.event_label(project.event(event_id)))
        if event_id in project.repeating_events or column.form == instrument:
            return None
        if (event_id, column.form) in project.repeating_forms:
            return needs_instance(column)
        if instrument:
            return (
                f"This field ('{column.name}') does not exist on the Repeating Instrument named '{instrument}'. "
                "You are not allowed to import data for this field into a repeating instrument."
            )
        return None

    def _plan_group(self, record_id: str, row: Row) -> None:
        if GROUP not in row:
            return
        name = row[GROUP].strip()
        if name and name not in self._project.groups:
            message = f"The value is not a valid Data Access Group name for {GROUP}"
            self.plan.add_error(record_id, GROUP, name, message)
        elif name or self._options.overwrite:
            self.plan.groups[record_id] = name


def check_unique(project: Project, plan: Plan) -> None:
    """Add errors for values of the secondary unique field that another record has."""
    name = str(project.settings["secondary_unique_field"])
    if name not in project.dictionary.column_named:
        return
    ids = _ids_by_value(project, plan, name)
    for record_id, slots in plan.records.items():
        for values in slots.values():
            value = values.get(name, "")
            if value and ids.get(value, {record_id}) != {record_id}:
                message = f"The value already exists for the secondary unique field {name} in another record."
                plan.add_error(record_id, name, value, message)


def _ids_by_value(project: Project, plan: Plan, name: str) -> dict[str, set[str]]:
    """The records that have each value of a field once the plan is stored; none if the plan has no such value."""
    ids: dict[str, set[str]] = {}
    if not any(name in values for slots in plan.records.values() for values in slots.values()):
        return ids
    for record in project.records:
        for slot, values in record.slots.items():
            planned = plan.records.get(record.id, {}).get(slot, {})
            ids.setdefault(planned.get(name, values.get(name, "")), set()).add(record.id)
    for record_id, slots in plan.records.items():
        for values in slots.values():
            if values.get(name):
                ids.setdefault(values[name], set()).add(record_id)
    return ids


def not_designated(column: Column, event: str) -> str:
    """REDCap's message for a field of an instrument that is not designated to the event."""
    return (
        f"This field ('{column.name}') exists on an instrument that is not designated for the event named '{event}'. "
        "You are not allowed to import data for this field into this event."
    )


def needs_instance(column: Column) -> str:
    """REDCap's message for a repeating instrument's field in a row without an instance."""
    return (
        f"This field ('{column.name}') exists on a Repeating Instrument named '{column.form}'. However, the fields "
        "'redcap_repeat_instance' and/or 'redcap_repeat_instrument' for this row of data have no value, which are both "
        "required for importing data into a Repeating Instrument.  You are not allowed to import data for this field "
        "into a non-repeating instrument."
    )
