"""Records that REDCap no longer has: renamed, or deleted for good; in the caller's transaction.

An export shows neither. A deletion shows by the record's absence; a rename by the absence of one id and the appearance
of another with the same data, and by a row of the log where the token may read it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.mirror.rows import deletions_sql
from pipelines.warehouse.mirror.rows.history import RunStamp, close_versions, mark_changed, record_cell_changes
from pipelines.warehouse.mirror.rows.history_sql import DELETE, cells_of
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import InstrumentTable, Layout, work_columns

# Every missing record is compared with every new one; more pairs than this are not one day's renaming.
MAX_PAIRS = 250_000

_OLD_IDS = "SELECT old FROM renamed"
_DELETED = "SELECT record FROM deleted"


@dataclass(frozen=True, slots=True)
class Removals:
    """How many records were removed."""

    deleted: int = 0
    renamed: int = 0
    rows: int = 0
    """Rows of the deleted ones."""


def find_renames(connection: Connection, project: str, layout: Layout, missing: Collection[str]) -> dict[str, str]:
    """The new ids of the missing records that were renamed.

    Two records are one if REDCap's log says that the new one was renamed and at least half of their cells agree, or
    if all of their cells do and no other pair matches as well.
    """
    sql = statements("deletions")
    connection.execute(sql["make_missing"], {"ids": list(missing)})
    connection.execute(sql["make_appeared"])
    appeared = count(connection, sql["count_appeared"])
    if not appeared or len(missing) * appeared > MAX_PAIRS:
        return {}
    connection.execute(sql["make_candidate_cells"])
    for table in layout.instruments:
        for kind in ("missing", "appeared"):
            connection.execute(deletions_sql.fill_candidate_cells(project, layout, table, kind))
    pairs = connection.execute(sql["pairs"]).fetchall()
    connection.execute(sql["drop_candidates"])
    return dict(pairs)


def rename(connection: Connection, layout: Layout, renames: Mapping[str, str], stamp: RunStamp) -> None:
    """Move the rows of old ids to the history, and record what is new of the new ids as changes of the old ones."""
    if not renames:
        return
    sql = statements("deletions")
    connection.execute(sql["make_renamed"], {"old": list(renames.keys()), "new": list(renames.values())})
    connection.execute(sql["delete_changes_of_new_ids"])
    connection.execute(sql["rename_changes"], {"run_id": stamp.run_id})
    for table in layout.instruments:
        _rename_rows(connection, layout, table, stamp)
    values = {"project": stamp.project, "field": layout.record_id_field, "now": stamp.now, "run_id": stamp.run_id}
    connection.execute(sql["record_renames"], values)
    connection.execute(sql["inherit_first_seen"])
    connection.execute(sql["mark_renamed"], {"now": stamp.now})
    connection.execute(sql["delete_invalid_values_of_old_ids"])
    connection.execute(sql["drop_renamed"])


def _rename_rows(connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp) -> None:
    record_cell_changes(
        connection,
        table.name,
        cells_of(work_columns(layout, table), "po", "ne"),
        deletions_sql.renamed_rows(stamp.project, table.name),
        stamp,
        change=deletions_sql.CHANGE,
        keys="d.",
    )
    close_versions(connection, table.name, deletions_sql.rows_of(stamp.project, table.name, _OLD_IDS), stamp)
    _delete_rows(connection, table, _OLD_IDS, stamp)


def tombstone(connection: Connection, layout: Layout, records: Sequence[str], stamp: RunStamp) -> int:
    """Delete records from the tables, leaving a tombstone of each in redcap.records; returns how many rows they had."""
    if not records:
        return 0
    sql = statements("deletions")
    connection.execute(sql["make_deleted"], {"ids": list(records)})
    deleted = sum(_tombstone_rows(connection, layout, table, stamp) for table in layout.instruments)
    connection.execute(sql["mark_deleted"], {"now": stamp.now})
    connection.execute(sql["delete_invalid_values_of_deleted"])
    connection.execute(sql["drop_deleted"])
    return deleted


def _tombstone_rows(connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp) -> int:
    rows = deletions_sql.rows_of(stamp.project, table.name, _DELETED)
    cells = cells_of(work_columns(layout, table), "b", None)
    record_cell_changes(connection, table.name, cells, f"({rows}) b", stamp, change=DELETE)
    close_versions(connection, table.name, rows, stamp)
    return _delete_rows(connection, table, _DELETED, stamp)


def _delete_rows(connection: Connection, table: InstrumentTable, records: str, stamp: RunStamp) -> int:
    deleted = count(connection, deletions_sql.delete_rows(stamp.project, table.name, records))
    if deleted:
        mark_changed(connection, [table.name], stamp)
    return deleted


def unexplained_ids(connection: Connection, stamp: RunStamp) -> int:
    """How many records got a new id by REDCap's log without the loads finding which one they had before.

    Where ids are exchanged, or one is given to another record the day it becomes free, no id is missing: the data looks
    as if one person's values had become another's. Each row of the log is examined once, after the changes are signed.
    """
    sql = statements("deletions")
    if one(connection, sql["any_id_change"]) is None:
        return 0
    run = {"run_id": stamp.run_id}
    connection.execute(sql["record_id_changes"], run)
    connection.execute(sql["delete_id_changes"], run)
    return count(connection, sql["unexplained_ids"], run)
