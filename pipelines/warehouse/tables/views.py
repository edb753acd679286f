"""How an instrument is shown to analysts: the text of the SELECTs of the views in p, p_labels and p_raw. Pure.

The statements are stored in the mirror when a load ends; publishing only runs them, with a FROM appended. They have no
placeholder, because labels may contain any text, braces too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.tables.layout import (
    DATA_ACCESS_GROUP,
    EVENT,
    REPEAT_INSTANCE,
    SURVEY_IDENTIFIER,
    Column,
    InstrumentTable,
    Layout,
)
from pipelines.warehouse.tables.types import INSTANCE, SURVEY_TIMESTAMP, sql_type
from redcap_source.dictionary import ValueKind


@dataclass(frozen=True, slots=True)
class Publication:
    """One instrument's three views, and descriptions of its columns."""

    instrument: str
    keys: dict[str, str]
    """The key columns readers see: REDCap's name for each name in the mirror."""
    raw_select: str
    typed_select: str
    label_select: str
    table_comment: str
    column_comments: dict[str, str]


def publication(
    layout: Layout, table: InstrumentTable, *, instances: bool, inexact: Collection[str] = ()
) -> Publication:
    """How one instrument is published; `instances` says whether its rows have an instance.

    `inexact` are the columns that hold numbers which their type would change. The views test only these: the test makes
    a view three times as long, and each comment on a view makes a copy of it.
    """
    keys = _keys(layout, table, instances)

    def typed(column: Column) -> str:
        return _typed(column, exactly=column.name in inexact)

    def labelled(column: Column) -> str:
        return _labelled(column) or typed(column)

    return Publication(
        instrument=table.name,
        keys=dict(keys),
        raw_select=_select([(shown(column), name) for column, name in keys], table, _verbatim),
        typed_select=_select([(_typed_key(column), name) for column, name in keys], table, typed),
        label_select=_select([(_typed_key(column), name) for column, name in keys], table, labelled),
        table_comment=table.label,
        column_comments=_comments(layout, table, [name for _, name in keys]),
    )


def _keys(layout: Layout, table: InstrumentTable, instances: bool) -> list[tuple[str, str]]:
    """The key columns a reader sees, as (name in the mirror, REDCap's name)."""
    keys = [("_record", layout.record_id_field)]
    if layout.longitudinal:
        keys.append(("_event", EVENT))
    if instances:
        keys.append(("_instance", REPEAT_INSTANCE))
    if layout.data_access_groups:
        keys.append(("_data_access_group", DATA_ACCESS_GROUP))
    if table.survey and layout.survey_identifier:
        keys.append(("_survey_identifier", SURVEY_IDENTIFIER))
    if table.survey:
        keys.append(("_survey_timestamp", f"{table.name}_timestamp"))
    return keys


def _select(keys: list[tuple[str, str]], table: InstrumentTable, show: Callable[[Column], str]) -> str:
    parts = [f"{expression} AS {identifier(name)}" for expression, name in keys]
    parts += [f"{show(column)} AS {identifier(column.name)}" for column in table.columns]
    return "SELECT " + ", ".join(parts)


def shown(column: str) -> str:
    """A column of a mirror's table as readers see it, in SQL: keys that do not apply are NULL there, and blank here."""
    return f"nullif({column}, '')" if column in ("_event", "_instance") else identifier(column)


def _typed_key(column: str) -> str:
    if column == "_instance":
        return INSTANCE.of(shown(column))
    return SURVEY_TIMESTAMP.of(shown(column)) if column == "_survey_timestamp" else shown(column)


def _verbatim(column: Column) -> str:
    return identifier(column.name)


def _typed(column: Column, *, exactly: bool) -> str:
    shown = sql_type(column.kind)
    name = identifier(column.name)
    return name if shown is None else shown.of(name, [choice.code for choice in column.missing], exactly=exactly)


_FIXED_LABELS = {
    ValueKind.CHECKBOX: {"1": "Checked", "0": "Unchecked"},
    ValueKind.BOOLEAN_YESNO: {"1": "Yes", "0": "No"},
    ValueKind.BOOLEAN_TRUEFALSE: {"1": "True", "0": "False"},
}


def _labelled(column: Column) -> str | None:
    """A column with labels instead of codes, as in REDCap's own label export; None if it has no labels.

    A column that may hold codes for missing data is text, because their labels are.
    """
    labels = {choice.code: choice.label for choice in column.missing} | _FIXED_LABELS.get(column.kind, {})
    if sql_type(column.kind) is None:
        labels |= {choice.code: choice.label for choice in column.choices}
    if not labels:
        return None
    name = identifier(column.name)
    whens = " ".join(f"WHEN {literal(code)} THEN {literal(label)}" for code, label in labels.items())
    # A code that is not in the dictionary is shown as it is: hiding it would lose it.
    return f"CASE {name} {whens} ELSE {name} END"


def _comments(layout: Layout, table: InstrumentTable, keys: list[str]) -> dict[str, str]:
    key_comments = {
        layout.record_id_field: layout.record_id_label,
        EVENT: "Event, by its unique name",
        REPEAT_INSTANCE: "Number of the repeating instance; empty where nothing repeats",
        DATA_ACCESS_GROUP: "Data access group, by its unique name",
        SURVEY_IDENTIFIER: "Survey participant's identifier",
        f"{table.name}_timestamp": "When the survey was completed, in the server's local time",
    }
    comments = {key: key_comments[key] for key in keys if key_comments[key]}
    return comments | {column.name: comment for column in table.columns if (comment := _comment(column))}


def _comment(column: Column) -> str:
    if column.code is not None:
        known = (*column.choices, *column.missing)
        option = next((choice.label for choice in known if choice.code == column.code), column.code)
        return f"{column.label} [{option}]" if column.label else option
    if not column.choices:
        return column.label
    listed = " | ".join(f"{choice.code}, {choice.label}" for choice in column.choices)
    return f"{column.label} [{listed}]" if column.label else listed
