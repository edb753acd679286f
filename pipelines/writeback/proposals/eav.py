"""REDCap's own EAV export, edited: record, field_name and value, a row for each value that is not blank.

A checkbox has a row for each ticked option, with the field's own name and the option's code, and none for the others
(REDCAP API, EAV). So a row more ticks an option. A row less means nothing: nobody can see it. A row that names another
option than before would do both, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.warehouse.comparison.cells import Chunk, Comparison, Difference
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
from pipelines.writeback.proposals.table import Ignored, Reading, Table, cell_text, chunks_of

_PLACES = {
    "record": "record",
    "field_name": "field",
    "value": "new",
    EVENT: "event",
    REPEAT_INSTRUMENT: "instrument",
    REPEAT_INSTANCE: "instance",
}
EXPORT_NAMES = frozenset(_PLACES)
HALF_TICKED = (
    "it ticks an option of a checkbox, and one that was ticked is not listed any more; "
    "propose both as field___code with 1 or 0"
)


def is_export(columns: Sequence[str]) -> bool:
    """Whether a table is an EAV export."""
    return {"record", "field_name", "value"} <= {name.strip() for name in columns}


def read_export(
    offer: PlainCsv | Table, names: Sequence[str], columns: ProjectColumns, comparison: Comparison, cells: EditedCells
) -> Reading:
    """Take in an EAV export and propose the cells that differ from what is published."""
    places = _places(names)

    def take_in() -> None:
        comparison.offer_export(withholds=columns.withholds, unknown_withheld=UNKNOWN_WITHHELD)

    if isinstance(offer, PlainCsv):
        comparison.cells_of_csv(offer, places, take_in)
    else:
        for chunk in _chunks(offer, places, columns):
            comparison.cells_of_chunk(chunk, take_in)
    comparison.refuse_problems(blanks_count=True)
    ticks = {name: list(columns.options[name].values()) for name in comparison.ticks()}
    if ticks:
        comparison.refuse_half_edited_ticks(ticks, {name: columns.home(name) for name in ticks}, HALF_TICKED)
    for page in comparison.differing_cells():
        comparison.propose(list(_proposed(page, columns, cells)))
    ignored = [Ignored(name, why) for name, why in comparison.ignored() if name != columns.record_id]
    return Reading(comparison.rows("offered"), cells.left, tuple(ignored))


def _proposed(page: Sequence[Difference], columns: ProjectColumns, cells: EditedCells) -> Iterator[Difference]:
    for each in page:
        key = each.record, each.event, each.instance
        wanted = cells.wanted(columns.rules[each.column], key, each.seen, each.new)
        if wanted is not None:
            yield Difference(
                each.row, each.record, each.event, each.instrument, each.instance, each.column, each.seen, wanted
            )


def _places(names: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for position, column in enumerate(names):
        name = _PLACES.get(column.strip())
        if name is None or name in places:
            raise Unreadable(f"its column {position + 1} is none of an EAV export's, or stands twice.")
        places[name] = position
    return places


def _chunks(table: Table, places: dict[str, int], columns: ProjectColumns) -> Iterator[Chunk]:
    def convert(row: Sequence[Any]) -> list[str | None]:
        rule = columns.rules.get((cell_text(row[places["field"]], None) or "").strip())
        return [cell_text(row[at], rule if name == "new" else None) for name, at in places.items()]

    return chunks_of(table, list(places), convert)
