"""One instrument's rows of a batch replace those that differ; everything else stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.mirror.rows.batch import flag
from pipelines.warehouse.mirror.rows.history import INSERT, RunStamp, cells_of, close_versions, record_cell_changes
from pipelines.warehouse.mirror.rows.invalid_values import record_invalid_values
from pipelines.warehouse.staging.column_groups import WIDEST
from pipelines.warehouse.tables.layout import (
    EVENT,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    InstrumentTable,
    Layout,
    rows_now,
    work_columns,
)

MATCH = "p._record = n._record AND p._event = n._event AND p._instance = n._instance"


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows and cells counted while applying."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    cells: int = 0
    invalid: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class InstrumentMerge:
    """One instrument's part of a batch."""

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        table: InstrumentTable,
        places: Mapping[str, str],
        stamp: RunStamp,
    ) -> None:
        self.connection = connection
        self.layout = layout
        self.table = table
        self.places = places
        """The columns of the batch by their names in an answer."""
        self.stamp = stamp
        self.target = rows_now(stamp.project, table.name)
        self.shown = work_columns(layout, table)
        self.holds = flag(table)

    def run(self, *, compare: bool) -> RowCounts:
        """Bring the instrument's rows to what the batch says."""
        # Rows that need not be compared are read once or twice: keeping them apart would cost more than it saves.
        kind = "TABLE" if compare else "VIEW"
        execute(self.connection, f"CREATE OR REPLACE TEMP {kind} incoming AS {self._incoming()}")
        touched = self._replace() if compare else self._insert_all()
        arrived = touched.inserted + touched.updated + touched.unchanged
        invalid = record_invalid_values(
            self.connection, self.layout, self.table, self.stamp, holds=self.holds, known=compare
        )
        touched += RowCounts(invalid=invalid, cells=arrived * len(self.table.columns))
        return touched

    def _incoming(self) -> str:
        """The batch's rows in which the instrument holds data, keyed as the working file keys them."""
        keys = f"c0 AS _record, {self._key(EVENT)} AS _event, {self._key(REPEAT_INSTANCE)} AS _instance"
        cells = ", ".join(f"{expression} AS {identifier(name)}" for name, expression in self._expressions())
        return f"SELECT {keys}, {cells} FROM batch WHERE {self._belongs()}"

    def _expressions(self) -> list[tuple[str, str]]:
        hashed = {column.name for column in self.table.columns if column.hashed}
        key = literal(self.stamp.hash_key)
        return [
            (name, f"sha256({key} || {cell})" if name in hashed else cell)
            for name, answer in self.shown
            for cell in (self.places.get(answer, "NULL"),)
        ]

    def _key(self, column: str) -> str:
        """A key as the working file has it: blank where there is none."""
        return f"coalesce({self.places[column]}, '')" if column in self.places else "''"

    def _belongs(self) -> str:
        """The test for a row to be the instrument's."""
        repeat = self.places.get(REPEAT_INSTRUMENT)
        if repeat is None:
            return self.holds
        # A repeating instance is there because someone made it, whatever it holds.
        return f"({repeat} = {literal(self.table.name)} OR ({repeat} IS NULL AND {self.holds}))"

    def _insert_all(self) -> RowCounts:
        inserted = self._insert("SELECT * FROM incoming")
        if inserted:
            record_cell_changes(
                self.connection,
                self.table.name,
                cells_of(self.shown, None, "incoming"),
                "incoming",
                self.stamp,
                change=INSERT,
            )
        return RowCounts(inserted=inserted)

    def _insert(self, rows: str) -> int:
        """Put rows into the instrument's table, as they are from now on; how many."""
        return _changed(
            self.connection,
            f"INSERT INTO {self.target} BY NAME SELECT *, $now AS _valid_from, $run_id AS _run_id FROM ({rows})",
            {"now": self.stamp.now, "run_id": self.stamp.run_id},
        )

    def _replace(self) -> RowCounts:
        """Delete what vanished, rewrite what differs, leave the rest alone."""
        execute = self.connection.execute
        execute(
            f"CREATE OR REPLACE TEMP TABLE present AS SELECT * FROM {self.target} "
            "WHERE _record IN (SELECT record FROM batch_records)"
        )
        self._find_differing()
        inserted, updated, deleted = self.connection.execute(
            "SELECT count(*) FILTER (NOT _was), count(*) FILTER (_was AND _stays), count(*) FILTER (NOT _stays) "
            "FROM differing"
        ).fetchone() or (0, 0, 0)
        if inserted or updated or deleted:
            self._note_changes()
            replaced = f"SELECT p.* FROM present p SEMI JOIN differing n ON {MATCH}"
            close_versions(self.connection, self.table.name, replaced, self.stamp)
            # By their keys: a field may be called rowid, and is what that word means then.
            execute(f"DELETE FROM {self.target} AS p USING differing n WHERE {MATCH}")
            self._insert(f"SELECT n.* FROM incoming n SEMI JOIN differing p ON {MATCH}")
        arrived = count(self.connection, "SELECT count(*) FROM incoming")
        execute("DROP TABLE present; DROP TABLE differing")
        return RowCounts(inserted, updated, deleted, unchanged=arrived - inserted - updated)

    def _find_differing(self) -> None:
        """The rows that came, went or have other cells, as the temporary table `differing`."""
        first, *others = self._differ()
        rows = (
            "SELECT coalesce(n._record, p._record) AS _record, coalesce(n._event, p._event) AS _event, "
            "coalesce(n._instance, p._instance) AS _instance, p._record IS NOT NULL AS _was, "
            f"n._record IS NOT NULL AS _stays FROM present p FULL JOIN incoming n ON {MATCH}"
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE differing AS {rows} WHERE p._record IS NULL OR n._record IS NULL OR {first}"
        )
        for test in others:
            self.connection.execute(f"INSERT INTO differing {rows} WHERE {test} EXCEPT SELECT * FROM differing")

    def _differ(self) -> list[str]:
        """The tests for a row to have other cells than before, each of a bearable number of them."""
        names = [identifier(name) for name, _ in self.shown]
        tests = []
        for start in range(0, len(names), WIDEST):
            old, new = (", ".join(f"{side}.{name}" for name in names[start : start + WIDEST]) for side in "pn")
            tests.append(f"row({old}) IS DISTINCT FROM row({new})")
        return tests

    def _note_changes(self) -> None:
        """One row of record_changes for each cell that differs."""
        rows = (
            "differing d "
            "LEFT JOIN present p ON p._record = d._record AND p._event = d._event AND p._instance = d._instance "
            "LEFT JOIN incoming n ON n._record = d._record AND n._event = d._event AND n._instance = d._instance"
        )
        record_cell_changes(
            self.connection,
            self.table.name,
            cells_of(self.shown, "p", "n"),
            rows,
            self.stamp,
            change="CASE WHEN NOT d._was THEN 'insert' WHEN d._stays THEN 'update' ELSE 'delete' END",
            keys="d.",
        )
        self.connection.execute(
            "UPDATE redcap.records SET last_changed = $now WHERE record IN (SELECT _record FROM differing)",
            {"now": self.stamp.now},
        )


def _changed(connection: Connection, statement: str, values: dict[str, object]) -> int:
    """How many rows an INSERT put in."""
    row = connection.execute(statement, values).fetchone()
    return int(row[0]) if row else 0
