"""A request that REDCap rejected: which records its message names, and how the request is split."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.writeback.decide.decide import Decided, Place
from redcap_source import dictionary
from redcap_source.errors import RejectedCell

# One guilty cell of the largest request costs 13 refusals in a row at worst; after so many REDCap objects to all of it.
PATIENCE = 40


def accused(cells: Sequence[Decided], lines: Sequence[RejectedCell]) -> dict[int, str]:
    """The proposals that a rejection names, with REDCap's own message; none where it names nothing of ours.

    The first cell of a line is `ID` or `ID (event)`. A lock is told of one cell and holds for the whole form or record.
    """
    found: dict[int, str] = {}
    for line in lines:
        suspects = [cell for cell in cells if _is_record(line.record, cell.place)]
        named = [cell for cell in suspects if cell.column == line.field or _base(cell.column) == line.field]
        if not line.field or re.search(r"\brecord level\b", line.message):
            # It is about the whole record.
            named = suspects
        elif re.search(r"\blocked\b", line.message):
            instruments = {cell.proposal.cell.instrument for cell in named}
            named = [cell for cell in suspects if cell.proposal.cell.instrument in instruments] or suspects
        elif not named and line.field in (*dictionary.REPEAT_COLUMNS, dictionary.EVENT_COLUMN):
            named = suspects
        values = [cell for cell in named if cell.proposal.new == line.value]
        # One record's field may stand in several rows of the request; its value tells which is meant.
        for cell in values if values and len(named) > 1 and "locked" not in line.message else named:
            found.setdefault(cell.proposal.number, line.message)
    return found


def about_records(cells: Sequence[Decided], refusal: str, message: str) -> list[RejectedCell]:
    """A refusal that lists no cells, as lines about the records it quotes; none where it quotes none of ours."""
    records = dict.fromkeys(cell.place.record for cell in cells)
    return [RejectedCell(record, "", "", message) for record in records if _quotes(refusal, record)]


def _quotes(text: str, record: str) -> bool:
    return any(f"{quote}{record}{quote}" in text for quote in "\"'")


def _is_record(named: str, place: Place) -> bool:
    return named == place.record or (bool(place.event) and named.startswith(f"{place.record} ("))


def _base(column: str) -> str:
    return column.split("___")[0]


class Splitting:
    """Finds what REDCap refuses in as few requests as can be, while the rest goes through.

    Ask `next` what to send, and tell how it went. Half of what was refused is sent; if it goes through, the fault lies
    in the other half, which then need not be tried as a whole; if not, the other half waits until the end. One guilty
    cell of n costs about log2(n) requests more, one that REDCap names costs one.
    """

    def __init__(self, cells: Sequence[Decided]) -> None:
        self._suspects: list[tuple[Decided, ...]] = []
        """Refused together, so at least one of each is guilty."""
        self._waiting: list[tuple[Decided, ...]] = [tuple(cells)] if cells else []
        self._sent: tuple[Decided, ...] = ()
        self._rest: tuple[Decided, ...] = ()
        self._refused_in_a_row = 0
        self.guilty: dict[int, str] = {}
        """The proposals that were found guilty, each with REDCap's message."""

    def next(self) -> tuple[Decided, ...]:
        """What to send now; nothing when all is settled."""
        if self._suspects:
            suspects = self._suspects.pop()
            self._sent, self._rest = _halves(suspects) if len(suspects) > 1 else (suspects, ())
        elif self._waiting:
            # What waited is innocent until it is refused, so it goes together.
            self._sent = tuple(cell for cells in self._waiting for cell in cells)
            self._rest, self._waiting = (), []
        else:
            self._sent = ()
        return self._sent

    def went_through(self) -> None:
        """What was sent was taken."""
        self._refused_in_a_row = 0
        if self._rest:
            self._suspects.append(self._rest)

    def was_refused(self, lines: Sequence[RejectedCell], message: str) -> None:
        """What was sent was refused, with what REDCap named, or in its own words where it named nothing."""
        self._refused_in_a_row += 1
        if self._rest:
            self._waiting.append(self._rest)
        named = accused(self._sent, lines)
        if named:
            self.guilty |= named
            left = tuple(cell for cell in self._sent if cell.proposal.number not in named)
            if left:
                self._waiting.append(left)
        elif len(self._sent) == 1:
            self.guilty[self._sent[0].proposal.number] = message
        else:
            self._suspects.append(self._sent)

    @property
    def hopeless(self) -> bool:
        """Whether so much was refused, and nothing taken, that going on would only be asking more often."""
        return self._refused_in_a_row >= PATIENCE

    def give_up(self) -> tuple[Decided, ...]:
        """What was not tried any more."""
        left = [cell for cells in (*self._suspects, *self._waiting) for cell in cells]
        self._suspects, self._waiting = [], []
        return tuple(left)


def _halves(cells: tuple[Decided, ...]) -> tuple[tuple[Decided, ...], tuple[Decided, ...]]:
    """Two parts of about the same number of records; of a single record, two parts of its cells."""
    records = list(dict.fromkeys(cell.place.record for cell in cells))
    if len(records) == 1:
        return cells[: len(cells) // 2], cells[len(cells) // 2 :]
    first = set(records[: len(records) // 2])
    return (
        tuple(cell for cell in cells if cell.place.record in first),
        tuple(cell for cell in cells if cell.place.record not in first),
    )
