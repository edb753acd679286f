"""Labels instead of codes, as in REDCap's own label export: SQL expressions over columns. Pure: text only.

Where the labels are the same in every project, a macro of the published file has them: every connection to the file
reads the text of all its views.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.tables.layout import Column
from pipelines.warehouse.tables.types import sql_type
from redcap_source.dictionary import STATUS_CHOICES, ValueKind

# How the names of the macros begin, with the schema of the published file that has them.
_MACRO = "_publish.label_of_"

_OF_BOOLEANS = {
    ValueKind.CHECKBOX: {"1": "Checked", "0": "Unchecked"},
    ValueKind.BOOLEAN_YESNO: {"1": "Yes", "0": "No"},
    ValueKind.BOOLEAN_TRUEFALSE: {"1": "True", "0": "False"},
}


def create_label_macros() -> str:
    """The statements that create the macros."""
    bodies = {kind: _of_boolean("v", labels) for kind, labels in _OF_BOOLEANS.items()}
    bodies[ValueKind.STATUS] = _of_text("v", {choice.code: choice.label for choice in STATUS_CHOICES})
    return "; ".join(f"CREATE OR REPLACE MACRO {_MACRO}{kind.value}(v) AS {body}" for kind, body in bodies.items())


def labels_of(column: Column) -> dict[str, str]:
    """The label of every code of a column, codes for missing data included."""
    labels = {choice.code: choice.label for choice in column.missing} | _OF_BOOLEANS.get(column.kind, {})
    if sql_type(column.kind) is None:
        labels |= {choice.code: choice.label for choice in column.choices}
    return labels


def label_of_typed(column: Column) -> str | None:
    """A column of the table with types with labels instead of codes; None if it has none."""
    if sql_type(column.kind) is None:
        return label_of_verbatim(column)
    # Every type with labels is BOOLEAN.
    return f"{_MACRO}{column.kind.value}({identifier(column.name)})" if labels_of(column) else None


def label_of_verbatim(column: Column) -> str | None:
    """A verbatim column with labels instead of codes; None if it has none.

    A column that may hold codes for missing data is text, because their labels are.
    """
    if not (labels := labels_of(column)):
        return None
    if column.kind is ValueKind.STATUS and not column.missing:
        return f"{_MACRO}{column.kind.value}({identifier(column.name)})"
    return _of_text(identifier(column.name), labels)


def _of_boolean(value: str, labels: Mapping[str, str]) -> str:
    return f"CASE {value} WHEN true THEN {literal(labels['1'])} WHEN false THEN {literal(labels['0'])} END"


def _of_text(value: str, labels: Mapping[str, str]) -> str:
    whens = " ".join(f"WHEN {literal(code)} THEN {literal(label)}" for code, label in labels.items())
    # A code that is not in the dictionary is shown as it is: hiding it would lose it.
    return f"CASE {value} {whens} ELSE {value} END"
