"""From decided cells to requests: which go together, what a request's rows are, how a refused one is split. Pure.

An import is all or nothing, so a refused request is taken apart until what REDCap objects to stands alone.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.writeback.decide import Decided, Place
from pipelines.writeback.rules import Rulebook
from redcap_source import dictionary
from redcap_source.errors import RejectedCell

# REDCap servers are known to cut bodies above 16 MB and to be slow above a few; escaping doubles what is sent.
REQUEST_BYTES = 1_000_000
REQUEST_CELLS = 5_000
# One guilty cell of the largest request costs 13 refusals in a row at worst; after so many REDCap objects to all of it.
PATIENCE = 40


@dataclass(frozen=True, slots=True)
class Parcel:
    """The cells of one import request, those of a record together."""

    cells: tuple[Decided, ...] = field(repr=False)
    clears: bool
    """Whether it erases; then its blanks mean something, and nothing else is in it."""

    @property
    def records(self) -> int:
        """How many records it touches."""
        return len({cell.place.record for cell in self.cells})


def in_batches(
    decided: Sequence[Decided], *, cells: int = REQUEST_CELLS, size: int = REQUEST_BYTES
) -> Iterator[tuple[Decided, ...]]:
    """The cells in batches of whole records, none larger than a request may be unless one record is."""
    batch: list[Decided] = []
    weight = 0
    for record in _by_record(decided):
        heavy = sum(_weight(cell) for cell in record)
        if batch and (len(batch) + len(record) > cells or weight + heavy > size):
            yield tuple(batch)
            batch, weight = [], 0
        batch += record
        weight += heavy
    if batch:
        yield tuple(batch)


def _weight(cell: Decided) -> int:
    # Keys and quotes included, as a row of a single cell would have them.
    return 120 + len(cell.place.record) + len(cell.column) + len(cell.proposal.new.encode())


def _by_record(decided: Sequence[Decided]) -> list[list[Decided]]:
    found: defaultdict[str, list[Decided]] = defaultdict(list)
    for cell in decided:
        found[cell.place.record].append(cell)
    return list(found.values())


def parcels(rulebook: Rulebook, batch: Sequence[Decided]) -> list[Parcel]:
    """The requests of a batch: values in one, and what is to be erased in others of its own.

    In an overwriting import a blank erases. Rows of one such request all have the same columns, so that no server can
    take a column that a row lacks for a blank in it.
    """
    values = [cell for cell in batch if not _erases(rulebook, cell)]
    erased: defaultdict[tuple[str, ...], list[Decided]] = defaultdict(list)
    for row in _by_place([cell for cell in batch if _erases(rulebook, cell)]).values():
        erased[tuple(sorted(cell.column for cell in row))] += row
    found = [Parcel(tuple(values), clears=False)] if values else []
    return [*found, *(Parcel(tuple(cells), clears=True) for cells in erased.values())]


def _erases(rulebook: Rulebook, cell: Decided) -> bool:
    rule = rulebook.rules[cell.column]
    # An option is taken back by writing 0.
    return cell.proposal.new == "" and rule.kind is not dictionary.ValueKind.CHECKBOX


def _by_place(cells: Sequence[Decided]) -> dict[Place, list[Decided]]:
    found: defaultdict[Place, list[Decided]] = defaultdict(list)
    for cell in cells:
        found[cell.place].append(cell)
    return dict(found)


def import_rows(rulebook: Rulebook, cells: Sequence[Decided]) -> list[dict[str, str]]:
    """The rows of a request: the keys, and only the cells that change."""
    return [
        {**_keys(rulebook, place), **{cell.column: sent_value(rulebook, cell) for cell in row}}
        for place, row in _by_place(cells).items()
    ]


def sent_value(rulebook: Rulebook, cell: Decided) -> str:
    """What is sent for a cell."""
    if cell.proposal.new == "" and rulebook.rules[cell.column].kind is dictionary.ValueKind.CHECKBOX:
        return "0"
    return cell.proposal.new


def _keys(rulebook: Rulebook, place: Place) -> dict[str, str]:
    keys = {rulebook.record_id_field: place.record}
    if rulebook.longitudinal:
        keys[dictionary.EVENT_COLUMN] = place.event
    if rulebook.repeats:
        instrument, instance = dictionary.REPEAT_COLUMNS
        keys |= {instrument: place.repeat_instrument, instance: place.instance}
    return keys


def row_text(rows: Sequence[Mapping[str, str]]) -> str:
    """The rows as the text of an import."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


# --- What REDCap objects to ---


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


def without(message: str, *values: str) -> str:
    """REDCap's message without the values it may quote, fit for a log; longer ones first, short ones as words."""
    for value in sorted(filter(None, values), key=len, reverse=True):
        if len(value) > 3:
            message = message.replace(value, "…")
        else:
            message = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", message)
    return message
