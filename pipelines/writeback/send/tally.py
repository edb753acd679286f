"""Counts and messages of a write-back, without values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.warehouse.tables.writeback import CHANGED_AFTER_WRITE, CellOutcome, Status
from pipelines.writeback.decide.cells import PlannedCell
from pipelines.writeback.send.redaction import without


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    sent: int = 0
    settled: int = 0
    """Cells of an earlier run whose outcome is known now."""
    rows_changed: int = 0
    by_status: dict[Status, int] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)

    def count(self, status: Status) -> int:
        """Return how many cells have this outcome."""
        return self.by_status.get(status, 0)

    def add(self, outcomes: Sequence[CellOutcome], cells: Sequence[PlannedCell]) -> None:
        """Count outcomes, and their messages without the values of `cells`."""
        by_number = {cell.proposal.number: cell for cell in cells}
        for outcome in outcomes:
            if not outcome.closes:
                # Its proposal is open again, and the cell is counted when it is sent again.
                continue
            self.by_status[outcome.status] = self.count(outcome.status) + 1
            if outcome.message:
                message = without(outcome.message, outcome.after, *_quotable(by_number.get(outcome.number)))
                self.messages[message] = self.messages.get(message, 0) + 1

    def add_changed_after_write(self, cells: int) -> None:
        """Count cells as not confirmed that were confirmed, because somebody changed them before the refresh."""
        if cells:
            self.by_status[Status.CONFIRMED] -= cells
            self.by_status[Status.NOT_CONFIRMED] = self.count(Status.NOT_CONFIRMED) + cells
            self.messages[CHANGED_AFTER_WRITE] = self.messages.get(CHANGED_AFTER_WRITE, 0) + cells


def _quotable(cell: PlannedCell | None) -> tuple[str, ...]:
    """The values that a message about a cell may quote."""
    if cell is None:
        return ()
    return cell.proposal.new, cell.proposal.seen, cell.current, cell.key.record
