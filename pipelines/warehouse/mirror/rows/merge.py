"""Putting proven chunks into a project's working file: one transaction, only rows that differ.

What "whole" means is proof.py's business; which tables there are, layout.py's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.mirror.rows.batch import stage
from pipelines.warehouse.mirror.rows.hash_key import note_fingerprint
from pipelines.warehouse.mirror.rows.history import RunStamp, mark_changed
from pipelines.warehouse.mirror.rows.merge_instrument import InstrumentMerge, RowCounts
from pipelines.warehouse.staging.column_groups import StagedChunk, column_groups
from pipelines.warehouse.tables.layout import Layout


def apply_chunks(
    connection: Connection,
    layout: Layout,
    chunks: Sequence[StagedChunk],
    stamp: RunStamp,
    *,
    instruments: Collection[str] | None = None,
) -> RowCounts:
    """Replace the rows of the chunks' records, in all instruments or in those given, inside the caller's transaction.

    Rows that are as they were are not written; of others the old version is kept. Every cell that differs becomes a
    row of record_changes, so that these, replayed from the first, give what is there.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE batch_records AS SELECT unnest($records::VARCHAR[]) AS record",
        {"records": [record for chunk in chunks for record in chunk.records]},
    )
    compare = _known_records(connection) > 0
    touched = RowCounts()
    changed: list[str] = []
    wanted = [table for table in layout.instruments if instruments is None or table.name in instruments]
    places = {name: f"c{at}" for at, name in enumerate(layout.answer_columns)}
    for sources, tables in column_groups(layout, wanted, chunks):
        stage(connection, layout, places, sources, tables)
        for table in tables:
            found = InstrumentMerge(connection, layout, table, places, stamp).run(compare=compare)
            if found.inserted or found.updated or found.deleted:
                changed.append(table.name)
            touched += found
        connection.execute("DROP TABLE batch")
    connection.execute(f"DROP {'TABLE' if compare else 'VIEW'} IF EXISTS incoming")
    note_fingerprint(connection, layout, stamp)
    mark_changed(connection, changed, stamp)
    _note_records(connection, stamp)
    connection.execute("DROP TABLE batch_records")
    return touched


def _known_records(connection: Connection) -> int:
    """How many of the batch's records the mirror has ever held."""
    return count(connection, "SELECT count(*) FROM redcap.records SEMI JOIN batch_records USING (record)")


def _note_records(connection: Connection, stamp: RunStamp) -> None:
    values = {"project": stamp.project, "now": stamp.now}
    connection.execute(
        "UPDATE redcap.records SET deleted_at = NULL, renamed_to = NULL, last_changed = $now "
        "WHERE deleted_at IS NOT NULL AND record IN (SELECT record FROM batch_records)",
        {"now": stamp.now},
    )
    connection.execute(
        "INSERT INTO redcap.records SELECT $project, record, $now, $now, NULL, NULL FROM batch_records "
        "ANTI JOIN redcap.records USING (record)",
        values,
    )
