"""Writes a project as a REDCap Project XML, from which loaders/odm.py reads the same project again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from redcap_source.simulator.export.odm_metadata import head_text, metadata_text
from redcap_source.simulator.export.xml_attributes import attributes, escaped
from redcap_source.simulator.rules.rights import hashed_id
from redcap_source.simulator.state.dictionary import Column
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot, Values
from redcap_source.simulator.whole_numbers import number_or

Rows = Iterable[tuple[Record, list[tuple[Slot, Values]]]]


def odm_text(
    project: Project,
    rows: Rows,
    columns: tuple[Column, ...],
    *,
    version: str,
    now: datetime,
    groups: bool,
    files: bool,
    surveys: bool,
    hides_record_id: bool,
) -> Iterator[bytes]:
    """The XML in pieces: metadata, then subject by subject."""
    oid = "".join(letter for letter in project.title.title() if letter.isalnum()) or "Project"
    at = f"{now:%Y-%m-%dT%H:%M:%S}"
    yield head_text(project, oid, at, version).encode()
    yield metadata_text(project, oid).encode()
    opened = False
    clinical = _Clinical(project, columns, groups=groups, files=files, surveys=surveys, hides_record_id=hides_record_id)
    for record, slots in rows:
        if not opened:
            yield f'<ClinicalData StudyOID="Project.{oid}" MetaDataVersionOID="Metadata.{oid}">\n'.encode()
            opened = True
        yield clinical.subject(record, slots).encode()
    yield b"</ClinicalData>\n</ODM>" if opened else b"</ODM>"


class _Clinical:
    """Writes records as subjects."""

    def __init__(
        self,
        project: Project,
        columns: tuple[Column, ...],
        *,
        groups: bool,
        files: bool,
        surveys: bool,
        hides_record_id: bool,
    ) -> None:
        self._project = project
        # The time stamp of a form is exported with its fields.
        self._stamped = frozenset(column.form for column in columns) if surveys else frozenset()
        self._shown: Callable[[str], str] = hashed_id if hides_record_id else str
        self._columns = columns
        self._groups = groups
        self._files = files

    def subject(self, record: Record, slots: list[tuple[Slot, Values]]) -> str:
        """One record."""
        # The record's group is written in the first form; a row may have none.
        first = next((slot for slot, values in slots if self._forms(slot, values)), None)
        body = "".join(self._slot(record, slot, values, first=slot == first) for slot, values in slots)
        key, name = self._project.dictionary.record_id, escaped(self._shown(record.id))
        return f'\t<SubjectData SubjectKey="{name}" redcap:RecordIdField="{key}">{body}</SubjectData>\n'

    def _slot(self, record: Record, slot: Slot, values: Values, *, first: bool) -> str:
        event_id, instrument, instance = slot
        forms = "".join(
            self._form(record, form, instance if instrument else 1, values, first=first and at == 0)
            for at, form in enumerate(self._forms(slot, values))
        )
        if not self._project.is_longitudinal:
            return forms
        name = self._project.event(event_id).unique_name
        key = 1 if instrument else max(instance, 1)
        return (
            f'<StudyEventData StudyEventOID="Event.{name}" StudyEventRepeatKey="{key}" '
            f'redcap:UniqueEventName="{name}">{forms}</StudyEventData>'
        )

    def _forms(self, slot: Slot, values: Values) -> list[str]:
        if slot[1]:
            return [slot[1]]
        named = self._project.dictionary.column_named
        held = {named[name].form for name in values if name in named}
        held |= {form for form in self._stamped if f"{form}_timestamp" in values}
        # A row without data is written as its record id, in the first instrument that could have data.
        possible = self._project.forms_in(slot)
        return [form for form in self._project.dictionary.forms if form in held] or list(possible[:1])

    def _form(self, record: Record, form: str, key: int, values: Values, *, first: bool) -> str:
        items = [_item_data(self._project.dictionary.record_id, self._shown(record.id))]
        if first and self._groups and record.group:
            items.append(_item_data("redcap_data_access_group", record.group))
        stamp = values.get(f"{form}_timestamp") if form in self._stamped else None
        if stamp:
            items.append(_item_data(f"{form}_timestamp", stamp))
        for column in self._columns:
            value = values.get(column.name, "")
            if column.form == form and value:
                items.append(self._file(column, value) if column.kind == "file" else _item_data(column.name, value))
        group = f'<ItemGroupData ItemGroupOID="{form}" ItemGroupRepeatKey="1">{"".join(items)}</ItemGroupData>'
        return f'<FormData FormOID="Form.{form}" FormRepeatKey="{key}">{group}</FormData>'

    def _file(self, column: Column, value: str) -> str:
        stored = self._project.files.get(number_or(value, 0))
        if stored is None:
            return ""
        if not self._files:
            return _item_data(column.name, "")
        facts = attributes({"ItemOID": column.name, "redcap:DocName": stored.name, "redcap:MimeType": stored.mime_type})
        content = base64.b64encode(stored.content).decode()
        return f"<ItemDataBase64Binary{facts}><![CDATA[{content}]]></ItemDataBase64Binary>"


def _item_data(name: str, value: str) -> str:
    return f'<ItemData ItemOID="{name}" Value="{escaped(value)}"/>'
