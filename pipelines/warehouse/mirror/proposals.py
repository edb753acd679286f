"""Proposals and batches in a project's mirror, with the decisions about them.

Not here: the journal of what was sent (journal.py), withdrawing (withdrawal.py), reading what a person submits
(pipelines.writeback.proposals).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.mirror.journal import cell_columns, create_writeback_tables
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.writeback import BatchRow, Cell, DecisionRow, Proposal


class Proposals:
    """Reads and writes writeback.proposals and writeback.batches of one project's mirror."""

    def __init__(self, connection: Connection, project: str) -> None:
        """Creates the tables of schema writeback if they do not exist."""
        self._connection = connection
        self._project = project
        self._sql = statements("writeback")
        create_writeback_tables(connection)

    # -- adding ---------------------------------------------------------------------------------------------

    def add(
        self,
        proposals: Sequence[Proposal],
        *,
        batch: str,
        author: str,
        source: str,
        now: datetime,
        reverts: str | None = None,
    ) -> None:
        """Add proposals to a batch, which is created if it does not exist; they are numbered here.

        Open proposals for the same cells that were in conflict or invalid are superseded.
        """
        self._create_batch(batch, author=author, source=source, reverts=reverts, now=now)
        cells = cell_columns([proposal.cell for proposal in proposals])
        keys = {name: values for name, values in cells.items() if name != "instrument"}
        self._connection.execute(self._sql["supersede"], keys)
        (last,) = self._connection.execute(self._sql["last_number"]).fetchone() or (0,)
        self._connection.execute(
            self._sql["add_proposals"],
            {
                "project": self._project,
                "batch": batch,
                "now": now,
                "number": list(range(last + 1, last + 1 + len(proposals))),
                **cells,
                "seen": [proposal.seen for proposal in proposals],
                "new": [proposal.new for proposal in proposals],
                "reason": [proposal.reason for proposal in proposals],
                "author": [proposal.author for proposal in proposals],
            },
        )
        self.count_batches()

    def add_found(self, batches: Sequence[str], *, author: str, source: str, now: datetime) -> None:
        """Add the rows of the temporary table `found` (comparison.sql), which name one of these batches each.

        Open proposals for the same cells that were in conflict or invalid are superseded.
        """
        for batch in batches:
            self._create_batch(batch, author=author, source=source, reverts=None, now=now)
        self._connection.execute(self._sql["supersede_found"])
        self._connection.execute(self._sql["add_found"], {"project": self._project, "now": now})
        self.count_batches()

    def _create_batch(self, batch: str, *, author: str, source: str, reverts: str | None, now: datetime) -> None:
        values = {"batch": batch, "author": author, "source": source, "reverts": reverts, "now": now}
        self._connection.execute(self._sql["create_batch"], {"project": self._project, **values})

    # -- reading --------------------------------------------------------------------------------------------

    def open_proposals(self, batch: str | None = None) -> list[Proposal]:
        """Return the open proposals of one batch, or of all batches that do not revert another one."""
        rows = self._connection.execute(self._sql["open_proposals"], {"batch": batch}).fetchall()
        return [
            Proposal(number, name, Cell(record, event, instrument, instance, column), *values)
            for number, name, record, event, instrument, instance, column, *values in rows
        ]

    def batches(self) -> list[BatchRow]:
        """Return all batches in the order in which they were created."""
        return [BatchRow(*row) for row in self._connection.execute(self._sql["read_batches"]).fetchall()]

    def batch_names(self) -> list[str]:
        """Return the names of all batches in the order in which they were created."""
        return [row.batch for row in self.batches()]

    def undoing(self, batch: str, reverse: str) -> list[tuple[Cell, str, str]]:
        """Return each cell that a batch changed and its `reverse` has not undone: its value after, and before."""
        rows = self._connection.execute(self._sql["undoing"], {"batch": batch, "reverse": reverse}).fetchall()
        return [
            (Cell(record, event, instrument, instance, column), after, before)
            for record, event, instrument, instance, column, after, before in rows
        ]

    # -- deciding -------------------------------------------------------------------------------------------

    def save_decisions(self, decisions: Sequence[DecisionRow], run_id: str, now: datetime, *, final: bool) -> None:
        """Store decisions with their proposals; `final` ends the proposals that are already there or invalid."""
        self._connection.execute(
            self._sql["save_decisions"],
            {
                "number": [row.number for row in decisions],
                "decision": [str(row.decision) for row in decisions],
                "reason": [row.reason for row in decisions],
                "warning": [row.warning for row in decisions],
                "run_id": run_id,
                "now": now,
                "final": final,
            },
        )

    def empty_withheld(self, withholds: Callable[[str], bool], reason: str, run_id: str, now: datetime) -> int:
        """Remove the values of all proposals, ended ones included, for columns that `withholds` says may not be kept.

        Open ones end as invalid, with `reason` if they have no other. Returns how many proposals lost their values.
        """
        columns = [name for (name,) in self._connection.execute(self._sql["columns_with_values"]).fetchall()]
        withheld = [name for name in columns if withholds(name)]
        if not withheld:
            return 0
        values = {"fields": withheld, "reason": reason, "run_id": run_id, "now": now}
        (emptied,) = self._connection.execute(self._sql["empty_withheld"], values).fetchone() or (0,)
        return int(emptied)

    def supersede_open(self, batch: str) -> None:
        """Supersede a batch's open proposals, because the batch is made again from what REDCap holds now."""
        self._connection.execute(self._sql["supersede_open"], {"batch": batch})

    # -- batches --------------------------------------------------------------------------------------------

    def mark(self, batches: Collection[str], run_id: str, now: datetime, *, applied: bool) -> None:
        """Record that batches were planned or applied, and count their proposals."""
        values = {"now": now, "run_id": run_id, "batches": list(batches)}
        self._connection.execute(self._sql["mark_applied" if applied else "mark_planned"], values)
        self.count_batches()

    def count_batches(self) -> None:
        """Count every batch's proposals by their state."""
        self._connection.execute(self._sql["total_batches"])
