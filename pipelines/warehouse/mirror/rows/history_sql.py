"""Statements that keep earlier versions of rows and record changed cells. Text only, nothing is executed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.tables.layout import rows_past

# How redcap.record_changes names what happened to a row; SQL.
INSERT, DELETE = "'insert'", "'delete'"


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of an instrument, before and after; both as SQL over the rows given with it."""

    field: str
    """REDCap's name."""
    old: str
    new: str


def cells_of(columns: Sequence[tuple[str, str]], old: str | None, new: str | None) -> list[Cell]:
    """The cells of an instrument's columns, given as (name in the mirror, REDCap's name).

    `old` and `new` name the sides of a join; None for a side on which there is no row.
    """

    def side(alias: str | None, name: str) -> str:
        return "NULL" if alias is None else f"{alias}.{identifier(name)}"

    return [Cell(field, side(old, name), side(new, name)) for name, field in columns]


def insert_versions(project: str, instrument: str, rows: str) -> str:
    """Keep the rows of a query as versions that ended at $now, except those that the run $run_id itself wrote."""
    return (
        f"INSERT INTO {rows_past(project, instrument)} BY NAME "
        f"SELECT *, $now AS _valid_to, $run_id AS _closed_run FROM ({rows}) WHERE _run_id <> $run_id"
    )


def insert_cell_changes(cells: Sequence[Cell], rows: str, *, change: str, keys: str) -> str:
    """A row of redcap.record_changes for each cell that differs.

    `rows` follows FROM, `keys` is the alias (with its dot) of the rows that have the keys; `change` is SQL.
    """
    names, olds, news = (
        ", ".join(part) for part in zip(*((literal(c.field), c.old, c.new) for c in cells), strict=True)
    )
    return f"""
        INSERT INTO redcap.record_changes
        SELECT $project, _record, nullif(_event, ''), $instrument, nullif(_instance, ''), field, old, new, change,
               $now, $run_id, 'redcap', NULL, NULL, NULL
        FROM (
            SELECT {keys}_record, {keys}_event, {keys}_instance, {change} AS change, unnest([{names}]) AS field,
                   unnest([{olds}]::VARCHAR[]) AS old, unnest([{news}]::VARCHAR[]) AS new
            FROM {rows}
        )
        WHERE old IS DISTINCT FROM new
        """
