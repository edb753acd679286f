"""Nothing is lost when rows change: a row's previous version is kept, and each cell that changed is recorded.

Versions that ended are in tables of their own, one for each instrument, beside those of the present rows. Everything
here runs in the caller's transaction. Not here: which rows change (merge.py, deletions.py, ../schema/migrate.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.mirror.rows.followed import record_followed
from pipelines.warehouse.mirror.rows.history_sql import Cell, insert_cell_changes, insert_versions
from pipelines.warehouse.sql import statements

# Cells of a row that are compared in one statement: beyond that, the cost of each grows with their number.
AT_ONCE = 600


@dataclass(frozen=True, slots=True)
class RunStamp:
    """The run that is writing, as it is stored with the rows."""

    project: str
    run_id: str
    now: datetime
    hash_key: str = field(default="", repr=False)
    """What identifiers are hashed with, where the project's configuration asks for that."""
    baseline: bool = False
    """Whether no load of the project ever ended well: its history begins with what this one brings."""


def close_versions(connection: Connection, instrument: str, rows: str, stamp: RunStamp) -> None:
    """Keep rows that are about to be replaced or removed; `rows` is a query with the columns of the present rows.

    Rows that this same run wrote were never shown to anyone, so they are not kept; nor are any before a first load has
    ended.
    """
    if stamp.baseline:
        return
    statement = insert_versions(stamp.project, instrument, rows)
    connection.execute(statement, {"now": stamp.now, "run_id": stamp.run_id})


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
    """Add a row to redcap.record_changes for each cell that differs.

    `rows` follows FROM, `keys` is the alias (with its dot) of the rows that have the keys; `change` is SQL.
    Nothing is recorded of a first load: its rows themselves show what it brought, and publishing lists them as changes.
    """
    if stamp.baseline:
        return
    values = {"project": stamp.project, "instrument": instrument, "now": stamp.now, "run_id": stamp.run_id}
    for first in range(0, len(cells), AT_ONCE):
        some = cells[first : first + AT_ONCE]
        connection.execute(insert_cell_changes(some, rows, change=change, keys=keys), values)


def mark_changed(connection: Connection, instruments: Collection[str], stamp: RunStamp) -> None:
    """Record that rows of these instruments changed; the next publish copies only such instruments."""
    if instruments:
        values = {"run_id": stamp.run_id, "now": stamp.now, "instruments": list(instruments)}
        connection.execute(statements("tables")["mark_changed"], values)


def attribute(connection: Connection, stamp: RunStamp) -> None:
    """Attribute the changes that a load found, and that a write-back made, to write-back.

    After a write-back that died before it could do so, the next load finds its cells. That load has read everything
    that changed, so cells it did not find are not looked for again: the same value next month is somebody else's.
    """
    sql = statements("writeback")
    if not count(connection, sql["is_there"]) or not count(connection, sql["count_waiting"]):
        return
    run = {"run_id": stamp.run_id}
    connection.execute(sql["attribute"], run)
    connection.execute(sql["mark_accounted"], run)
    record_followed(connection, stamp.project, stamp.run_id, stamp.now, None)
    connection.execute(sql["mark_passed"], run)
    connection.execute(sql["total_batches"])
