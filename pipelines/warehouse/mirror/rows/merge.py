"""Stores verified chunks in a mirror: in the caller's transaction, and only rows that differ.

Not here: verifying that answers are whole (staging/verify.py), and which tables there are (tables/layout.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.mirror.rows.batch import stage
from pipelines.warehouse.mirror.rows.hash_key import save_fingerprint
from pipelines.warehouse.mirror.rows.history import RunStamp, mark_changed
from pipelines.warehouse.mirror.rows.invalid_values import strays
from pipelines.warehouse.mirror.rows.merge_instrument import InstrumentMerge, RowCounts
from pipelines.warehouse.mirror.rows.merge_sql import flag
from pipelines.warehouse.sql import statements
from pipelines.warehouse.staging.column_groups import StagedChunk, column_groups
from pipelines.warehouse.tables.layout import InstrumentTable, Layout


def apply_chunks(
    connection: Connection,
    layout: Layout,
    chunks: Sequence[StagedChunk],
    stamp: RunStamp,
    *,
    instruments: Collection[str] | None = None,
    recheck: bool = False,
) -> RowCounts:
    """Replace the rows of the chunks' records, in all instruments or in those given.

    Rows that have not changed are not written; of others the previous version is kept. Every cell that differs becomes
    a row of redcap.record_changes, so that these, replayed from the first, give the present rows. Which values do not
    fit is examined again where rows or the instrument's definition changed, and everywhere with `recheck`.
    """
    sql = statements("merge")
    records = [record for chunk in chunks for record in chunk.records]
    connection.execute(sql["make_batch_records"], {"records": records})
    compare = count(connection, sql["count_known_records"]) > 0
    counts = RowCounts()
    changed: list[str] = []
    wanted = [table for table in layout.instruments if instruments is None or table.name in instruments]
    places = {name: f"c{at}" for at, name in enumerate(layout.answer_columns)}
    for sources, tables in column_groups(layout, wanted, chunks):
        stage(connection, layout, places, sources, tables)
        again = frozenset(table.name for table in tables) if recheck else _to_recheck(connection, layout, tables)
        for table in tables:
            merge = InstrumentMerge(connection, layout, table, places, stamp)
            found = merge.run(compare=compare, recheck=table.name in again)
            if found.changed:
                changed.append(table.name)
            counts += found
        connection.execute(sql["drop_batch"])
    connection.execute(sql["drop_incoming_table" if compare else "drop_incoming_view"])
    save_fingerprint(connection, layout, stamp)
    mark_changed(connection, changed, stamp)
    connection.execute(sql["revive_records"], {"now": stamp.now})
    connection.execute(sql["add_records"], {"project": stamp.project, "now": stamp.now})
    connection.execute(sql["drop_batch_records"])
    return counts


def _to_recheck(connection: Connection, layout: Layout, tables: Sequence[InstrumentTable]) -> frozenset[str]:
    """Instruments whose values must be examined even if none of their rows differs.

    Their definition changed, or cells of the batch are, or were, on a row of another instrument: those are in no table.
    """
    found = connection.execute(statements("tables")["stale"]).fetchall()
    stray = strays(connection, layout, [(table, flag(table)) for table in tables])
    return frozenset(name for (name,) in found) | stray
