"""From decided cells to requests: which go together, what a request's rows are, how a refused one is split. Pure.

An import is all or nothing, so a refused request is taken apart until what REDCap objects to stands alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.writeback.decide.decide import Decided, Place
from pipelines.writeback.decide.rulebook import Rulebook
from redcap_source import dictionary

# REDCap servers are known to cut bodies above 16 MB and to be slow above a few; escaping doubles what is sent.
REQUEST_BYTES = 1_000_000


REQUEST_CELLS = 5_000


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
