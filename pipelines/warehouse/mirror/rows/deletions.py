"""Records that are gone from REDCap: renamed, or deleted for good; in the caller's transaction.

REDCap tells of neither in an export. A deletion shows by the record's absence; a rename by the absence of one id and
the appearance of another with the same data, and by a row of the log where the token may read it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.mirror.rows.history import (
    DELETE,
    RunStamp,
    cells_of,
    close_versions,
    mark_changed,
    record_cell_changes,
)
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import InstrumentTable, Layout, rows_now, work_columns

# Every pair of a record that went and one that came is compared; more pairs are not a day's work of renaming.
MOST_PAIRS = 250_000


@dataclass(frozen=True, slots=True)
class Removals:
    """What became of records that are gone, in counts."""

    deleted: int = 0
    renamed: int = 0
    rows: int = 0
    """Rows that left with the deleted ones."""


def find_renames(connection: Connection, project: str, layout: Layout, gone: Collection[str]) -> dict[str, str]:
    """For those of the records gone that live on, their new ids.

    Two records are one if REDCap's log says that the new one was renamed and at least half of their cells agree, or
    if all of their cells do and no other pair fits as well.
    """
    sql = statements("departure")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gone AS SELECT unnest($ids::VARCHAR[]) AS record", {"ids": list(gone)}
    )
    connection.execute(sql["come"])
    came = connection.execute("SELECT count(*), count(*) FILTER (logged) FROM come").fetchone() or (0, 0)
    if not came[0] or len(gone) * came[0] > MOST_PAIRS:
        return {}
    connection.execute(sql["make_cells"])
    for table in layout.instruments:
        for kind in ("gone", "come"):
            connection.execute(_cells(project, layout, table, kind))
    pairs = connection.execute(sql["pairs"]).fetchall()
    connection.execute("DROP TABLE departing_cells; DROP TABLE come; DROP TABLE gone")
    return dict(pairs)


def _cells(project: str, layout: Layout, table: InstrumentTable, kind: str) -> str:
    shown = work_columns(layout, table)
    names = ", ".join(literal(answer) for _, answer in shown)
    values = ", ".join(identifier(name) for name, _ in shown)
    return (
        f"INSERT INTO departing_cells SELECT {literal(kind)}, _record, {literal(table.name)}, _event, _instance, "
        f"field, value FROM (SELECT _record, _event, _instance, unnest([{names}]) AS field, "
        f"unnest([{values}]) AS value "
        f"FROM {rows_now(project, table.name)} WHERE _record IN (SELECT record FROM {kind})) WHERE value IS NOT NULL"
    )


def rename(connection: Connection, layout: Layout, renames: Mapping[str, str], stamp: RunStamp) -> None:
    """The rows of the old ids become history, and what was noted of the new ids is told as changes of the old ones."""
    if not renames:
        return
    sql = statements("departure")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE renamed AS SELECT unnest($old::VARCHAR[]) AS old, unnest($new::VARCHAR[]) AS new",
        {"old": list(renames.keys()), "new": list(renames.values())},
    )
    connection.execute(sql["forget_arrivals"])
    connection.execute(sql["follow"], {"run_id": stamp.run_id})
    for table in layout.instruments:
        _rename_rows(connection, layout, table, stamp)
    values = {"project": stamp.project, "field": layout.record_id_field, "now": stamp.now, "run_id": stamp.run_id}
    connection.execute(sql["note_renames"], values)
    connection.execute(sql["inherit"])
    connection.execute(sql["move_records"], {"now": stamp.now})
    connection.execute("DELETE FROM redcap.invalid_values WHERE record IN (SELECT old FROM renamed)")
    connection.execute("DROP TABLE renamed")


def _rename_rows(connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp) -> None:
    target = rows_now(stamp.project, table.name)
    old = f"SELECT * FROM {target} WHERE _record IN (SELECT old FROM renamed)"
    rows = (
        f"(SELECT coalesce(n._record, r.new) AS _record, coalesce(n._event, p._event) AS _event, "
        f"coalesce(n._instance, p._instance) AS _instance, p._record IS NULL AS _came, n._record IS NULL AS _went, "
        f"p._record AS _p, n._record AS _n FROM (SELECT _record, _event, _instance FROM {target} "
        f"WHERE _record IN (SELECT old FROM renamed)) p JOIN renamed r ON r.old = p._record "
        f"FULL JOIN (SELECT _record, _event, _instance FROM {target} "
        f"WHERE _record IN (SELECT new FROM renamed)) n "
        f"ON n._record = r.new AND n._event = p._event AND n._instance = p._instance) d "
        f"LEFT JOIN {target} po ON po._record = d._p AND po._event = d._event AND po._instance = d._instance "
        f"LEFT JOIN {target} ne ON ne._record = d._n AND ne._event = d._event AND ne._instance = d._instance"
    )
    record_cell_changes(
        connection,
        table.name,
        cells_of(work_columns(layout, table), "po", "ne"),
        rows,
        stamp,
        change="CASE WHEN d._came THEN 'insert' WHEN d._went THEN 'delete' ELSE 'update' END",
        keys="d.",
    )
    close_versions(connection, table.name, old, stamp)
    _remove(connection, table, "SELECT old FROM renamed", stamp)


def tombstone(connection: Connection, layout: Layout, records: Sequence[str], stamp: RunStamp) -> int:
    """Records that are gone for good leave the tables and become tombstones; returns how many rows went."""
    if not records:
        return 0
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE buried AS SELECT unnest($ids::VARCHAR[]) AS record", {"ids": list(records)}
    )
    deleted = sum(_tombstone_rows(connection, layout, table, stamp) for table in layout.instruments)
    connection.execute(
        "UPDATE redcap.records SET deleted_at = $now, last_changed = $now WHERE record IN (SELECT record FROM buried)",
        {"now": stamp.now},
    )
    connection.execute("DELETE FROM redcap.invalid_values WHERE record IN (SELECT record FROM buried)")
    connection.execute("DROP TABLE buried")
    return deleted


def _tombstone_rows(connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp) -> int:
    rows = f"SELECT * FROM {rows_now(stamp.project, table.name)} WHERE _record IN (SELECT record FROM buried)"
    cells = cells_of(work_columns(layout, table), "b", None)
    record_cell_changes(connection, table.name, cells, f"({rows}) b", stamp, change=DELETE)
    close_versions(connection, table.name, rows, stamp)
    return _remove(connection, table, "SELECT record FROM buried", stamp)


def _remove(connection: Connection, table: InstrumentTable, records: str, stamp: RunStamp) -> int:
    target = rows_now(stamp.project, table.name)
    row = connection.execute(f"DELETE FROM {target} WHERE _record IN ({records})").fetchone()
    deleted = int(row[0]) if row else 0
    if deleted:
        mark_changed(connection, [table.name], stamp)
    return deleted


def unexplained_ids(connection: Connection, stamp: RunStamp) -> int:
    """How many records got another id by REDCap's log, and what the loads found does not show which they had before.

    Where ids are exchanged, or one is given to another record the day it became free, no id is gone: the data read as
    one person's values becoming another's. Each row of the log is looked at once. In the caller's transaction, once
    the changes are signed.
    """
    sql = statements("departure")
    if connection.execute(sql["any_id_change"]).fetchone() is None:
        return 0
    connection.execute(sql["note_id_changes"], {"run_id": stamp.run_id})
    connection.execute(sql["forget_id_changes"], {"run_id": stamp.run_id})
    row = connection.execute(sql["unexplained_ids"], {"run_id": stamp.run_id}).fetchone()
    return int(row[0]) if row else 0
