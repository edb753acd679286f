"""Counts and messages of a write-back, without values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.warehouse.mirror.journal import OVERTAKEN, Settlement
from pipelines.warehouse.tables.writeback import Status
from pipelines.writeback.decide.decide import Decided
from pipelines.writeback.send.redaction import without


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    sent: int = 0
    settled: int = 0
    rows_changed: int = 0
    by_status: dict[Status, int] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)

    def add(self, settled: Sequence[Settlement], cells: Sequence[Decided]) -> None:
        about = {cell.proposal.number: cell for cell in cells}
        for one in settled:
            if not one.closes:
                # It goes back among the proposals, and is counted when it is sent again.
                continue
            self.by_status[one.status] = self.by_status.get(one.status, 0) + 1
            if one.message:
                told = without(one.message, one.after, *quotable(about.get(one.number)))
                self.messages[told] = self.messages.get(told, 0) + 1

    def overtaken(self, cells: int) -> None:
        """Cells that were confirmed, and that somebody changed before that could be kept."""
        if cells:
            self.by_status[Status.CONFIRMED] -= cells
            self.by_status[Status.NOT_CONFIRMED] = self.by_status.get(Status.NOT_CONFIRMED, 0) + cells
            self.messages[OVERTAKEN] = self.messages.get(OVERTAKEN, 0) + cells


def quotable(cell: Decided | None) -> tuple[str, ...]:
    """What a message about a cell may quote."""
    if cell is None:
        return ()
    return cell.proposal.new, cell.proposal.seen, cell.live, cell.place.record
