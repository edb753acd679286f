"""Records from the rows of a flat export in a project's folder."""

from __future__ import annotations

from collections.abc import Iterator

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.dictionary import STATUS_LABELS, Column
from redcap_source.simulator.state.project import Group, Project, StoredFile
from redcap_source.simulator.state.records import Record, Slot

Row = dict[str, str]
_LOGICAL = {"TRUE": "1", "FALSE": "0", "True": "1", "False": "0", "Checked": "1", "Unchecked": "0"}


def records_from_rows(project: Project, rows: list[Row], *, retyped: bool = False) -> Iterator[Record]:
    """The records in the rows of a flat export; `retyped` rows were written by R. Groups and files are added."""
    reader = _Reader(project, retyped=retyped)
    records: dict[str, dict[Slot, dict[str, str]]] = {}
    groups: dict[str, str] = {}
    for row in rows:
        # Without blanks, as in an import: no client could request an id with blanks around it.
        record = (row.get(project.dictionary.record_id) or next(iter(row.values()), "")).strip()
        if not record:
            raise SimulatorError("The records hold a row without a record id; every row needs one.")
        slot = reader.slot(row)
        records.setdefault(record, {}).setdefault(slot, {}).update(reader.values(row))
        groups[record] = reader.group(row) or groups.get(record, "")
    for record, slots in records.items():
        yield Record(record, dict(slots), groups[record])


def _instance(text: str) -> int:
    try:
        # Packages that read numbers write 1.0.
        return int(float(text))
    except (ValueError, OverflowError) as error:
        raise SimulatorError("The records hold a redcap_repeat_instance that is not a number; correct it.") from error


class _Reader:
    """Reads rows of one project's export."""

    def __init__(self, project: Project, *, retyped: bool) -> None:
        self._project = project
        self._retyped = retyped
        self._events = {event.name: event.event_id for event in project.events}
        self._events |= {event.unique_name: event.event_id for event in project.events}
        self._form_of_label = {label: form for form, label in project.dictionary.form_labels.items()}

    def slot(self, row: Row) -> Slot:
        """Where the values of a row are stored."""
        name = self._clean(row.get("redcap_event_name", ""))
        if name and self._project.is_longitudinal and name not in self._events:
            raise SimulatorError(
                f"The records name the event '{name}', which the project does not have; add it to the events or "
                "correct the records."
            )
        event_id = self._events.get(name, self._project.first_event().event_id)
        instrument = self._clean(row.get("redcap_repeat_instrument", ""))
        instrument = self._form_of_label.get(instrument, instrument)
        if instrument not in self._project.dictionary.forms:
            instrument = ""
        number = self._clean(row.get("redcap_repeat_instance", ""))
        return (event_id, instrument, _instance(number) if number else 0)

    def group(self, row: Row) -> str:
        """The data access group that a row names, which is added if it is new."""
        name = self._clean(row.get("redcap_data_access_group", ""))
        if name and name not in self._project.groups:
            self._project.groups[name] = Group(len(self._project.groups) + 1, name, name)
        return name

    def values(self, row: Row) -> dict[str, str]:
        """The values that a row stores: neither blanks nor the defaults of instruments that were never opened."""
        named = self._project.dictionary.column_named
        stored: dict[str, str] = {}
        for name, text in row.items():
            column = named.get(name)
            text = self._clean(text)
            if name == "redcap_survey_identifier" or (name.endswith("_timestamp") and column is None):
                self._read_survey(stored, name, text)
            elif text and column is not None and name != self._project.dictionary.record_id:
                value = self._stored(column, text)
                if value and not (column.kind == "checkbox" and value == "0"):
                    stored[name] = value
        return self._without_gray(stored)

    def _clean(self, text: str) -> str:
        return "" if self._retyped and text == "NA" else text

    def _read_survey(self, stored: dict[str, str], name: str, text: str) -> None:
        form = name.removesuffix("_timestamp")
        if form in self._project.dictionary.forms:
            self._project.surveys.add(form)
        if text:
            stored[name] = text

    def _stored(self, column: Column, text: str) -> str:
        if column.kind == "checkbox":
            return _LOGICAL.get(text, text)
        if column.kind == "status":
            return next((code for code, label in STATUS_LABELS.items() if text == label), text)
        if column.kind == "file":
            return self._stored_file(text)
        choices = self._project.dictionary.by_name[column.field].choices
        if not choices or text in choices:
            return text
        text = _LOGICAL.get(text, text) if set(choices) == {"0", "1"} else text
        return next((code for code, label in choices.items() if text == label), text)

    def _stored_file(self, name: str) -> str:
        number = self._project.next_file_id()
        self._project.files[number] = StoredFile(name, b"")
        return str(number)

    def _without_gray(self, stored: dict[str, str]) -> dict[str, str]:
        # A flat export shows status 0 for an instrument that was never opened; it is stored only beside its data.
        named = self._project.dictionary.column_named
        touched = {named[name].form for name in stored if name in named and named[name].kind != "status"}
        return {
            name: value
            for name, value in stored.items()
            if name not in named or named[name].kind != "status" or value != "0" or named[name].form in touched
        }
