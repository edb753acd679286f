"""REDCap's own EAV export, edited: record, field_name and value, with a row for each value that is not blank.

A checkbox has a row for each ticked option, with the field's own name and the option's code, and none for the others
(REDCap API, EAV). So one more row ticks an option. A missing row means nothing, because it cannot be seen in the file.
A row that was changed to another option would do both, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pipelines.warehouse.comparison.cells import CellComparison
from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.warehouse.comparison.submission import Difference, RowChunk
from pipelines.warehouse.database.plain_csv import PlainCsv
from pipelines.writeback.proposals.columns import (
    EVENT,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    UNKNOWN_WITHHELD,
    ProjectColumns,
)
from pipelines.writeback.proposals.edited import EditedCells
from pipelines.writeback.proposals.files import Unreadable
from pipelines.writeback.proposals.table import Ignored, ParsedProposals, Table, cell_text, chunks_of

_NAMES = {
    "record": "record",
    "field_name": "field",
    "value": "new",
    EVENT: "event",
    REPEAT_INSTRUMENT: "instrument",
    REPEAT_INSTANCE: "instance",
}
EXPORT_NAMES = frozenset(_NAMES)
HALF_TICKED = (
    "it ticks an option of a checkbox, and one that was ticked is not listed any more; "
    "propose both as field___code with 1 or 0"
)


def is_export(columns: Sequence[str]) -> bool:
    """Whether a table is an EAV export."""
    return {"record", "field_name", "value"} <= {name.strip() for name in columns}


def read_export(
    table: PlainCsv | Table, names: Sequence[str], columns: ProjectColumns, comparison: Comparison, edited: EditedCells
) -> ParsedProposals:
    """Read an EAV export, and propose the cells that differ from what is published. Raises Unreadable."""
    positions = _positions(names)
    cells = CellComparison(comparison)

    def take_export() -> None:
        cells.take_export(withholds=columns.withholds, unknown_withheld=UNKNOWN_WITHHELD)

    if isinstance(table, PlainCsv):
        cells.read_csv(table, positions, take_export)
    else:
        for chunk in _chunks(table, positions, columns):
            cells.read_chunk(chunk, take_export)
    cells.refuse_problems(blanks_count=True)
    ticks = {name: list(columns.options[name].values()) for name in cells.ticks()}
    if ticks:
        instruments = {name: columns.instrument_of(name) for name in ticks}
        cells.refuse_half_edited_ticks(ticks, instruments, HALF_TICKED)
    for page in cells.differing_cells():
        comparison.propose(list(_proposed(page, columns, edited)))
    ignored = [Ignored(name, reason) for name, reason in cells.ignored() if name != columns.record_id]
    return ParsedProposals(cells.count_rows(), edited.left, tuple(ignored))


def _proposed(page: Sequence[Difference], columns: ProjectColumns, edited: EditedCells) -> Iterator[Difference]:
    for each in page:
        key = each.record, each.event, each.instance
        wanted = edited.wanted(columns.rules[each.column], key, each.seen, each.new)
        if wanted is not None:
            yield replace(each, new=wanted)


def _positions(names: Sequence[str]) -> dict[str, int]:
    positions: dict[str, int] = {}
    for position, column in enumerate(names):
        name = _NAMES.get(column.strip())
        if name is None or name in positions:
            raise Unreadable(f"its column {position + 1} is not one of an EAV export, or appears twice.")
        positions[name] = position
    return positions


def _chunks(table: Table, positions: dict[str, int], columns: ProjectColumns) -> Iterator[RowChunk]:
    def convert(row: Sequence[Any]) -> list[str | None]:
        rule = columns.rules.get((cell_text(row[positions["field"]], None) or "").strip())
        return [cell_text(row[at], rule if name == "new" else None) for name, at in positions.items()]

    return chunks_of(table, list(positions), convert)
