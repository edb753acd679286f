"""How an instrument is shown to analysts: the text of the SELECTs of p, p_labels and p_raw. Pure.

The statements are stored in the mirror when a load ends; publishing only runs them, with a FROM appended. They have no
placeholder, because labels may contain any text, braces too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.tables.casts import cast, cast_instance, cast_survey_timestamp
from pipelines.warehouse.tables.labels import label_of_typed, label_of_verbatim, labels_of
from pipelines.warehouse.tables.layout import (
    DATA_ACCESS_GROUP,
    EVENT,
    REPEAT_INSTANCE,
    SURVEY_IDENTIFIER,
    Column,
    InstrumentTable,
    Layout,
)
from pipelines.warehouse.tables.types import sql_type

# What the view of labels is a SELECT of: the table with types, or where that lacks a text to show, the verbatim rows.
TYPED, VERBATIM = "typed", "verbatim"


@dataclass(frozen=True, slots=True)
class Publication:
    """How one instrument is published, and descriptions of its columns."""

    instrument: str
    keys: dict[str, str]
    """The key columns readers see: REDCap's name for each name in the mirror."""
    raw_select: str
    typed_select: str
    label_select: str
    labels_from: str
    """TYPED or VERBATIM."""
    table_comment: str
    column_comments: dict[str, str]
    hidden: dict[str, str]
    """How earlier values of columns that the token no longer sees get their type, in SQL; only those that have one."""


def publication(
    layout: Layout, table: InstrumentTable, *, instances: bool, invalid: Collection[str] = ()
) -> Publication:
    """How one instrument is published; `instances` says whether its rows have an instance.

    `invalid` are the columns with values that do not fit their type, which the table with types lacks.
    """
    keys = _keys(layout, table, instances)
    labels_from = TYPED if all(_has_its_text(column, invalid) for column in table.columns) else VERBATIM
    typed_select = _select(keys, table)
    return Publication(
        instrument=table.name,
        keys=dict(keys),
        raw_select="SELECT " + ", ".join(_keys_shown(keys) + [identifier(c.name) for c in table.columns]),
        typed_select=typed_select,
        label_select=_labels_of_typed(table) if labels_from == TYPED else _select(keys, table, labels=True),
        labels_from=labels_from,
        table_comment=table.label or table.name,
        column_comments=_comments(layout, table, [name for _, name in keys]),
        hidden={column.name: typed for column in table.hidden if (typed := _typed(column))},
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


def _keys_shown(keys: list[tuple[str, str]]) -> list[str]:
    return [f"{shown(column)} AS {identifier(name)}" for column, name in keys]


def _select(keys: list[tuple[str, str]], table: InstrumentTable, *, labels: bool = False) -> str:
    """A SELECT of verbatim rows with types, or also with labels."""
    parts = [f"{_typed_key(column)} AS {identifier(name)}" for column, name in keys]
    for column in table.columns:
        expression = (label_of_verbatim(column) if labels else None) or _typed(column)
        parts.append(f"{expression} AS {identifier(column.name)}" if expression else identifier(column.name))
    return "SELECT " + ", ".join(parts)


def _typed(column: Column) -> str | None:
    return cast(column.kind, identifier(column.name), [choice.code for choice in column.missing])


def shown(column: str) -> str:
    """A column of a mirror's table as readers see it, in SQL: keys that do not apply are NULL there, and blank here."""
    return f"nullif({column}, '')" if column in ("_event", "_instance") else identifier(column)


def _typed_key(column: str) -> str:
    if column == "_instance":
        return cast_instance(shown(column))
    return cast_survey_timestamp(shown(column)) if column == "_survey_timestamp" else shown(column)


def _has_its_text(column: Column, invalid: Collection[str]) -> bool:
    """Whether the label of every value can be told from the table with types."""
    if sql_type(column.kind) is None or not labels_of(column):
        return True
    return not column.missing and column.name not in invalid and column.field not in invalid


def _labels_of_typed(table: InstrumentTable) -> str:
    """A SELECT of the table with types, in which codes are replaced by their labels."""
    replaced = [
        f"{label} AS {identifier(column.name)}" for column in table.columns if (label := label_of_typed(column))
    ]
    return f"SELECT * REPLACE ({', '.join(replaced)})" if replaced else "SELECT *"


def _comments(layout: Layout, table: InstrumentTable, keys: list[str]) -> dict[str, str]:
    key_comments = {
        layout.record_id_field: layout.record_id_label,
        EVENT: "Event, by its unique name",
        REPEAT_INSTANCE: "Number of the repeating instance; empty where nothing repeats",
        DATA_ACCESS_GROUP: "Data access group, by its unique name",
        SURVEY_IDENTIFIER: "Survey participant's identifier",
        f"{table.name}_timestamp": "When the survey was completed, in the server's local time",
    }
    # Where REDCap has no label, the name of the field is its description.
    comments = {key: key_comments[key] or key for key in keys}
    return comments | {column.name: _comment(column) or column.name for column in table.columns}


def _comment(column: Column) -> str:
    if column.code is not None:
        known = (*column.choices, *column.missing)
        option = next((choice.label for choice in known if choice.code == column.code), column.code)
        return f"{column.label} [{option}]" if column.label else option
    if not column.choices:
        return column.label
    listed = " | ".join(f"{choice.code}, {choice.label}" for choice in column.choices)
    return f"{column.label} [{listed}]" if column.label else listed
