"""Import requests: which cells go together, and the rows of a request. Pure.

REDCap saves all of an import or nothing. Not here: how a rejected request is split (bisection.py).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.writeback.decide.cells import PlannedCell, RowKey
from pipelines.writeback.decide.rulebook import Rulebook
from redcap_source import dictionary

# REDCap servers are known to cut bodies above 16 MB and to be slow above a few MB; escaping doubles what is sent.
REQUEST_BYTES = 1_000_000
REQUEST_CELLS = 5_000


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The cells of one import request; those of a record are not split."""

    cells: tuple[PlannedCell, ...] = field(repr=False)
    clears: bool
    """Whether it overwrites with blanks; then it holds nothing but cells to erase."""


def in_batches(
    planned: Sequence[PlannedCell], *, cells: int = REQUEST_CELLS, size: int = REQUEST_BYTES
) -> Iterator[tuple[PlannedCell, ...]]:
    """Yield the cells in batches of whole records, none larger than a request may be unless one record is."""
    batch: list[PlannedCell] = []
    weight = 0
    for record in _by_record(planned):
        record_weight = sum(_weight(cell) for cell in record)
        if batch and (len(batch) + len(record) > cells or weight + record_weight > size):
            yield tuple(batch)
            batch, weight = [], 0
        batch += record
        weight += record_weight
    if batch:
        yield tuple(batch)


def _weight(cell: PlannedCell) -> int:
    # With keys and quotes, as a row of a single cell would have them.
    return 120 + len(cell.key.record) + len(cell.column) + len(cell.proposal.new.encode())


def _by_record(planned: Sequence[PlannedCell]) -> list[list[PlannedCell]]:
    found: defaultdict[str, list[PlannedCell]] = defaultdict(list)
    for cell in planned:
        found[cell.key.record].append(cell)
    return list(found.values())


def import_requests(rulebook: Rulebook, batch: Sequence[PlannedCell]) -> list[ImportRequest]:
    """Return the requests of a batch: one with all values, and separate ones for the cells to erase.

    In an overwriting import a blank erases. The rows of such a request all have the same columns, so that no server can
    take a column that a row lacks for a blank in it.
    """
    values = [cell for cell in batch if not _erases(rulebook, cell)]
    erased: defaultdict[tuple[str, ...], list[PlannedCell]] = defaultdict(list)
    for row in _by_row([cell for cell in batch if _erases(rulebook, cell)]).values():
        erased[tuple(sorted(cell.column for cell in row))] += row
    found = [ImportRequest(tuple(values), clears=False)] if values else []
    return [*found, *(ImportRequest(tuple(cells), clears=True) for cells in erased.values())]


def _erases(rulebook: Rulebook, cell: PlannedCell) -> bool:
    rule = rulebook.rules[cell.column]
    # An option is unticked by writing 0.
    return cell.proposal.new == "" and rule.kind is not dictionary.ValueKind.CHECKBOX


def _by_row(cells: Sequence[PlannedCell]) -> dict[RowKey, list[PlannedCell]]:
    found: defaultdict[RowKey, list[PlannedCell]] = defaultdict(list)
    for cell in cells:
        found[cell.key].append(cell)
    return dict(found)


def import_rows(rulebook: Rulebook, cells: Sequence[PlannedCell]) -> list[dict[str, str]]:
    """Return the rows of a request: the keys, and only the cells that change."""
    return [
        {**_keys(rulebook, key), **{cell.column: sent_value(rulebook, cell) for cell in row}}
        for key, row in _by_row(cells).items()
    ]


def sent_value(rulebook: Rulebook, cell: PlannedCell) -> str:
    """Return the text that is sent for a cell."""
    if cell.proposal.new == "" and rulebook.rules[cell.column].kind is dictionary.ValueKind.CHECKBOX:
        return "0"
    return cell.proposal.new


def _keys(rulebook: Rulebook, key: RowKey) -> dict[str, str]:
    keys = {rulebook.record_id_field: key.record}
    if rulebook.longitudinal:
        keys[dictionary.EVENT_COLUMN] = key.event
    if rulebook.repeats:
        instrument, instance = dictionary.REPEAT_COLUMNS
        keys |= {instrument: key.repeat_instrument, instance: key.instance}
    return keys


def row_text(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the rows as the text of an import."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
