"""The EAV record export: one row for each stored value, with a row for each checked option of a checkbox."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.export.pieces import JSON_FRAME, XML_FRAME, Frame, csv_frame, in_pieces
from redcap_source.simulator.export.selection import Selection
from redcap_source.simulator.export.sheet import INSTANCE
from redcap_source.simulator.export.style import Style
from redcap_source.simulator.rules.rights import hashed_id
from redcap_source.simulator.state.dictionary import STATUS_LABELS, Column, Dictionary
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot, Values
from redcap_source.simulator.wire.formats import NEEDS_ESCAPE, NEEDS_QUOTES, cdata, json_text, quoted


def eav_text(project: Project, selection: Selection, style: Style, behaviour: Behaviour) -> Iterator[bytes]:
    """The answer in pieces."""
    writer = _writer(_keys(project), style, raw=behaviour.json_unicode == "raw")
    rows = _Rows(project, selection, style, behaviour)

    def lines(record: Record, slot: Slot, values: Values) -> Iterator[str]:
        found = list(rows.of(record, slot, values))
        start = writer.start(rows.key_cells(record, slot)) if found else ""
        return (writer.line(start, name, value) for name, value in found)

    return in_pieces(
        writer.frame,
        (
            [line for slot, values in slots for line in lines(record, slot, values)]
            for record, slots in selection.rows(project)
        ),
    )


def _keys(project: Project) -> list[str]:
    keys = ["record"]
    if project.is_longitudinal:
        keys.append("redcap_event_name")
    if project.has_repeats:
        keys += ["redcap_repeat_instrument", INSTANCE]
    return keys


class _Rows:
    """The names and values of each slot, in the order that `Behaviour.eav_order` names."""

    def __init__(self, project: Project, selection: Selection, style: Style, behaviour: Behaviour) -> None:
        self._project = project
        self._selection = selection
        self._label = style.label
        self._by_code = behaviour.eav_checkbox == "codes"
        self._columns = {column.name: column for column in selection.columns}
        self._rank = _ranks(project.dictionary, selection.columns, behaviour)
        self._events = {event.event_id: event for event in project.events}
        # Columns that show the stored value under their own name.
        self._plain = frozenset(
            column.name for column in selection.columns if column.kind != "checkbox" and not style.label
        )

    def of(self, record: Record, slot: Slot, values: Values) -> Iterator[tuple[str, str]]:
        if self._selection.with_record_id and not slot[1]:
            yield self._project.dictionary.record_id, self._record_id(record)
        plain, columns = self._plain, self._columns
        for name, value in self._in_order(values):
            if name in plain:
                yield name, value
            elif name in columns:
                yield self._name_and_value(columns[name], value)

    def _in_order(self, values: Values) -> Iterable[tuple[str, str]]:
        rank = self._rank
        if not rank:
            return values.items()
        return [(name, values[name]) for name in sorted(values.keys() & rank.keys(), key=rank.__getitem__)]

    def key_cells(self, record: Record, slot: Slot) -> list[str]:
        """The cells before name and value."""
        event_id, instrument, instance = slot
        cells = [self._record_id(record)]
        if self._project.is_longitudinal:
            event = self._events[event_id]
            cells.append(event.name if self._label else event.unique_name)
        if self._project.has_repeats:
            cells += [instrument, str(instance) if instance else ""]
        return cells

    def _record_id(self, record: Record) -> str:
        return hashed_id(record.id) if self._selection.hides_record_id else record.id

    def _name_and_value(self, column: Column, value: str) -> tuple[str, str]:
        if column.kind == "checkbox":
            if not self._by_code:
                return column.name, value
            return column.field, self._shown(column, column.code)
        return column.name, self._shown(column, value)

    def _shown(self, column: Column, value: str) -> str:
        return _labels(self._project.dictionary, column).get(value, value) if self._label else value


def _ranks(dictionary: Dictionary, columns: Iterable[Column], behaviour: Behaviour) -> dict[str, int]:
    """The position of each column; empty if values keep the order in which they were stored."""
    if behaviour.eav_order == "stored":
        return {}
    chosen = {column.name for column in columns}
    ordered = [column for column in dictionary.columns if column.name in chosen]
    if behaviour.eav_order == "calculated_last":
        calculated = {field.field_name for field in dictionary.calculated}
        ordered.sort(key=lambda column: column.field in calculated)
    elif behaviour.eav_order == "name":
        ordered.sort(key=lambda column: column.field)
    return {column.name: at for at, column in enumerate(ordered)}


def _labels(dictionary: Dictionary, column: Column) -> dict[str, str]:
    if column.kind == "status":
        return STATUS_LABELS
    return dictionary.missing_codes | dictionary.by_name[column.field].choices


class _Writer(ABC):
    """Rows as text: the keys of a slot are written once, and begin the line of each of its values."""

    frame = Frame()

    @abstractmethod
    def start(self, cells: list[str]) -> str:
        """The start of every line of a slot."""

    @abstractmethod
    def line(self, start: str, name: str, value: str) -> str:
        """One row."""


class _Csv(_Writer):
    def __init__(self, keys: list[str], delimiter: str) -> None:
        self._delimiter = delimiter
        self.frame = csv_frame(delimiter.join([*keys, "field_name", "value"]))

    def start(self, cells: list[str]) -> str:
        return "".join(quoted(cell, self._delimiter) + self._delimiter for cell in cells)

    def line(self, start: str, name: str, value: str) -> str:
        if NEEDS_QUOTES.search(value) or self._delimiter in value:
            value = quoted(value, self._delimiter)
        return f"{start}{name}{self._delimiter}{value}\n"


class _Json(_Writer):
    frame = JSON_FRAME

    def __init__(self, keys: list[str], raw: bool) -> None:
        self._keys = keys
        self._raw = raw

    def start(self, cells: list[str]) -> str:
        row: dict[str, object] = dict(zip(self._keys, cells, strict=True))
        if row.get(INSTANCE):
            row[INSTANCE] = int(str(row[INSTANCE]))
        return json_text(row, raw=self._raw)[:-1]

    def line(self, start: str, name: str, value: str) -> str:
        shown = json_text(value, raw=self._raw) if NEEDS_ESCAPE.search(value) else f'"{value}"'
        return f'{start},"field_name":"{name}","value":{shown}}}'


class _Xml(_Writer):
    frame = XML_FRAME

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    def start(self, cells: list[str]) -> str:
        return "<item>" + "".join(f"<{k}>{cdata(c)}</{k}>" for k, c in zip(self._keys, cells, strict=True))

    def line(self, start: str, name: str, value: str) -> str:
        return f"{start}<field_name>{cdata(name)}</field_name><value>{cdata(value)}</value></item>\n"


def _writer(keys: list[str], style: Style, *, raw: bool) -> _Writer:
    if style.format == "csv":
        return _Csv(keys, style.delimiter)
    return _Json(keys, raw) if style.format == "json" else _Xml(keys)
