"""Finds the cells that REDCap rejects: those its message names, otherwise by halving the request. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.writeback.decide.cells import PlannedCell, RowKey
from redcap_source import dictionary
from redcap_source.errors import RejectedCell

# One bad cell of the largest request costs at most 13 rejections in a row; after this many, REDCap rejects all of it.
MAX_REJECTIONS = 40


def rejected_proposals(cells: Sequence[PlannedCell], lines: Sequence[RejectedCell]) -> dict[int, str]:
    """Return the proposals that a rejection names, with REDCap's message; none if it names no cell of the request.

    The first column of a line is `ID` or `ID (event)`. A lock is reported for one cell and holds for the whole form or
    record.
    """
    found: dict[int, str] = {}
    for line in lines:
        of_record = [cell for cell in cells if _is_record(line.record, cell.key)]
        named = [cell for cell in of_record if line.field in (cell.column, _base(cell.column))]
        if not line.field or re.search(r"\brecord level\b", line.message):
            # It is about the whole record.
            named = of_record
        elif re.search(r"\blocked\b", line.message):
            instruments = {cell.proposal.cell.instrument for cell in named}
            named = [cell for cell in of_record if cell.proposal.cell.instrument in instruments] or of_record
        elif not named and line.field in (*dictionary.REPEAT_COLUMNS, dictionary.EVENT_COLUMN):
            named = of_record
        with_value = [cell for cell in named if cell.proposal.new == line.value]
        # A record's field can be in several rows of the request; the value shows which one is meant.
        for cell in with_value if with_value and len(named) > 1 and "locked" not in line.message else named:
            found.setdefault(cell.proposal.number, line.message)
    return found


def about_records(cells: Sequence[PlannedCell], refusal: str, message: str) -> list[RejectedCell]:
    """Return a refusal that lists no cells as lines about the records it quotes; none if it quotes none of these."""
    records = dict.fromkeys(cell.key.record for cell in cells)
    return [RejectedCell(record, "", "", message) for record in records if _quotes(refusal, record)]


def _quotes(text: str, record: str) -> bool:
    return any(f"{quote}{record}{quote}" in text for quote in "\"'")


def _is_record(named: str, key: RowKey) -> bool:
    return named == key.record or (bool(key.event) and named.startswith(f"{key.record} ("))


def _base(column: str) -> str:
    return column.split("___")[0]


class Bisection:
    """Finds what REDCap rejects in as few requests as possible, while the rest is accepted.

    Send what `next` returns, then call `record_accepted` or `record_rejected`. Half of what was rejected is sent; if it
    is accepted, the bad cell is in the other half, which then need not be sent as a whole; if not, the other half waits
    until the end. One bad cell of n costs about log2(n) more requests; one that REDCap names costs one.
    """

    def __init__(self, cells: Sequence[PlannedCell]) -> None:
        self._suspect: list[tuple[PlannedCell, ...]] = []
        """Groups that were rejected together, so that at least one cell of each is bad."""
        self._waiting: list[tuple[PlannedCell, ...]] = [tuple(cells)] if cells else []
        self._sent: tuple[PlannedCell, ...] = ()
        self._other_half: tuple[PlannedCell, ...] = ()
        self._rejections_in_a_row = 0
        self.rejected: dict[int, str] = {}
        """The rejected proposals, each with REDCap's message."""

    def next(self) -> tuple[PlannedCell, ...]:
        """Return what to send now; nothing when every cell is accepted, rejected or given up."""
        if self._suspect:
            group = self._suspect.pop()
            self._sent, self._other_half = _halves(group) if len(group) > 1 else (group, ())
        elif self._waiting:
            # Nothing shows that the cells that waited contain a bad one, so they are sent together.
            self._sent = tuple(cell for cells in self._waiting for cell in cells)
            self._other_half, self._waiting = (), []
        else:
            self._sent = ()
        return self._sent

    def record_accepted(self) -> None:
        """Record that REDCap accepted what was sent."""
        self._rejections_in_a_row = 0
        if self._other_half:
            self._suspect.append(self._other_half)

    def record_rejected(self, lines: Sequence[RejectedCell], message: str) -> None:
        """Record that REDCap rejected what was sent: the cells it named, or its message if it named none."""
        self._rejections_in_a_row += 1
        if self._other_half:
            self._waiting.append(self._other_half)
        named = rejected_proposals(self._sent, lines)
        if named:
            self.rejected |= named
            left = tuple(cell for cell in self._sent if cell.proposal.number not in named)
            if left:
                self._waiting.append(left)
        elif len(self._sent) == 1:
            self.rejected[self._sent[0].proposal.number] = message
        else:
            self._suspect.append(self._sent)

    @property
    def exhausted(self) -> bool:
        """Whether REDCap rejected MAX_REJECTIONS requests in a row, so that it makes no sense to send more."""
        return self._rejections_in_a_row >= MAX_REJECTIONS

    def give_up(self) -> tuple[PlannedCell, ...]:
        """Send nothing more; returns the cells that were not tried."""
        left = [cell for cells in (*self._suspect, *self._waiting) for cell in cells]
        self._suspect, self._waiting = [], []
        return tuple(left)


def _halves(cells: tuple[PlannedCell, ...]) -> tuple[tuple[PlannedCell, ...], tuple[PlannedCell, ...]]:
    """Split into two parts with about the same number of records; a single record's cells in two."""
    records = list(dict.fromkeys(cell.key.record for cell in cells))
    if len(records) == 1:
        return cells[: len(cells) // 2], cells[len(cells) // 2 :]
    first = set(records[: len(records) // 2])
    return (
        tuple(cell for cell in cells if cell.key.record in first),
        tuple(cell for cell in cells if cell.key.record not in first),
    )
