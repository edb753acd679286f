"""The data dictionary: fields, their choices, and their export columns.

Not here: reading one from a file (loaders/), which values a field accepts (rules/validation.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, NamedTuple

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.names import checkbox_column, form_name, is_form_name

FIELD_TYPES = frozenset(
    (
        "text", "notes", "dropdown", "radio", "checkbox", "calc", "file", "descriptive", "slider", "yesno",
        "truefalse", "sql",
    )
)  # fmt: skip
CHOICE_TYPES = frozenset({"radio", "dropdown", "sql", "checkbox"})
YES_NO = {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}
STATUS_LABELS = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}


@dataclass(frozen=True)
class Field:
    """One row of the data dictionary, named as the API names its columns."""

    field_name: str
    form_name: str
    section_header: str = ""
    field_type: str = "text"
    field_label: str = ""
    select_choices_or_calculations: str = ""
    field_note: str = ""
    text_validation_type_or_show_slider_number: str = ""
    text_validation_min: str = ""
    text_validation_max: str = ""
    identifier: str = ""
    branching_logic: str = ""
    required_field: str = ""
    custom_alignment: str = ""
    question_number: str = ""
    matrix_group_name: str = ""
    matrix_ranking: str = ""
    field_annotation: str = ""

    @property
    def validation(self) -> str:
        """The text validation type."""
        return self.text_validation_type_or_show_slider_number

    @cached_property
    def choices(self) -> dict[str, str]:
        """Code and label of every option, in order."""
        if self.field_type in YES_NO:
            return YES_NO[self.field_type]
        if self.field_type not in CHOICE_TYPES:
            return {}
        return parse_choices(self.select_choices_or_calculations)

    @property
    def is_calculated(self) -> bool:
        """Whether REDCap computes the value itself."""
        return self.field_type == "calc" or "@CALC" in self.field_annotation.upper()


FIELD_KEYS = tuple(field.name for field in fields(Field))

# The headers of the dictionary that the web page downloads, in the order of the API's names.
UI_HEADERS = (
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?",
    "Branching Logic (Show field only if...)", "Required Field?", "Custom Alignment",
    "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?", "Field Annotation",
)  # fmt: skip
_API_NAME = dict(zip(UI_HEADERS, FIELD_KEYS, strict=True)) | {name: name for name in FIELD_KEYS}

ColumnKind = Literal["value", "checkbox", "status", "file", "timestamp"]


class Column(NamedTuple):
    """One column of a flat export, and the field, form and choice that it shows."""

    name: str
    field: str
    form: str
    kind: ColumnKind
    code: str = ""


def parse_choices(text: str) -> dict[str, str]:
    """The labels by code of `code, label | code, label`; a part without a comma is both."""
    return dict(choice_pairs(text))


def choice_pairs(text: str) -> list[tuple[str, str]]:
    """The code and label of every option in order, also of codes that are used twice."""
    parts = text.split("|") if "|" in text else text.replace("\\n", "\n").split("\n")
    cut = [part.partition(",") for part in parts if part.strip()]
    return [(code.strip(), label.strip() if comma else code.strip()) for code, comma, label in cut]


def parse_missing_codes(text: str) -> dict[str, str]:
    """The labels of missing data codes by code, from `code, label | …`, from lines, or from codes with commas."""
    if "|" not in text and "\n" not in text and ", " not in text:
        return {code.strip(): code.strip() for code in text.split(",") if code.strip()}
    return parse_choices(text)


class Dictionary:
    """The fields of a project in order, and everything that follows from them."""

    def __init__(
        self,
        rows: Iterable[Field],
        *,
        form_labels: Mapping[str, str] | None = None,
        missing_codes: Mapping[str, str] | None = None,
    ) -> None:
        self.fields = tuple(rows)
        if not self.fields:
            raise SimulatorError("The data dictionary has no fields; it needs at least the record id field.")
        self.by_name = {field.field_name: field for field in self.fields}
        # An instrument without fields still has a status.
        empty = (form for form in form_labels or {} if form)
        used = dict.fromkeys(field.form_name for field in self.fields)
        self.forms = tuple(dict.fromkeys((*used, *empty)))
        self.missing_codes = dict(missing_codes or {})
        given = form_labels or {}
        self.form_labels = {form: given.get(form) or _label_of(form) for form in self.forms}

    @property
    def record_id(self) -> str:
        """The name of the field that identifies records: always the first."""
        return self.fields[0].field_name

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Every export column, form by form, the status of each form last."""
        columns: list[Column] = []
        for form in self.forms:
            for field in self.fields_of(form):
                columns.extend(self._columns_of(field))
            columns.append(Column(f"{form}_complete", f"{form}_complete", form, "status"))
        return tuple(columns)

    @cached_property
    def column_named(self) -> dict[str, Column]:
        """Export columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def columns_by_field(self) -> dict[str, tuple[Column, ...]]:
        """The export columns of each field and form status."""
        found: dict[str, list[Column]] = {}
        for column in self.columns:
            found.setdefault(column.field, []).append(column)
        return {field: tuple(columns) for field, columns in found.items()}

    @cached_property
    def calculated(self) -> tuple[Field, ...]:
        """The fields that REDCap computes itself."""
        return tuple(field for field in self.fields if field.is_calculated)

    @cached_property
    def _fields_by_form(self) -> dict[str, tuple[Field, ...]]:
        return {form: tuple(f for f in self.fields if f.form_name == form) for form in self.forms}

    def fields_of(self, form: str) -> tuple[Field, ...]:
        """The fields of one instrument."""
        return self._fields_by_form.get(form, ())

    def options(self, field: Field) -> dict[str, str]:
        """The options of a field, the project's missing data codes last."""
        if field.field_type == "checkbox" and "@NOMISSING" not in field.field_annotation.upper():
            return field.choices | self.missing_codes
        return field.choices

    def with_fields(self, rows: Iterable[Field]) -> Dictionary:
        """The dictionary with other fields; instruments without any are removed."""
        rows = tuple(rows)
        labels = {row.form_name: self.form_labels.get(row.form_name, "") for row in rows}
        return Dictionary(rows, form_labels=labels, missing_codes=self.missing_codes)

    def _columns_of(self, field: Field) -> list[Column]:
        name, form = field.field_name, field.form_name
        if field.field_type == "descriptive":
            return []
        if field.field_type == "checkbox":
            found = {checkbox_column(name, code): code for code in self.options(field)}
            return [Column(column, name, form, "checkbox", code) for column, code in found.items()]
        return [Column(name, name, form, "file" if field.field_type == "file" else "value")]


