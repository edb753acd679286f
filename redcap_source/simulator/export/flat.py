"""The flat record export: one row per record, event and instance, written as fast as Python can.

Most cells of a trial are blank, so each kind of row has a template of ready cells into which only the stored values
are put. Which rows and columns there are is selection.py's decision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.export.selection import Selection
from redcap_source.simulator.state.dictionary import STATUS_LABELS, Column
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot, Values
from redcap_source.simulator.whole_numbers import number_or
from redcap_source.simulator.wire.formats import DELIMITERS, NEEDS_QUOTES, XML_HEAD, cdata, json_text
from redcap_source.simulator.wire.formats import NEEDS_ESCAPE as ESCAPE
from redcap_source.simulator.wire.formats import NEEDS_ESCAPE_RAW as ESCAPE_RAW
from redcap_source.simulator.wire.parameters import Parameters

# Big enough that sending costs little, small enough that memory stays flat.
PIECE = 1 << 17
# How many written values are remembered at most.
MEMORY = 50_000
Change = Callable[[str], str]
INSTANCE = "redcap_repeat_instance"


@dataclass(frozen=True)
class Style:
    """How cells and rows are to look."""

    format: str
    label: bool
    label_headers: bool
    checkbox_label: bool
    survey_fields: bool
    groups: bool
    gray_is_blank: bool
    decimal: str
    delimiter: str
    combine_checkboxes: bool
    # Reports put one space in place of each line break.
    folds_lines: bool = False

    @staticmethod
    def of(parameters: Parameters) -> Style:
        """Read the style from a request."""
        label = parameters.text("rawOrLabel") == "label"
        return Style(
            format=parameters.text("format", "xml"),
            label=label,
            label_headers=parameters.text("rawOrLabelHeaders") == "label",
            checkbox_label=label and parameters.flag("exportCheckboxLabel"),
            survey_fields=parameters.flag("exportSurveyFields"),
            groups=parameters.flag("exportDataAccessGroups"),
            gray_is_blank=parameters.flag("exportBlankForGrayFormStatus"),
            decimal=parameters.text("decimalCharacter"),
            delimiter=DELIMITERS.get(parameters.text("csvDelimiter"), ","),
            combine_checkboxes=parameters.flag("combineCheckboxOptions"),
        )


def flat_text(project: Project, selection: Selection, style: Style, behaviour: Behaviour) -> Iterator[bytes]:
    """The answer in pieces."""
    sheet = Sheet(project, selection, style, behaviour)
    writer = _writer(sheet, behaviour)
    pieces: list[str] = []
    size, opened = 0, False
    for record, rows in selection.rows(project):
        for slot, values in rows:
            pieces.append(writer.row(record, slot, values))
            size += len(pieces[-1])
        if size > PIECE:
            yield (writer.between(opened) + writer.joint.join(pieces)).encode("utf-8", "surrogatepass")
            pieces, size, opened = [], 0, True
    yield (writer.between(opened) + writer.joint.join(pieces) + writer.tail if pieces else writer.close(opened)).encode(
        "utf-8", "surrogatepass"
    )


class Sheet:
    """The columns of an answer, and what happens to a stored value on its way into each."""

    def __init__(self, project: Project, selection: Selection, style: Style, behaviour: Behaviour) -> None:
        self.project = project
        self.style = style
        self.behaviour = behaviour
        self._boxes = frozenset(f.field_name for f in project.dictionary.fields if f.field_type == "checkbox")
        self.with_groups = style.groups and bool(project.groups) and not selection.group
        self.with_surveys = style.survey_fields and bool(project.surveys)
        self.keys = self._keys(selection)
        self.columns = self._data_columns(selection.columns)
        self.names = [*self.keys, *(column.name for column in self.columns)]
        self.position = {column.name: at for at, column in enumerate(self.columns, start=len(self.keys))}
        if "redcap_survey_identifier" in self.keys:
            self.position["redcap_survey_identifier"] = self.keys.index("redcap_survey_identifier")
        self.changes = {
            at: change
            for at, column in enumerate(self.columns, start=len(self.keys))
            if (change := self._change(column)) is not None
        }
        self.hides_record_id = selection.hides_record_id
        self._events = {event.event_id: event for event in project.events}
        self._groups = {name: group.label for name, group in project.groups.items()}

    def _keys(self, selection: Selection) -> list[str]:
        keys: list[str] = []
        if selection.with_record_id:
            keys.append(self.project.dictionary.record_id)
            if self.project.is_longitudinal:
                keys.append("redcap_event_name")
            if self.project.has_repeats:
                keys += ["redcap_repeat_instrument", INSTANCE]
        if self.with_groups:
            keys.append("redcap_data_access_group")
        if self.with_surveys and selection.with_record_id:
            keys.append("redcap_survey_identifier")
        return keys

    def _data_columns(self, chosen: tuple[Column, ...]) -> list[Column]:
        columns: list[Column] = []
        form = ""
        for column in chosen:
            if column.form != form:
                form = column.form
                if self.with_surveys and form in self.project.surveys:
                    columns.append(Column(f"{form}_timestamp", f"{form}_timestamp", form, "timestamp"))
            if self.style.combine_checkboxes and column.kind == "checkbox":
                if columns and columns[-1].field == column.field:
                    continue
                column = Column(column.field, column.field, column.form, "value")
            columns.append(column)
        return columns

    def headers(self) -> list[str]:
        """The first row of a CSV, as names or as labels."""
        if not self.style.label_headers:
            return self.names
        labels = {
            self.project.dictionary.record_id: self.project.dictionary.fields[0].field_label,
            "redcap_event_name": "Event Name",
            "redcap_repeat_instrument": "Repeat Instrument",
            INSTANCE: "Repeat Instance",
            "redcap_data_access_group": "Data Access Group",
            "redcap_survey_identifier": "Survey Identifier",
        }
        return [labels[key] for key in self.keys] + [self._label(column) for column in self.columns]

    def _label(self, column: Column) -> str:
        if column.kind == "status":
            return "Complete?"
        if column.kind == "timestamp":
            return "Survey Timestamp"
        field = self.project.dictionary.by_name[column.field]
        if column.kind == "checkbox":
            return f"{field.field_label} (choice={self.project.dictionary.options(field)[column.code]})"
        return field.field_label

    def defaults(self, slot: Slot) -> list[str]:
        """The cells of an empty row of this kind: blank, or 0 where an option or a status applies."""
        applicable = frozenset(self.project.forms_in(slot))
        blank = [""] * len(self.keys)
        return blank + [self._default(column) if column.form in applicable else "" for column in self.columns]

    def _default(self, column: Column) -> str:
        if column.kind == "checkbox":
            return ("" if self.style.checkbox_label else "Unchecked") if self.style.label else "0"
        if column.kind == "status":
            return "" if self.style.gray_is_blank else ("Incomplete" if self.style.label else "0")
        return ""

    def _change(self, column: Column) -> Change | None:
        if column.kind == "timestamp":
            return None
        if column.kind == "file":
            return self._file_name
        if self.style.label:
            combined = self.style.combine_checkboxes and column.field in self._boxes
            looked_up = _each_looked_up if combined else _looked_up
            return self._folding(looked_up(self._labels(column)))
        field = self.project.dictionary.by_name.get(column.field)
        numeric = field is not None and (field.field_type == "calc" or field.validation.startswith("number"))
        if numeric and self.style.decimal in (".", ","):
            old = "," if self.style.decimal == "." else "."
            return lambda value: value.replace(old, self.style.decimal)
        return self._folding(None)

    def _folding(self, change: Change | None) -> Change | None:
        if not self.style.folds_lines:
            return change
        shown = change or str
        crlf = "  " if self.behaviour.report_crlf == "two_blanks" else " "
        return lambda value: shown(value).replace("\r\n", crlf).replace("\n", " ")

    def _labels(self, column: Column) -> dict[str, str]:
        dictionary = self.project.dictionary
        if column.kind == "status":
            return STATUS_LABELS
        field = dictionary.by_name[column.field]
        if column.kind == "checkbox":
            checked = dictionary.options(field)[column.code] if self.style.checkbox_label else "Checked"
            return {"1": checked}
        return dictionary.missing_codes | field.choices

    def _file_name(self, value: str) -> str:
        if self.behaviour.file_value == "document":
            return "[document]"
        stored = self.project.files.get(number_or(value, 0))
        return stored.name if stored is not None else value

    def key_cells(self, record: Record, slot: Slot) -> list[str]:
        """The cells before the data, except the survey identifier."""
        event_id, instrument, instance = slot
        cells: list[str] = []
        for key in self.keys:
            if key == "redcap_event_name":
                event = self._events[event_id]
                cells.append(event.name if self.style.label else event.unique_name)
            elif key == "redcap_repeat_instrument":
                labels = self.project.dictionary.form_labels
                cells.append(labels.get(instrument, instrument) if self.style.label else instrument)
            elif key == INSTANCE:
                cells.append(str(instance) if instance else "")
            elif key == "redcap_data_access_group":
                cells.append(self._groups.get(record.group, "") if self.style.label else record.group)
            elif key == "redcap_survey_identifier":
                cells.append("")
            else:
                cells.append(hashed(record.id) if self.hides_record_id else record.id)
        return cells


def hashed(record: str) -> str:
    """A record id as users without the right to see it get it."""
    return hashlib.md5(record.encode(), usedforsecurity=False).hexdigest()


def _looked_up(labels: Mapping[str, str]) -> Change | None:
    return (lambda value: labels.get(value, value)) if labels else None


def _each_looked_up(labels: Mapping[str, str]) -> Change:
    return lambda value: ",".join(labels.get(code, code) for code in value.split(","))


class _Writer:
    """Rows as text; the subclasses know one format each."""

    joint = ""
    head = ""
    tail = ""
    empty = ""

    # Whether a value looks the same in whatever column it stands.
    same_everywhere = True

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._templates: dict[tuple[int, str, bool], list[str]] = {}
        # Values as they were written before: studies repeat themselves, and looking up is quicker than checking.
        self._written: dict[str, str] = {}

    def between(self, opened: bool) -> str:
        """What goes before a piece."""
        return self.joint if opened else self.head

    def close(self, opened: bool) -> str:
        """What ends an answer whose last piece is out, or that has no rows."""
        return self.tail if opened else self.empty

    def cell(self, at: int, value: str) -> str:
        """One value as it stands in its row."""
        raise NotImplementedError

    def line(self, cells: list[str]) -> str:
        """One row."""
        raise NotImplementedError

    def row(self, record: Record, slot: Slot, values: Values) -> str:
        """The row of one slot."""
        sheet, cell = self.sheet, self.cell
        cells = self._template(slot).copy()
        for at, key in enumerate(sheet.key_cells(record, slot)):
            cells[at] = cell(at, key)
        position, changes, written = sheet.position, sheet.changes, self._known()
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

    def _known(self) -> dict[str, str]:
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
    empty = "\n"

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(sheet)
        self._delimiter = sheet.style.delimiter
        self.head = self._delimiter.join(self.cell(0, header) for header in sheet.headers()) + "\n"

    def cell(self, at: int, value: str) -> str:
        if value and (NEEDS_QUOTES.search(value) or self._delimiter in value):
            return '"' + value.replace('"', '""') + '"'
        return value

    def line(self, cells: list[str]) -> str:
        return self._delimiter.join(cells) + "\n"


class _Json(_Writer):
    joint, head, tail, empty = ",", "[", "]", "[]"

    def __init__(self, sheet: Sheet, raw: bool) -> None:
        super().__init__(sheet)
        self._raw = raw
        self._escape = ESCAPE_RAW if raw else ESCAPE
        self._blank = "{" + ",".join(f'"{name}":"%s"' for name in sheet.names) + "}"
        # The instance is the one number in a record.
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
    same_everywhere = False
    head, tail = f"{XML_HEAD}\n<records>\n", "</records>"
    empty = head + tail

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
