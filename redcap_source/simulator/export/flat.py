"""The flat record export: one row per record, event and instance, written as fast as Python can.

Most cells of a trial are blank, so each kind of row has a template of ready cells, into which only the stored values
are put. Not here: which rows and columns there are (selection.py, sheet.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.export.pieces import JSON_FRAME, XML_FRAME, Frame, csv_frame, in_pieces
from redcap_source.simulator.export.selection import Selection
from redcap_source.simulator.export.sheet import INSTANCE, Sheet
from redcap_source.simulator.export.style import Style
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot, Values
from redcap_source.simulator.wire.formats import NEEDS_ESCAPE, NEEDS_ESCAPE_RAW, NEEDS_QUOTES, cdata, json_text

# How many written values are kept at most.
MEMORY = 50_000


def flat_text(project: Project, selection: Selection, style: Style, behaviour: Behaviour) -> Iterator[bytes]:
    """The answer in pieces."""
    sheet = Sheet(project, selection, style, behaviour)
    writer = _writer(sheet, behaviour)
    rows = ([writer.row(record, slot, values) for slot, values in slots] for record, slots in selection.rows(project))
    return in_pieces(writer.frame, rows)


class _Writer(ABC):
    """Rows as text; each subclass is one format."""

    frame = Frame()
    # Whether a value is written the same way in every column.
    same_everywhere = True

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._templates: dict[tuple[int, str, bool], list[str]] = {}
        # Cells by value: the values of a study repeat, and a look-up is faster than checking a value for quotes.
        self._written: dict[str, str] = {}

    @abstractmethod
    def cell(self, at: int, value: str) -> str:
        """One value as it is written in its row."""

    @abstractmethod
    def line(self, cells: list[str]) -> str:
        """One row."""

    def row(self, record: Record, slot: Slot, values: Values) -> str:
        """The row of one slot."""
        sheet, cell = self.sheet, self.cell
        cells = self._template(slot).copy()
        for at, key in enumerate(sheet.key_cells(record, slot)):
            cells[at] = cell(at, key)
        position, changes, written = sheet.position, sheet.changes, self._cells_by_value()
        if sheet.style.combine_checkboxes:
            values = combined(sheet.project, values)
        if len(values) > 2 * len(position):
            values = {name: values[name] for name in position if name in values}
        for name, value in values.items():
            at_column = position.get(name)
            if at_column is None:
                continue
            if at_column in changes:
                value = changes[at_column](value)
            text = written.get(value)
            if text is None:
                text = cell(at_column, value)
                if self.same_everywhere:
                    written[value] = text
            cells[at_column] = text
        return self.line(cells)

    def _cells_by_value(self) -> dict[str, str]:
        if len(self._written) > MEMORY:
            self._written.clear()
        return self._written

    def _template(self, slot: Slot) -> list[str]:
        kind = (slot[0], slot[1], slot[2] > 0)
        template = self._templates.get(kind)
        if template is None:
            defaults = self.sheet.defaults(slot)
            template = self._templates[kind] = [self.cell(at, value) for at, value in enumerate(defaults)]
        return template


class _Csv(_Writer):
    def __init__(self, sheet: Sheet) -> None:
        super().__init__(sheet)
        self._delimiter = sheet.style.delimiter
        self.frame = csv_frame(self._delimiter.join(self.cell(0, header) for header in sheet.headers()))

    def cell(self, at: int, value: str) -> str:
        if value and (NEEDS_QUOTES.search(value) or self._delimiter in value):
            return '"' + value.replace('"', '""') + '"'
        return value

    def line(self, cells: list[str]) -> str:
        return self._delimiter.join(cells) + "\n"


class _Json(_Writer):
    frame = JSON_FRAME

    def __init__(self, sheet: Sheet, raw: bool) -> None:
        super().__init__(sheet)
        self._raw = raw
        self._escape = NEEDS_ESCAPE_RAW if raw else NEEDS_ESCAPE
        self._blank = "{" + ",".join(f'"{name}":"%s"' for name in sheet.names) + "}"
        # The instance is the only number in a row.
        self._numbered = self._blank.replace(f'"{INSTANCE}":"%s"', f'"{INSTANCE}":%s')
        self._instance = sheet.keys.index(INSTANCE) if INSTANCE in sheet.keys else 0
        self._has_instance = INSTANCE in sheet.keys

    def cell(self, at: int, value: str) -> str:
        if value and self._escape.search(value):
            return json_text(value, raw=self._raw)[1:-1]
        return value

    def line(self, cells: list[str]) -> str:
        numbered = self._has_instance and cells[self._instance]
        return (self._numbered if numbered else self._blank) % tuple(cells)


class _Xml(_Writer):
    frame = XML_FRAME
    same_everywhere = False

    def cell(self, at: int, value: str) -> str:
        name = self.sheet.names[at]
        return f"<{name}>{cdata(value)}</{name}>"

    def line(self, cells: list[str]) -> str:
        return "<item>" + "".join(cells) + "</item>\n"


def _writer(sheet: Sheet, behaviour: Behaviour) -> _Writer:
    if sheet.style.format == "csv":
        return _Csv(sheet)
    if sheet.style.format == "json":
        return _Json(sheet, behaviour.json_unicode == "raw")
    return _Xml(sheet)


def combined(project: Project, values: Values) -> dict[str, str]:
    """Values with each checkbox as one cell of checked codes."""
    found: dict[str, str] = {}
    named = project.dictionary.column_named
    for name, value in values.items():
        column = named.get(name)
        if column is None or column.kind != "checkbox":
            found[name] = value
        else:
            found[column.field] = f"{found[column.field]},{column.code}" if column.field in found else column.code
    return found
