"""The records of a REDCap Project XML, or of an import in its format."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from redcap_source.simulator.errors import Refusal, SimulatorError
from redcap_source.simulator.loaders.odm_xml import ODM, REDCAP, Element, number_of, root_of
from redcap_source.simulator.rules.imports import key_cells
from redcap_source.simulator.state.project import Group, Project, StoredFile
from redcap_source.simulator.state.records import Record, Slot
from redcap_source.simulator.wire.import_data import BAD_FORMAT


def rows_of_odm(project: Project, text: str) -> list[dict[str, str]]:
    """The flat rows of an import in ODM: one for each slot of each subject. Its files are stored in the project.

    Raises Refusal, as REDCap does, for text that is not ODM.
    """
    try:
        records = list(ClinicalData(project).records(root_of(text.encode(), "data")))
    except SimulatorError as error:
        raise Refusal(BAD_FORMAT) from error
    rows: list[dict[str, str]] = []
    for record in records:
        for slot, values in record.slots.items():
            row = {project.dictionary.record_id: record.id, **values, **key_cells(project, slot)}
            if record.group:
                row["redcap_data_access_group"] = record.group
            rows.append(row)
    return rows


class ClinicalData:
    """Reads the ClinicalData of a project; files that it holds are stored in the project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._ids = {event.unique_name: event.event_id for event in project.events}
        self._only = project.first_event().event_id
        # ODM puts a T between date and time, REDCap a space.
        self._moments = {f.field_name for f in project.dictionary.fields if f.validation.startswith("datetime")}

    def records(self, root: Element) -> Iterator[Record]:
        """The records of all subjects."""
        for subject in root.iter(f"{ODM}SubjectData"):
            # Without blanks, as in an import: no client could request an id with blanks around it.
            record = subject.get("SubjectKey", "").strip()
            if not record:
                raise SimulatorError(
                    "The XML holds data of a record without an id (SubjectKey); export it again from REDCap."
                )
            slots: dict[Slot, dict[str, str]] = {}
            group = ""
            for slot, item in self._items(subject):
                name = item.get("ItemOID", "")
                value = self._value(item)
                # Any item shows that its row exists, though only values that are not blank are kept.
                values = slots.setdefault(slot, {})
                if name == "redcap_data_access_group":
                    group = value
                elif value and self._is_kept(name, value):
                    values[name] = value.replace("T", " ") if name in self._moments else value
            yield Record(record, dict(slots), self._group_name(group))

    def _items(self, subject: Element) -> Iterator[tuple[Slot, Element]]:
        events = subject.findall(f"{ODM}StudyEventData")
        for event in events:
            name = event.get(f"{REDCAP}UniqueEventName") or event.get("StudyEventOID", "").removeprefix("Event.")
            event_id = self._ids.get(name)
            if event_id is not None:
                yield from self._form_items(event, event_id, number_of(event, "StudyEventRepeatKey", 1))
        if not events:
            yield from self._form_items(subject, self._only, 1)

    def _form_items(self, parent: Element, event_id: int, event_instance: int) -> Iterator[tuple[Slot, Element]]:
        for form in parent.findall(f"{ODM}FormData"):
            name = form.get("FormOID", "").removeprefix("Form.")
            repeats = event_id in self._project.repeating_events
            instance = event_instance if repeats else number_of(form, "FormRepeatKey", 1)
            slot = self._project.slot_of(event_id, name, instance)
            for item in form.iter():
                if item.tag in (f"{ODM}ItemData", f"{ODM}ItemDataBase64Binary"):
                    yield slot, item

    def _value(self, item: Element) -> str:
        if item.tag == f"{ODM}ItemData":
            return item.get("Value", "")
        number = self._project.next_file_id()
        name = item.get(f"{REDCAP}DocName", "file")
        mime_type = item.get(f"{REDCAP}MimeType", "application/octet-stream")
        self._project.files[number] = StoredFile(name, _decoded(item.text or ""), mime_type)
        return str(number)

    def _is_kept(self, name: str, value: str) -> bool:
        if name == self._project.dictionary.record_id:
            return False
        column = self._project.dictionary.column_named.get(name)
        return column is None or column.kind != "checkbox" or value == "1"

    def _group_name(self, group: str) -> str:
        if not group or group in self._project.groups:
            return group
        named = next((name for name, known in self._project.groups.items() if known.label == group), None)
        if named is None:
            named = group
            self._project.groups[named] = Group(len(self._project.groups) + 1, group, named)
        return named


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""
