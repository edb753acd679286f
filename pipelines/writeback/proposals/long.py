"""One cell a row: record, field, the value wanted and, where the row says it, the value that was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.warehouse.comparison.cells import CELL_COLUMNS, Chunk, Comparison
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
from pipelines.writeback.proposals.table import Reading, Table, cell_text, chunks_of

# Our name for a column, and others it may go by.
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
# What the comparison calls them.
_NAMES = dict(zip(LONG, CELL_COLUMNS, strict=True))


def is_long(columns: Sequence[str]) -> bool:
    """Whether a table has one cell a row."""
    names = {name.strip().lower() for name in columns}
    return bool(names & set(LONG["field"]) and names & set(LONG["new_value"]))


def read_long(
    offer: PlainCsv | Table, names: Sequence[str], columns: ProjectColumns, comparison: Comparison
) -> Reading:
    """Take in a table with a cell a row, and propose what it wants; Unreadable where its columns are not ours."""
    places = long_places(names, columns.record_id)

    def take_in() -> None:
        comparison.offer_cells(withholds=columns.withholds, withheld=WITHHELD, unknown_withheld=UNKNOWN_WITHHELD)

    if isinstance(offer, PlainCsv):
        comparison.cells_of_csv(offer, places, take_in)
        _respell(columns, comparison)
    else:
        for chunk in _chunks(offer, places, columns):
            comparison.cells_of_chunk(chunk, take_in)
    comparison.refuse_problems()
    comparison.find_cells(lambda name, seen, published: _alike(columns, name, seen, published))
    return Reading(comparison.rows("offered"), comparison.left())


def long_places(names: Sequence[str], record_id: str) -> dict[str, int]:
    """Where each of our columns stands; positions are told of those that are none, as a header may be missing."""
    known = {alias: _NAMES[name] for name, aliases in LONG.items() for alias in aliases}
    known[record_id] = "record"
    places: dict[str, int] = {}
    for position, column in enumerate(names):
        name = known.get(column.strip().lower())
        if name is None or name in places:
            raise Unreadable(f"its column {position + 1} is not one of {', '.join(LONG)}, or stands twice.")
        places[name] = position
    missing = [name for name in ("record", "field", "new_value") if _NAMES[name] not in places]
    if missing:
        raise Unreadable(f"it has no column {' and '.join(missing)}.")
    return places


def _respell(columns: ProjectColumns, comparison: Comparison) -> None:
    fields = [name for name, rule in columns.rules.items() if respells(rule.kind)]

    def spell(name: str, text: str) -> str:
        rule = columns.rules[name]
        return spelled(rule.field, rule.kind, text)

    comparison.respell(fields, spell)


def _chunks(table: Table, places: dict[str, int], columns: ProjectColumns) -> Iterator[Chunk]:
    field_at = places["field"]
    values = {name: at for name, at in places.items() if name in ("seen", "new")}

    def convert(row: Sequence[Any]) -> list[str | None]:
        rule = columns.rules.get((cell_text(row[field_at], None) or "").strip())
        return [cell_text(row[at], rule if name in values else None) for name, at in places.items()]

    return chunks_of(table, list(places), convert, seen_at=places.get("seen"))


def _alike(columns: ProjectColumns, name: str, seen: str, published: str) -> bool:
    rule = columns.rules[name]
    return looks_alike(rule.kind, rule.validation, seen, published)
