"""Converts stored values to the cells of a flat export: labels, file names, decimal marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.export.style import Style
from redcap_source.simulator.state.dictionary import STATUS_LABELS, Column, Field
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.whole_numbers import number_or

Change = Callable[[str], str]


@dataclass(frozen=True)
class CellValues:
    """The values that cells show, by column."""

    project: Project
    style: Style
    behaviour: Behaviour

    def default(self, column: Column) -> str:
        """The cell of a column without a stored value, in a row where its instrument applies."""
        if column.kind == "checkbox":
            return ("" if self.style.checkbox_label else "Unchecked") if self.style.label else "0"
        if column.kind == "status":
            return "" if self.style.gray_is_blank else ("Incomplete" if self.style.label else "0")
        return ""

    def change(self, column: Column) -> Change | None:
        """The function that converts a stored value to the one shown; None if both are the same."""
        if column.kind == "timestamp":
            return None
        if column.kind == "file":
            return self._file_name
        field = self.project.dictionary.by_name.get(column.field)
        if self.style.label:
            is_combined = self.style.combine_checkboxes and field is not None and field.field_type == "checkbox"
            labelled = _each_labelled if is_combined else _labelled
            return self._without_line_breaks(labelled(self._labels(column)))
        if field is not None and _is_number(field) and self.style.decimal in (".", ","):
            old = "," if self.style.decimal == "." else "."
            return lambda value: value.replace(old, self.style.decimal)
        return self._without_line_breaks(None)

    def _without_line_breaks(self, change: Change | None) -> Change | None:
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


def _is_number(field: Field) -> bool:
    return field.field_type == "calc" or field.validation.startswith("number")


def _labelled(labels: Mapping[str, str]) -> Change | None:
    return (lambda value: labels.get(value, value)) if labels else None


def _each_labelled(labels: Mapping[str, str]) -> Change:
    return lambda value: ",".join(labels.get(code, code) for code in value.split(","))