def _label_of(form: str) -> str:
    return form.replace("_", " ").title()


def fields_from_rows(rows: Iterable[Mapping[str, object]], *, source: str) -> list[Field]:
    """The fields of dictionary rows under the API's names or the web page's headers; `source` names the file."""
    found = []
    for number, row in enumerate(rows, start=1):
        cells = {_API_NAME[key]: _cell(value) for key, value in row.items() if key in _API_NAME}
        cells["field_name"] = cells.get("field_name", "").strip()
        if not cells["field_name"]:
            if any(cell.strip() for cell in cells.values()):
                raise SimulatorError(f"Row {number} of {source} has no field name; every dictionary row needs one.")
            continue
        cells["form_name"] = cells.get("form_name") or "form_1"
        cells["field_type"] = cells.get("field_type") or "text"
        found.append(Field(**{key: _fitting(key, cell) for key, cell in cells.items()}))
    if not found:
        raise SimulatorError(f"{source} holds no data dictionary: no row has a field name.")
    return found


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _fitting(key: str, cell: str) -> str:
    if key == "form_name" and not is_form_name(cell):
        return form_name(cell)
    if key in ("identifier", "required_field", "matrix_ranking"):
        return "y" if cell.lower() in ("y", "yes", "true", "1") else ""
    return cell
