"""Schema writeback of a project's working file: proposals, the journal of what was sent, and batches.

Every change here is committed before what it announces is done, so that a run that dies leaves the list of cells to
look at. What to propose, decide and send is pipelines.writeback's business.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.mirror.rows.followed import record_followed
from pipelines.warehouse.mirror.runs import LastLoad
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import rows_now
from pipelines.warehouse.tables.writeback import BatchRow, Cell, Entry, FormRow, Proposal, Ruling, Status

OVERTAKEN = "somebody changed it directly after it was written"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one intended cell."""

    number: int
    status: Status
    after: str = field(repr=False, default="")
    message: str = ""
    closes: bool = True
    """Whether the proposal is done with; one whose cell never arrived may be sent again."""


class Journal:
    """The write-back side of one project's working file."""

    def __init__(self, connection: Connection, project: str) -> None:
        """Makes the tables where they are missing."""
        self._connection = connection
        self._project = project
        self._sql = statements("writeback")
        connection.execute(self._sql["create_writeback"])

    # -- proposals -----------------------------------------------------------------------------------------

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
        """Enter proposals into a batch, begun with them or earlier; their own numbers are given here.

        Open ones for the same cells that were found in conflict or invalid are superseded.
        """
        self._connection.execute(
            self._sql["begin_batch"],
            {
                "project": self._project,
                "batch": batch,
                "author": author,
                "source": source,
                "reverts": reverts,
                "now": now,
            },
        )
        cells = _cells([proposal.cell for proposal in proposals])
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
        self._connection.execute(self._sql["total_batches"])

    def add_found(self, batches: Sequence[str], *, author: str, source: str, now: datetime) -> None:
        """Enter what an offer was found to propose: the rows of the temporary table `found` (comparison.sql).

        Open ones for the same cells that were found in conflict or invalid are superseded.
        """
        for batch in batches:
            self._connection.execute(
                self._sql["begin_batch"],
                {
                    "project": self._project,
                    "batch": batch,
                    "author": author,
                    "source": source,
                    "reverts": None,
                    "now": now,
                },
            )
        self._connection.execute(self._sql["supersede_found"])
        self._connection.execute(self._sql["add_found"], {"project": self._project, "now": now})
        self._connection.execute(self._sql["total_batches"])

    def open_proposals(self, batch: str | None = None) -> list[Proposal]:
        """The proposals that nothing final is known of, of one batch or of all."""
        rows = self._connection.execute(self._sql["open_proposals"], {"batch": batch}).fetchall()
        return [
            Proposal(number, name, Cell(record, event, instrument, instance, column), *rest)
            for number, name, record, event, instrument, instance, column, *rest in rows
        ]

    def batches(self) -> list[BatchRow]:
        """All batches, in the order in which they were begun."""
        return [BatchRow(*row) for row in self._connection.execute(self._sql["read_batches"]).fetchall()]

    def rule(self, rulings: Sequence[Ruling], run_id: str, now: datetime, *, final: bool) -> None:
        """Keep decisions with their proposals; `final` ends those that are there already or invalid."""
        self._connection.execute(
            self._sql["rule"],
            {
                "number": [ruling.number for ruling in rulings],
                "decision": [str(ruling.decision) for ruling in rulings],
                "reason": [ruling.reason for ruling in rulings],
                "warning": [ruling.warning for ruling in rulings],
                "run_id": run_id,
                "now": now,
                "final": final,
            },
        )

    def empty_withheld(self, withholds: Callable[[str], bool], why: str, run_id: str, now: datetime) -> int:
        """Remove the values of all proposals, ended ones too, for columns of which none may be kept; how many.

        `withholds` is asked about each column. Those that are open end as invalid, and tell `why` if nothing else does.
        """
        columns = [name for (name,) in self._connection.execute(self._sql["columns_with_values"]).fetchall()]
        withheld = [name for name in columns if withholds(name)]
        if not withheld:
            return 0
        values = {"fields": withheld, "reason": why, "run_id": run_id, "now": now}
        (emptied,) = self._connection.execute(self._sql["empty_withheld"], values).fetchone() or (0,)
        return int(emptied)

    def mark(self, batches: Collection[str], run_id: str, now: datetime, *, applied: bool) -> None:
        """Say of batches that they were planned or applied, and count what became of their proposals."""
        values = {"now": now, "run_id": run_id, "batches": list(batches)}
        self._connection.execute(self._sql["mark_applied" if applied else "mark_planned"], values)
        self._connection.execute(self._sql["total_batches"])

    # -- the journal ---------------------------------------------------------------------------------------

    def intend(self, entries: Sequence[Entry], run_id: str, request: int, now: datetime) -> None:
        """Note the cells of a request that is about to leave."""
        self._connection.execute(
            self._sql["intend"],
            {
                "project": self._project,
                "run_id": run_id,
                "request": request,
                "now": now,
                "number": [entry.proposal for entry in entries],
                "batch": [entry.batch for entry in entries],
                **_cells([entry.cell for entry in entries]),
                "seen": [entry.seen for entry in entries],
                "before": [entry.before for entry in entries],
                "new": [entry.new for entry in entries],
                "reason": [entry.reason for entry in entries],
                "author": [entry.author for entry in entries],
            },
        )

    def intended(self) -> list[Entry]:
        """Cells that may have been sent, and of which nobody knows yet what became of them."""
        rows = self._connection.execute(self._sql["intended"]).fetchall()
        return [
            Entry(
                proposal,
                batch,
                run_id,
                request,
                Cell(record, event, instrument, instance, column),
                seen,
                before,
                new,
                reason,
                author,
            )
            for (
                proposal, batch, run_id, request, record, event, instrument, instance, column,
                seen, before, new, reason, author,
            ) in rows
        ]  # fmt: skip

    def unaccounted(self) -> list[str]:
        """Records in which cells were confirmed that nobody has brought into the warehouse yet."""
        return [record for (record,) in self._connection.execute(self._sql["unaccounted"]).fetchall()]

    def settle(self, settlements: Sequence[Settlement], now: datetime) -> None:
        """Note what became of intended cells, and close the proposals that are done with."""
        self._connection.execute(
            self._sql["settle"],
            {
                "now": now,
                "number": [settled.number for settled in settlements],
                "status": [str(settled.status) for settled in settlements],
                "after": [settled.after for settled in settlements],
                "message": [settled.message for settled in settlements],
            },
        )
        closed = [settled for settled in settlements if settled.closes]
        self._connection.execute(
            self._sql["close"],
            {
                "number": [settled.number for settled in closed],
                "status": [str(settled.status) for settled in closed],
            },
        )

    def total(self) -> None:
        """Count what has become of every batch."""
        self._connection.execute(self._sql["total_batches"])

    def bring_in(
        self, run_id: str, now: datetime, records: Collection[str], unopened: Collection[FormRow] | None
    ) -> frozenset[int]:
        """After records were brought into the warehouse: what of their changes was our own doing, and what followed.

        `unopened` are the rows that followed.record_followed takes. Returns the proposals whose cells somebody changed
        between our reading them back and the fetching of their records: the change that is told is theirs.
        """
        self._connection.execute(self._sql["attribute"], {"run_id": run_id})
        self._connection.execute(self._sql["mark_accounted"], {"run_id": run_id})
        overtaken = self._overtaken(records)
        if overtaken:
            numbers = {"number": list(overtaken)}
            values = {"held": list(overtaken.values()), "message": OVERTAKEN, "run_id": run_id}
            self._connection.execute(self._sql["overtake"], {**numbers, **values})
            self._connection.execute(self._sql["overtake_proposals"], numbers)
        self._connection.execute(self._sql["mark_brought_in"], {"run_id": run_id, "records": list(records)})
        record_followed(self._connection, self._project, run_id, now, unopened)
        return frozenset(overtaken)

    def _overtaken(self, records: Collection[str]) -> dict[int, str]:
        """Confirmed cells that no change is told of and that hold something else now, with what they hold."""
        named = {"records": list(records)}
        found: dict[int, str] = {}
        for instrument, column in self._connection.execute(self._sql["unaccounted_columns"], named).fetchall():
            held = f"coalesce(r.{identifier(column)}, '')"
            rows = self._connection.execute(
                f"SELECT j.proposal, {held} FROM writeback.journal j LEFT JOIN {rows_now(self._project, instrument)} r "
                "ON r._record = j.record AND r._event = coalesce(j.event, '') "
                "AND r._instance = coalesce(j.instance, '') "
                "WHERE j.accounted_run IS NULL AND j.status = 'confirmed' AND j.instrument = $instrument "
                "AND j.field = $field AND list_contains($records::VARCHAR[], j.record) "
                f"AND {held} <> coalesce(j.after_value, '') "
                f"AND NOT (contains(j.field, '___') AND {held} IN ('', '0') AND coalesce(j.after_value, '0') = '0')",
                {**named, "instrument": instrument, "field": column},
            )
            found.update(rows.fetchall())
        return found

    def reverting(self, batch: str, reverse: str) -> list[tuple[Cell, str, str]]:
        """Each cell that a batch changed and `reverse` has not undone: what it became, and what it was before."""
        rows = self._connection.execute(self._sql["reverting"], {"batch": batch, "reverse": reverse}).fetchall()
        return [
            (Cell(record, event, instrument, instance, column), now, before)
            for record, event, instrument, instance, column, now, before in rows
        ]

    def forget_open(self, batch: str) -> None:
        """Let go of a batch's open proposals, because it is made anew."""
        self._connection.execute(self._sql["forget_open"], {"batch": batch})

    def last_load(self) -> LastLoad | None:
        """How the last load that was no write-back ended; None where there has been none."""
        row = self._connection.execute(self._sql["last_load"]).fetchone()
        if row is None:
            return None
        good = self._connection.execute(self._sql["last_good_load"]).fetchone()
        return LastLoad(row[0], row[1], good[0] if good else None)


def _cells(cells: Sequence[Cell]) -> dict[str, list[str]]:
    return {
        "record": [cell.record for cell in cells],
        "event": [cell.event for cell in cells],
        "instrument": [cell.instrument for cell in cells],
        "instance": [cell.instance for cell in cells],
        "field": [cell.field for cell in cells],
    }
