"""Statements that make and alter an instrument's tables. Pure: text only, nothing is executed here."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.tables.layout import rows_now, rows_past


def create_rows(project: str, instrument: str, columns: Sequence[str]) -> str:
    """The table of an instrument's rows as they are now."""
    return f"CREATE TABLE {rows_now(project, instrument)} ({_texts(columns)}, _valid_from TIMESTAMP, _run_id VARCHAR)"


def create_versions(project: str, instrument: str, columns: Sequence[str]) -> str:
    """The table of the versions of an instrument's rows that were replaced or removed."""
    return (
        f"CREATE TABLE {rows_past(project, instrument)} ({_texts(columns)}, "
        "_valid_from TIMESTAMP, _valid_to TIMESTAMP, _run_id VARCHAR, _closed_run VARCHAR)"
    )


def rebuild_rows(project: str, instrument: str, columns: Sequence[str], present: Sequence[str]) -> str:
    """The table of present rows with other columns; those that are not `present` are empty.

    Rebuilt rather than altered, so that the columns are in the dictionary's order.
    """
    target = rows_now(project, instrument)
    shown = ", ".join(
        identifier(name) if name in present else f"NULL::VARCHAR AS {identifier(name)}" for name in columns
    )
    return f"CREATE OR REPLACE TABLE {target} AS SELECT {shown}, _valid_from, _run_id FROM {target}"


def add_column(table: str, column: str) -> str:
    """A further column of text; `table` is quoted already."""
    return f"ALTER TABLE {table} ADD COLUMN {identifier(column)} VARCHAR"


def rename_table(table: str, name: str) -> str:
    """Another name for a table in its schema; `table` is quoted already."""
    return f"ALTER TABLE {table} RENAME TO {identifier(name)}"


def rename_column(table: str, old: str, new: str) -> str:
    """Another name for a column; `table` is quoted already."""
    return f"ALTER TABLE {table} RENAME COLUMN {identifier(old)} TO {identifier(new)}"


def create_schema(name: str) -> str:
    """A schema, where it does not exist yet."""
    return f"CREATE SCHEMA IF NOT EXISTS {identifier(name)}"


def drop_table(table: str) -> str:
    """A table that is no longer needed; `table` is quoted already."""
    return f"DROP TABLE {table}"


def _texts(columns: Sequence[str]) -> str:
    return ", ".join(f"{identifier(name)} VARCHAR" for name in columns)
