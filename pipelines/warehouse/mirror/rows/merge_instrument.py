"""One instrument's rows of a batch replace those that differ; all others stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.mirror.rows import merge_sql
from pipelines.warehouse.mirror.rows.history import RunStamp, close_versions, record_cell_changes
from pipelines.warehouse.mirror.rows.history_sql import INSERT, cells_of
from pipelines.warehouse.mirror.rows.invalid_values import record_invalid_values
from pipelines.warehouse.sql import statements
from pipelines.warehouse.staging.column_groups import WIDEST
from pipelines.warehouse.tables.layout import InstrumentTable, Layout, work_columns


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many rows and cells were stored."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    cells: int = 0
    invalid: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def changed(self) -> bool:
        """Whether any row was inserted, replaced or deleted."""
        return bool(self.inserted or self.updated or self.deleted)


class InstrumentMerge:
    """Merges one instrument's rows of a batch into its table."""

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        table: InstrumentTable,
        places: Mapping[str, str],
        stamp: RunStamp,
    ) -> None:
        """`places` gives the batch's column for each column of an answer."""
        self._connection = connection
        self._layout = layout
        self._table = table
        self._places = places
        self._stamp = stamp
        self._columns = work_columns(layout, table)
        self._sql = statements("merge")

    def run(self, *, compare: bool, recheck: bool = True) -> RowCounts:
        """Bring the instrument's rows to what the batch says; `compare` where some of its records may be known.

        Values of rows that are as they were are examined again only with `recheck`: what was listed of them stays.
        """
        if compare and not recheck and (counts := self._unchanged()) is not None:
            return counts
        incoming = merge_sql.make_incoming(
            self._layout, self._table, self._places, self._stamp.hash_key, compared=compare
        )
        execute(self._connection, incoming)
        counts = self._replace() if compare else self._insert_all()
        stored = counts.inserted + counts.updated + counts.unchanged
        invalid = record_invalid_values(
            self._connection,
            self._layout,
            self._table,
            self._stamp,
            holds=merge_sql.flag(self._table),
            known=compare,
        )
        return counts + RowCounts(invalid=invalid, cells=stored * len(self._table.columns))

    def _unchanged(self) -> RowCounts | None:
        """The counts of a batch whose rows are as they were; None if any differs, or if that is not known."""
        if len(self._columns) > WIDEST:
            return None
        incoming = merge_sql.incoming_rows(self._layout, self._table, self._places, self._stamp.hash_key)
        columns = [column for column, _ in self._columns]
        query = merge_sql.count_differing(self._stamp.project, self._table.name, incoming, columns)
        rows, differing = one(self._connection, query) or (0, 0)
        return None if differing else RowCounts(unchanged=rows, cells=rows * len(self._table.columns))

    def _insert_all(self) -> RowCounts:
        inserted = self._insert("SELECT * FROM incoming")
        if inserted:
            cells = cells_of(self._columns, None, "incoming")
            record_cell_changes(self._connection, self._table.name, cells, "incoming", self._stamp, change=INSERT)
        return RowCounts(inserted=inserted)

    def _insert(self, rows: str) -> int:
        statement = merge_sql.insert_rows(self._stamp.project, self._table.name, rows)
        return count(self._connection, statement, {"now": self._stamp.now, "run_id": self._stamp.run_id})

    def _replace(self) -> RowCounts:
        """Delete rows that REDCap no longer has, rewrite those that differ, leave the rest alone."""
        name = self._table.name
        self._connection.execute(merge_sql.make_present(self._stamp.project, name))
        for statement in merge_sql.find_differing([column for column, _ in self._columns]):
            self._connection.execute(statement)
        inserted, updated, deleted = one(self._connection, self._sql["count_differing"]) or (0, 0, 0)
        if inserted or updated or deleted:
            self._record_changes()
            close_versions(self._connection, name, merge_sql.REPLACED, self._stamp)
            self._connection.execute(merge_sql.delete_replaced(self._stamp.project, name))
            self._insert(merge_sql.NEW)
        incoming = count(self._connection, self._sql["count_incoming"])
        self._connection.execute(self._sql["drop_compared"])
        return RowCounts(inserted, updated, deleted, unchanged=incoming - inserted - updated)

    def _record_changes(self) -> None:
        """Record each cell that differs, and that its record has changed."""
        record_cell_changes(
            self._connection,
            self._table.name,
            cells_of(self._columns, "p", "n"),
            merge_sql.COMPARED,
            self._stamp,
            change=merge_sql.CHANGE,
            keys="d.",
        )
        self._connection.execute(self._sql["change_records"], {"now": self._stamp.now})
