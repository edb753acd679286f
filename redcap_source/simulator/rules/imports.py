"""Record import: every cell of every row is checked, and an import without errors is stored.

Not here: reading CSV, JSON, XML and EAV into rows (wire/import_data.py), storing values (saving.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.errors import FOREIGN_RECORD, Refusal
from redcap_source.simulator.rules.saving import By, assign_group, save
from redcap_source.simulator.rules.validation import limit_problem, stored_form, value_problem
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import Column
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot
from redcap_source.simulator.whole_numbers import number_or
from redcap_source.simulator.wire.parameters import Parameters

Row = Mapping[str, str]
GROUP = "redcap_data_access_group"
KEYS = frozenset({"redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", GROUP})

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
ILLEGAL_GROUP = "Illegal use of 'redcap_data_access_group' field!"


@dataclass(frozen=True)
class ImportOptions:
    """The options of an import."""

    overwrite: bool = False
    date_format: str = "YMD"
    auto_number: bool = False
    refuses_calculated: bool = False
    checks_form_rights: bool = False
    checks_limits: bool = False
    ids_ignore_case: bool = False

    @staticmethod
    def of(parameters: Parameters, behaviour: Behaviour) -> ImportOptions:
        """The options that a request gives, and those that are the server's own."""
        return ImportOptions(
            overwrite=parameters.text("overwriteBehavior") == "overwrite",
            date_format=parameters.text("dateFormat", "YMD").upper() or "YMD",
            auto_number=parameters.flag("forceAutoNumber"),
            refuses_calculated=behaviour.import_calculated == "refuse",
            checks_form_rights=behaviour.import_checks_form_rights,
            checks_limits=behaviour.import_checks_limits,
            ids_ignore_case=behaviour.ids_ignore_case,
        )


@dataclass
class Plan:
    """What an import would store, and its errors."""

    records: dict[str, dict[Slot, dict[str, str]]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    # Record, field, value and REDCap's message of each wrong cell.
    errors: list[tuple[str, str, str, str]] = field(default_factory=list)
    # The ids of the records with errors; an error may show an id together with its event.
    failed: set[str] = field(default_factory=set)

    def refuse_errors(self) -> None:
        """Refuse an import with errors: one quoted line per wrong cell."""
        if self.errors:
            raise Refusal("\n".join(",".join(_quoted(cell) for cell in error) for error in self.errors))


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def key_cells(project: Project, slot: Slot) -> dict[str, str]:
    """The cells by which a row of an import names its slot; none in a classic project where nothing repeats."""
    event_id, instrument, instance = slot
    cells = {"redcap_event_name": project.event(event_id).unique_name} if project.is_longitudinal else {}
    if instance:
        cells |= {"redcap_repeat_instrument": instrument, "redcap_repeat_instance": str(instance)}
    return cells


def plan_import(project: Project, rows: Iterable[Row], username: str, options: ImportOptions) -> Plan:
    """Check every row; the plan holds the values to store, and the errors that REDCap would report."""
    rows = list(rows)
    _refuse_unknown_columns(project, rows)
    if project.user(username).group and any(GROUP in row for row in rows):
        raise Refusal(ILLEGAL_GROUP)
    checker = _Checker(project, username, options)
    for row in rows:
        checker.check(row)
    checker.check_unique()
    return checker.plan


def apply_plan(project: Project, plan: Plan, by: By) -> None:
    """Store the values of a plan; one with errors is refused."""
    plan.refuse_errors()
    own_group = project.user(by.user).group
    for record_id, slots in plan.records.items():
        is_new = record_id not in project.records
        save(project, record_id, slots.items(), by)
        group = plan.groups.get(record_id, own_group if is_new else None)
        if group is not None:
            assign_group(project, record_id, group, by)


def _refuse_unknown_columns(project: Project, rows: list[Row]) -> None:
    dictionary = project.dictionary
    pseudo = {"redcap_survey_identifier", *(f"{form}_timestamp" for form in dictionary.forms)}
    known = KEYS | pseudo | set(dictionary.by_name) | set(dictionary.column_named)
    columns = dict.fromkeys(name for row in rows for name in row if name)
    unknown = [name for name in columns if name not in known]
    # The bare name of a checkbox is a field, but not a column that can be imported.
    unknown += [n for n in columns if n in dictionary.by_name and dictionary.by_name[n].field_type == "checkbox"]
    if unknown:
        raise Refusal(f"The following fields were not found in the project as real data fields: {', '.join(unknown)}")


class _Checker:
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

    def _add_error(self, record_id: str, name: str, value: str, message: str, shown: str = "") -> None:
        self.plan.failed.add(record_id)
        self.plan.errors.append((shown or record_id, name, value, message))

    def _event(self, row: Row, record_id: str) -> Event | None:
        project = self._project
        name = row.get("redcap_event_name", "").strip()
        if not project.is_longitudinal or not name:
            return project.first_event()
        event = project.event_named(name)
        if event is None:
            self._add_error(record_id, "redcap_event_name", name, "The event name is not valid for this project.")
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
                self._add_error(record_id, "redcap_repeat_instrument", instrument, WRONG_INSTRUMENT)
                return None
            return (event_id, instrument, self._instance(record_id, event_id, instrument, given or "1"))
        filled = [column for column, value in cells.items() if value]
        if given and filled and not any((event_id, column.form) in project.repeating_forms for column in filled):
            self._add_error(record_id, "redcap_repeat_instance", given, NOT_REPEATING)
            return None
        return (event_id, "", 0)

    def _instance(self, record_id: str, event_id: int, instrument: str, given: str) -> int:
        if number := number_or(given, 0):
            return number
        if given != "new":
            message = "The value of redcap_repeat_instance must be a positive whole number or 'new'."
            self._add_error(record_id, "redcap_repeat_instance", given, message)
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
                self._add_error(record_id, column.name, value, message, f"{record_id}{event}")
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
            self._add_error(record_id, GROUP, name, message)
        elif name or self._options.overwrite:
            self.plan.groups[record_id] = name

    def check_unique(self) -> None:
        """Report values of the secondary unique field that another record has."""
        name = str(self._project.settings["secondary_unique_field"])
        if name not in self._project.dictionary.column_named:
            return
        records_by_value = self._records_by_value(name)
        for record_id, slots in self.plan.records.items():
            for values in slots.values():
                value = values.get(name, "")
                if value and records_by_value.get(value, {record_id}) != {record_id}:
                    message = f"The value already exists for the secondary unique field {name} in another record."
                    self._add_error(record_id, name, value, message)

    def _records_by_value(self, name: str) -> dict[str, set[str]]:
        records_by_value: dict[str, set[str]] = {}
        if not any(name in values for slots in self.plan.records.values() for values in slots.values()):
            return records_by_value
        for record in self._project.records:
            for slot, values in record.slots.items():
                planned = self.plan.records.get(record.id, {}).get(slot, {})
                value = planned.get(name, values.get(name, ""))
                records_by_value.setdefault(value, set()).add(record.id)
        for record_id, slots in self.plan.records.items():
            for values in slots.values():
                if values.get(name):
                    records_by_value.setdefault(values[name], set()).add(record_id)
        return records_by_value


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
