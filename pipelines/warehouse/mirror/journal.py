"""The journal of a project's mirror: every cell that was sent to REDCap, and its outcome.

A request's cells are committed as intended before it is sent, so that after a crash the journal lists the cells to
read back. Not here: proposals and batches (proposals.py), deciding and sending (pipelines.writeback).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.mirror import journal_sql
from pipelines.warehouse.mirror.rows.followed import record_followed
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.writeback import CHANGED_AFTER_WRITE, Cell, CellOutcome, FormRow, JournalEntry


def create_writeback_tables(connection: Connection) -> None:
    """Create schema writeback and its tables if they do not exist."""
    connection.execute(statements("writeback")["create_writeback"])


def cell_columns(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """The cells column by column, as parameters of a statement."""
    return {
        "record": [cell.record for cell in cells],
        "event": [cell.event for cell in cells],
        "instrument": [cell.instrument for cell in cells],
        "instance": [cell.instance for cell in cells],
        "field": [cell.field for cell in cells],
    }


class Journal:
    """Reads and writes writeback.journal of one project's mirror."""

    def __init__(self, connection: Connection, project: str) -> None:
        """Creates the tables of schema writeback if they do not exist."""
        self._connection = connection
        self._project = project
        self._sql = statements("writeback")
        create_writeback_tables(connection)

    def record_intended(self, entries: Sequence[JournalEntry], run_id: str, request: int, now: datetime) -> None:
        """Record the cells of a request that is about to be sent."""
        self._connection.execute(
            self._sql["record_intended"],
            {
                "project": self._project,
                "run_id": run_id,
                "request": request,
                "now": now,
                "number": [entry.proposal for entry in entries],
                "batch": [entry.batch for entry in entries],
                **cell_columns([entry.cell for entry in entries]),
                "seen": [entry.seen for entry in entries],
                "before": [entry.before for entry in entries],
                "new": [entry.new for entry in entries],
                "reason": [entry.reason for entry in entries],
                "author": [entry.author for entry in entries],
            },
        )

    def intended(self) -> list[JournalEntry]:
        """Return the cells that may have been sent and whose outcome is not known yet."""
        rows = self._connection.execute(self._sql["intended"]).fetchall()
        return [
            JournalEntry(number, batch, run_id, request, Cell(record, event, instrument, instance, column), *values)
            for number, batch, run_id, request, record, event, instrument, instance, column, *values in rows
        ]

    def record_outcomes(self, outcomes: Sequence[CellOutcome], now: datetime) -> None:
        """Record what happened to intended cells, and close the proposals that their outcome ends."""
        self._connection.execute(
            self._sql["record_outcomes"],
            {
                "now": now,
                "number": [outcome.number for outcome in outcomes],
                "status": [str(outcome.status) for outcome in outcomes],
                "after": [outcome.after for outcome in outcomes],
                "message": [outcome.message for outcome in outcomes],
            },
        )
        closed = [outcome for outcome in outcomes if outcome.closes]
        self._connection.execute(
            self._sql["close_proposals"],
            {
                "number": [outcome.number for outcome in closed],
                "status": [str(outcome.status) for outcome in closed],
            },
        )

    def records_to_refresh(self) -> list[str]:
        """Return the records with confirmed cells whose present rows no run has brought into the mirror yet."""
        return [record for (record,) in self._connection.execute(self._sql["records_to_refresh"]).fetchall()]

    def refresh(
        self, run_id: str, now: datetime, records: Collection[str], unopened: Collection[FormRow] | None
    ) -> frozenset[int]:
        """Attribute changes to write-back, after a run has brought `records` into the mirror as REDCap has them now.

        `unopened` is passed to record_followed. Returns the proposals whose cells somebody changed between reading them
        back and fetching their records: for these, record_changes shows the other person's change.
        """
        self._connection.execute(self._sql["attribute"], {"run_id": run_id})
        self._connection.execute(self._sql["mark_accounted"], {"run_id": run_id})
        changed = self._changed_after_write(records)
        if changed:
            numbers = {"number": list(changed)}
            values = {"held": list(changed.values()), "message": CHANGED_AFTER_WRITE, "run_id": run_id}
            self._connection.execute(self._sql["record_changed_after_write"], {**numbers, **values})
            self._connection.execute(self._sql["mark_not_confirmed"], numbers)
        self._connection.execute(self._sql["mark_refreshed"], {"run_id": run_id, "records": list(records)})
        record_followed(self._connection, self._project, run_id, now, unopened)
        return frozenset(changed)

    def _changed_after_write(self, records: Collection[str]) -> dict[int, str]:
        """Confirmed cells that have no recorded change and hold another value by now, by proposal."""
        named = {"records": list(records)}
        found: dict[int, str] = {}
        for instrument, column in self._connection.execute(self._sql["unaccounted_columns"], named).fetchall():
            statement = journal_sql.changed_after_write(self._project, instrument, column)
            values = {**named, "instrument": instrument, "field": column}
            found.update(self._connection.execute(statement, values).fetchall())
        return found
