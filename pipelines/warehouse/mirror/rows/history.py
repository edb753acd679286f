"""Nothing is lost when rows change: what a row was is kept as a version of it, and each changed cell is noted.

Versions that ended lie beside the rows of today in tables of their own, one an instrument; layout.py names them.
Which rows change is the business of apply.py and mirror.py; all this happens in their transactions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.mirror.rows.followed import record_followed
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import rows_past

# Cells of a row that are compared in one statement: beyond, what each costs grows with their number.
AT_ONCE = 600

# How `record_changes` tells what happened to a row; SQL.
INSERT, UPDATE, DELETE = "'insert'", "'update'", "'delete'"


@dataclass(frozen=True, slots=True)
class RunStamp:
    """Which load is writing, for every row that says so."""

    project: str
    run_id: str
    now: datetime
    hash_key: str = field(default="", repr=False)
    """What identifiers are hashed with, where the project's configuration asks for that."""
    baseline: bool = False
    """Whether the project was never loaded to the end: what is there then is where its history begins."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of an instrument, before and after; both as SQL, over the rows given with it."""

    field: str
    """REDCap's name."""
    old: str
    new: str


def close_versions(connection: Connection, instrument: str, rows: str, stamp: RunStamp) -> None:
    """Keep rows that are about to be replaced or removed; `rows` is a query of the columns of the table of today.

    What this very run wrote was never shown to anyone, so it is no version; nor is what came before a first load ended.
    """
    if stamp.baseline:
        return
    connection.execute(
        f"INSERT INTO {rows_past(stamp.project, instrument)} BY NAME "
        f"SELECT *, $now AS _valid_to, $run_id AS _closed_run FROM ({rows}) WHERE _run_id <> $run_id",
        {"now": stamp.now, "run_id": stamp.run_id},
    )


def record_cell_changes(
    connection: Connection,
    instrument: str,
    cells: Sequence[Cell],
    rows: str,
    stamp: RunStamp,
    *,
    change: str,
    keys: str = "",
) -> None:
    """A row of record_changes for each cell that differs.

    `rows` is what stands behind FROM, `keys` the alias (with its dot) of what has the keys in it; `change` is SQL.
    Of a first load nothing is noted: its rows themselves say what came, and publishing shows them as changes.
    """
    if stamp.baseline:
        return
    for first in range(0, len(cells), AT_ONCE):
        _note_some_cells(connection, instrument, cells[first : first + AT_ONCE], rows, stamp, change=change, keys=keys)


def _note_some_cells(
    connection: Connection,
    instrument: str,
    cells: Sequence[Cell],
    rows: str,
    stamp: RunStamp,
    *,
    change: str,
    keys: str,
) -> None:
    names, olds, news = (
        ", ".join(part) for part in zip(*((literal(c.field), c.old, c.new) for c in cells), strict=True)
    )
    connection.execute(
        f"""
        INSERT INTO redcap.record_changes
        SELECT $project, _record, nullif(_event, ''), $instrument, nullif(_instance, ''), field, old, new, change,
               $now, $run_id, 'redcap', NULL, NULL, NULL
        FROM (
            SELECT {keys}_record, {keys}_event, {keys}_instance, {change} AS change, unnest([{names}]) AS field,
                   unnest([{olds}]::VARCHAR[]) AS old, unnest([{news}]::VARCHAR[]) AS new
            FROM {rows}
        )
        WHERE old IS DISTINCT FROM new
        """,
        {
            "project": stamp.project,
            "instrument": instrument,
            "now": stamp.now,
            "run_id": stamp.run_id,
        },
    )


def mark_changed(connection: Connection, instruments: Collection[str], stamp: RunStamp) -> None:
    """The instruments' rows are not what they were; publishing looks at these."""
    if instruments:
        connection.execute(
            statements("tables")["mark_changed"],
            {"run_id": stamp.run_id, "now": stamp.now, "instruments": list(instruments)},
        )


def attribute(connection: Connection, stamp: RunStamp) -> None:
    """Give the changes that a load found, and that are our own writing, to write-back; does nothing where none was.

    After a write-back that died before it could, the next load finds its cells. It has looked at all that changed, so
    what it did not find of ours is not looked for again: the same value next month is somebody else's.
    """
    sql = statements("writeback")
    there = connection.execute(sql["is_there"]).fetchone()
    if not (there and there[0]):
        return
    (waiting,) = connection.execute(sql["count_waiting"]).fetchone() or (0,)
    if not waiting:
        return
    run = {"run_id": stamp.run_id}
    connection.execute(sql["attribute"], run)
    connection.execute(sql["mark_accounted"], run)
    record_followed(connection, stamp.project, stamp.run_id, stamp.now, None)
    connection.execute(sql["mark_passed"], run)
    connection.execute(sql["total_batches"])


def cells_of(shown: Sequence[tuple[str, str]], old: str | None, new: str | None) -> list[Cell]:
    """The cells of an instrument's columns; `old` and `new` name the side of a join, None where there is nothing."""

    def side(alias: str | None, name: str) -> str:
        return "NULL" if alias is None else f"{alias}.{identifier(name)}"

    return [Cell(answer, side(old, name), side(new, name)) for name, answer in shown]
