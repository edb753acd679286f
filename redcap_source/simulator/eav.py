"""The EAV record export: one row per stored value, and what that means for checkboxes, files and form status."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.dictionary import STATUS_LABELS, Column, Dictionary
from redcap_source.simulator.flat import INSTANCE, PIECE, Style, hashed
from redcap_source.simulator.formats import XML_HEAD, cdata, json_text, quoted
from redcap_source.simulator.project import Project
from redcap_source.simulator.records import Record, Slot, Values
from redcap_source.simulator.selection import Selection

Line = Callable[[list[str]], str]


def eav_text(project: Project, selection: Selection, style: Style, behaviour: Behaviour) -> Iterator[bytes]:
    """The answer in pieces."""
    keys = _keys(project)
    line, joint, head, tail, empty = _format(keys, style, raw=behaviour.json_unicode == "raw")
    rows = _Rows(project, selection, style, behaviour)
    pieces: list[str] = []
    size, opened = 0, False
    for record, slots in selection.rows(project):
        for slot, values in slots:
            for cells in rows.of(record, slot, values):
                pieces.append(line(cells))
                size += len(pieces[-1])
        if size > PIECE:
            yield ((joint if opened else head) + joint.join(pieces)).encode()
            pieces, size, opened = [], 0, True
    if pieces:
        yield ((joint if opened else head) + joint.join(pieces) + tail).encode()
    else:
        yield (tail if opened else empty).encode()


def _keys(project: Project) -> list[str]:
    keys = ["record"]
    if project.is_longitudinal:
        keys.append("redcap_event_name")
    if project.has_repeats:
        keys += ["redcap_repeat_instrument", INSTANCE]
    return [*keys, "field_name", "value"]


class _Rows:
    """The rows of each slot, in the order in which its values were stored."""

    def __init__(self, project: Project, selection: Selection, style: Style, behaviour: Behaviour) -> None:
        self._project = project
        self._selection = selection
        self._label = style.label
        self._by_code = behaviour.eav_checkbox == "codes"
        self._columns = {column.name: column for column in selection.columns}
        self._events = {event.event_id: event for event in project.events}

    def of(self, record: Record, slot: Slot, values: Values) -> Iterator[list[str]]:
        keys = self._key_cells(record, slot)
        if self._selection.with_record_id and not slot[1]:
            yield [*keys, self._project.dictionary.record_id, keys[0]]
        for name, value in values.items():
            column = self._columns.get(name)
            if column is not None:
                yield [*keys, *self._name_and_value(column, value)]

    def _key_cells(self, record: Record, slot: Slot) -> list[str]:
        event_id, instrument, instance = slot
        cells = [hashed(record.id) if self._selection.hides_record_id else record.id]
        if self._project.is_longitudinal:
            event = self._events[event_id]
            cells.append(event.name if self._label else event.unique_name)
        if self._project.has_repeats:
            cells += [instrument, str(instance) if instance else ""]
        return cells

    def _name_and_value(self, column: Column, value: str) -> tuple[str, str]:
        if column.kind == "checkbox":
            if not self._by_code:
                return column.name, value
            return column.field, self._shown(column, column.code)
        return column.name, self._shown(column, value)

    def _shown(self, column: Column, value: str) -> str:
        return _labels(self._project.dictionary, column).get(value, value) if self._label else value


def _labels(dictionary: Dictionary, column: Column) -> dict[str, str]:
    if column.kind == "status":
        return STATUS_LABELS
    return dictionary.missing_codes | dictionary.by_name[column.field].choices


def _format(keys: list[str], style: Style, *, raw: bool) -> tuple[Line, str, str, str, str]:
    if style.format == "csv":
        head = style.delimiter.join(keys) + "\n"
        return (
            lambda cells: style.delimiter.join([quoted(c, style.delimiter) for c in cells]) + "\n",
            "",
            head,
            "",
            "\n",
        )
    if style.format == "json":
        return lambda cells: _json_line(keys, cells, raw=raw), ",", "[", "]", "[]"
    head = f"{XML_HEAD}\n<records>\n"
    return lambda cells: _xml_line(keys, cells), "", head, "</records>", head + "</records>"


def _json_line(keys: list[str], cells: list[str], *, raw: bool) -> str:
    row: dict[str, object] = dict(zip(keys, cells, strict=True))
    if row.get(INSTANCE):
        row[INSTANCE] = int(str(row[INSTANCE]))
    return json_text(row, raw=raw)


def _xml_line(keys: list[str], cells: list[str]) -> str:
    return "<item>" + "".join(f"<{k}>{cdata(c)}</{k}>" for k, c in zip(keys, cells, strict=True)) + "</item>\n"
