"""Names that two columns or two tables of a project would have to share. Pure.

SQL does not distinguish `Age` from `age`, and a column of a flat answer is identified by its name alone. REDCap
prevents most collisions, but not all: the options `A` and `a` of a checkbox have the same export name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipelines.warehouse.tables.layout import (
    DATA_ACCESS_GROUP,
    EVENT,
    EXTRAS,
    KEYS,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
    VERSION,
    InstrumentTable,
    Layout,
)

# The warehouse's own columns.
OURS = (*KEYS, *EXTRAS, *VERSION, "_valid_to", "_closed_run")
# REDCap's own columns of every flat answer, whatever was requested.
REDCAPS = (EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE, DATA_ACCESS_GROUP, SURVEY_IDENTIFIER)


def collisions(layout: Layout) -> list[str]:
    """What cannot be distinguished by its name, in words; empty if everything can."""
    found = [
        f"the instruments {one} and {other}" for one, other in _alike((t.name, t.name) for t in layout.instruments)
    ]
    reserved = [(name, f"the warehouse's own column {name}") for name in OURS]
    reserved += [(name, f"REDCap's own column {name}") for name in (*REDCAPS, *_timestamps(layout))]
    reserved.append((layout.record_id_field, f"the record-id field {layout.record_id_field}"))
    elsewhere: dict[str, str] = {}
    for table in layout.instruments:
        named = list(_named(table))
        found += [f"in {table.name}, {one} and {other}" for one, other in _alike([*reserved, *named])]
        # An answer has the columns of all instruments, distinguished by their exact names.
        found += [f"{elsewhere[name]} and, in {table.name}, {words}" for name, words in named if name in elsewhere]
        elsewhere |= {name: f"in {table.name}, {words}" for name, words in named}
    return found


def _timestamps(layout: Layout) -> list[str]:
    return [f"{table.name}_timestamp" for table in layout.instruments if table.survey]


def _named(table: InstrumentTable) -> Iterator[tuple[str, str]]:
    """The columns of an instrument, each with what it is."""
    for column in table.columns:
        if column.code is not None:
            yield column.name, f"the option {column.code} of {column.field} ({column.name})"
        elif column.name == f"{table.name}_complete" and column is table.columns[-1]:
            yield column.name, f"the form status {column.name}"
        else:
            yield column.name, f"the field {column.name}"


def _alike(named: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs of names that SQL does not distinguish, in words."""
    seen: dict[str, str] = {}
    for name, words in named:
        if name.lower() in seen:
            yield seen[name.lower()], words
        else:
            seen[name.lower()] = words
