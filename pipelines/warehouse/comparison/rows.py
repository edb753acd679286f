"""Compares a submission with a column for each field: an edited copy of a table, or a whole flat export.

Each row is compared with the published row of the same record, event and instance, instrument by instrument. Not here:
what a difference means (pipelines.writeback.proposals.wide).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipelines.warehouse.comparison import comparison_sql
from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.warehouse.comparison.source import in_groups, make_source, pages
from pipelines.warehouse.comparison.submission import BLANKS, KEY_COLUMNS, RowChunk, RowDifference
from pipelines.warehouse.database.plain_csv import PlainCsv, read_csv

# This many columns are compared in one statement.
COLUMNS_AT_ONCE = 100


class RowComparison:
    """The submitted rows of one comparison, in the table `submitted_rows`; `columns` are those that are compared."""

    def __init__(self, comparison: Comparison, columns: Sequence[str]) -> None:
        self._comparison = comparison
        self._connection = comparison.connection
        self._sql = comparison.sql
        self._names = {column: f"v{at}" for at, column in enumerate(columns)}
        self._connection.execute(comparison_sql.create_submitted_rows(self._names.values()))

    # -- reading -------------------------------------------------------------------------------------------

    def name(self, column: str) -> str:
        """Return our own name for a column: a field may have the name of a key."""
        return self._names[column]

    def read_csv(self, file: PlainCsv, keys: Mapping[str, int], positions: Mapping[str, int], *, events: bool) -> None:
        """Read a file; `keys` has its position of each of KEY_COLUMNS, `positions` that of each column."""
        every = {name: keys.get(name, -1) for name in KEY_COLUMNS}
        every |= {name: positions.get(column, -1) for column, name in self._names.items()}
        self._connection.execute(comparison_sql.source_of_csv(file, every))
        read_csv(lambda: self._take_rows(events=events))
        self._connection.execute(self._sql["drop_source_view"])
        self._comparison.check_rows("submitted_rows", file.rows)

    def read_chunk(self, chunk: RowChunk, *, events: bool) -> None:
        """Read some rows, whose columns have the names of KEY_COLUMNS and those that `name` returns."""
        make_source(self._connection, chunk, (*KEY_COLUMNS, *self._names.values()))
        self._take_rows(events=events)
        self._connection.execute(self._sql["drop_source_table"])

    def _take_rows(self, *, events: bool) -> None:
        """Move `source` into the table, with its keys in REDCap's spelling."""
        statement = comparison_sql.take_rows(
            self._names.values(), keyed_rows=self._sql["keyed_rows"], row_problem=self._sql["row_problem"]
        )
        self._connection.execute(statement, {"blanks": BLANKS, "events": events})

    def count_rows(self) -> int:
        """Count the submitted rows."""
        return self._comparison.count_rows("submitted_rows")

    # -- refusing ------------------------------------------------------------------------------------------

    def refuse_problems(self) -> None:
        """Refuse rows whose keys cannot be read, and rows with the keys of an earlier row."""
        self._connection.execute(self._sql["refuse_unkeyed_rows"])
        self._connection.execute(self._sql["refuse_double_rows"])

    def refuse_foreign(self, instrument: str, columns: Sequence[str], zero_is_blank: frozenset[str]) -> None:
        """Refuse rows that name another instrument as repeating and hold a value of this one.

        In the columns `zero_is_blank` a 0 is no value: an export shows it in cells that nobody filled in.
        """
        for group in in_groups(columns, COLUMNS_AT_ONCE):
            names = {column: self._names[column] for column in group}
            statement = comparison_sql.refuse_foreign(names, zero_is_blank)
            self._connection.execute(statement, {"instrument": instrument})

    # -- comparing -----------------------------------------------------------------------------------------

    def differences(self, instrument: str, columns: Sequence[str]) -> Iterator[tuple[list[str], list[RowDifference]]]:
        """Yield rows in which a cell differs in any letter from what was published, with the columns compared."""
        snapshot = self._comparison.snapshot
        table, present = snapshot.table(instrument), snapshot.columns(instrument)
        for group in in_groups(columns, COLUMNS_AT_ONCE):
            names = {column: self._names[column] for column in group}
            select = comparison_sql.differing_rows(table, present, names)
            for page in pages(self._connection, select, {"instrument": instrument}):
                yield group, [RowDifference(*each) for each in page]
