"""One submission beside the published rows of its project: refused rows, proposals, and how old it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from pipelines.warehouse.comparison.source import ROWS_AT_ONCE, insert_rows
from pipelines.warehouse.comparison.submission import Defaults, Difference, EarlierValue
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.plain_csv import NotTheSameRows
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.published.snapshot import PublishedSnapshot
from pipelines.warehouse.sql import statements


class Comparison:
    """The tables of one comparison. Not here: the submitted rows (CellComparison and RowComparison)."""

    def __init__(self, connection: Connection, snapshot: PublishedSnapshot, defaults: Defaults) -> None:
        """Creates the temporary tables, in place of those of the previous submission."""
        self.connection = connection
        self.snapshot = snapshot
        self.defaults = defaults
        self.sql = statements("comparison")
        connection.execute(self.sql["create_tables"])

    def describe(
        self,
        *,
        known: Sequence[tuple[str, str | None, bool, str | None, bool]],
        options: Sequence[tuple[str, str, str]],
        forms: Iterable[tuple[str, str]],
        events: Iterable[str],
    ) -> None:
        """Store what the names in a submission mean; see the tables of the same names in comparison.sql."""
        insert_rows(self.connection, "known", known)
        insert_rows(self.connection, "options", options)
        insert_rows(self.connection, "forms", list(forms))
        insert_rows(self.connection, "events", [(name,) for name in events])

    def count_rows(self, table: str) -> int:
        """Count the rows of `submitted` or `submitted_rows`."""
        return count(self.connection, self.sql[f"count_{table}"])

    def check_rows(self, table: str, rows: int) -> None:
        """Raise NotTheSameRows if DuckDB found another number of rows in a file than the check of it did."""
        if self.count_rows(table) != rows:
            raise NotTheSameRows("two readings of it found different numbers of rows.")

    # -- refused rows --------------------------------------------------------------------------------------

    def refuse(self, rows: Iterable[tuple[int, str]]) -> None:
        """Refuse rows, each with the reason; `drop_refused` removes their proposals."""
        insert_rows(self.connection, "refused", list(rows))

    def drop_refused(self) -> None:
        """Remove the proposals of refused rows."""
        self.connection.execute(self.sql["drop_refused"])

    def refused(self) -> list[tuple[int, str]]:
        """Return the refused rows in order, each with the reason."""
        return self.connection.execute(self.sql["read_refused"]).fetchall()

    # -- proposals -----------------------------------------------------------------------------------------

    def propose(self, differences: Sequence[Difference]) -> None:
        """Propose cells that differ from what is published."""
        defaults = self.defaults
        rows = [
            (
                each.row, defaults.batch, each.record, each.event, each.instrument, each.instance, each.column,
                each.seen, each.new, defaults.reason, defaults.author,
            )
            for each in differences
        ]  # fmt: skip
        insert_rows(self.connection, "found", rows)

    def count_found(self) -> int:
        """Count the proposed cells."""
        return count(self.connection, self.sql["count_found"])

    def batches(self) -> list[str]:
        """Return the batches of the proposals, in the order of the submission's rows."""
        return [name for (name,) in self.connection.execute(self.sql["batches"]).fetchall()]

    # -- how old the submission is ---------------------------------------------------------------------------

    def earlier_values(self) -> Iterator[list[EarlierValue]]:
        """Yield what the proposed cells held before, if loads found them changed."""
        answer = self.connection.execute(self.sql["changes"], {"project": self.defaults.project})
        while rows := answer.fetchmany(ROWS_AT_ONCE):
            yield [EarlierValue(row, name, new, old or "", detected_at) for row, name, new, old, detected_at in rows]

    def rows_changed_since(self, moment: datetime) -> list[int]:
        """Return the rows with a proposed cell that a load found changed at that time (UTC) or later."""
        values = {"project": self.defaults.project, "since": moment}
        return [row for (row,) in self.connection.execute(self.sql["changed_since"], values).fetchall()]
