"""One cell per row: record, field, the wanted value and, if the row says it, the value that was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.warehouse.comparison.cells import CellComparison
from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.warehouse.comparison.submission import CELL_COLUMNS, RowChunk
from pipelines.warehouse.database.plain_csv import PlainCsv
from pipelines.writeback.decide.values import looks_alike, respells, spelled
from pipelines.writeback.proposals.columns import (
    EVENT,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    UNKNOWN_WITHHELD,
    WITHHELD,
    ProjectColumns,
)
from pipelines.writeback.proposals.files import Unreadable
from pipelines.writeback.proposals.table import ParsedProposals, Table, cell_text, chunks_of

# The name of each column, and others it may have.
LONG = {
    "project": ("project",),
    "batch": ("batch",),
    "record": ("record",),
    "event": ("event", EVENT),
    "instrument": ("instrument", REPEAT_INSTRUMENT),
    "instance": ("instance", REPEAT_INSTANCE),
    "field": ("field", "field_name"),
    "seen_value": ("seen_value", "seen", "old_value"),
    "new_value": ("new_value", "new"),
    "clear": ("clear",),
    "reason": ("reason",),
    "author": ("author",),
}
LONG_NAMES = frozenset(alias for aliases in LONG.values() for alias in aliases)
# Their names in the comparison.
_NAMES = dict(zip(LONG, CELL_COLUMNS, strict=True))


def is_long(columns: Sequence[str]) -> bool:
    """Whether a table has one cell per row."""
    names = {name.strip().lower() for name in columns}
    return bool(names & set(LONG["field"]) and names & set(LONG["new_value"]))


def read_long(
    table: PlainCsv | Table, names: Sequence[str], columns: ProjectColumns, comparison: Comparison
) -> ParsedProposals:
    """Propose the cells of a table with one cell per row. Raises Unreadable if its columns are not those of LONG."""
    positions = long_positions(names, columns.record_id)
    cells = CellComparison(comparison)

    def take_cells() -> None:
        cells.take_cells(withholds=columns.withholds, withheld=WITHHELD, unknown_withheld=UNKNOWN_WITHHELD)

    if isinstance(table, PlainCsv):
        cells.read_csv(table, positions, take_cells)
        _respell(columns, cells)
    else:
        for chunk in _chunks(table, positions, columns):
            cells.read_chunk(chunk, take_cells)
    cells.refuse_problems()
    cells.find_cells(lambda name, seen, published: _is_alike(columns, name, seen, published))
    return ParsedProposals(cells.count_rows(), cells.left())


def long_positions(names: Sequence[str], record_id: str) -> dict[str, int]:
    """Return the position of each column; an error names the position of an unknown one, as a header may be missing."""
    known = {alias: _NAMES[name] for name, aliases in LONG.items() for alias in aliases}
    known[record_id] = "record"
    positions: dict[str, int] = {}
    for position, column in enumerate(names):
        name = known.get(column.strip().lower())
        if name is None or name in positions:
            raise Unreadable(f"its column {position + 1} is not one of {', '.join(LONG)}, or appears twice.")
        positions[name] = position
    missing = [name for name in ("record", "field", "new_value") if _NAMES[name] not in positions]
    if missing:
        raise Unreadable(f"it has no column {' and '.join(missing)}.")
    return positions


def _respell(columns: ProjectColumns, cells: CellComparison) -> None:
    fields = [name for name, rule in columns.rules.items() if respells(rule.kind)]

    def spell(name: str, text: str) -> str:
        rule = columns.rules[name]
        return spelled(rule.field, rule.kind, text)

    cells.respell(fields, spell)


def _chunks(table: Table, positions: dict[str, int], columns: ProjectColumns) -> Iterator[RowChunk]:
    field_at = positions["field"]
    values = {name: at for name, at in positions.items() if name in ("seen", "new")}

    def convert(row: Sequence[Any]) -> list[str | None]:
        rule = columns.rules.get((cell_text(row[field_at], None) or "").strip())
        return [cell_text(row[at], rule if name in values else None) for name, at in positions.items()]

    return chunks_of(table, list(positions), convert, seen_at=positions.get("seen"))


def _is_alike(columns: ProjectColumns, name: str, seen: str, published: str) -> bool:
    rule = columns.rules[name]
    return looks_alike(rule.kind, rule.validation, seen, published)
