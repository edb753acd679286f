"""An edited copy of an instrument's table, or REDCap's own flat export of several: a column for each field.

Each cell goes to its instrument and, in a row that names one, to that repeating instrument. Cells that are as they were
published propose nothing; columns that are never written are named once, and the others are taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.warehouse.comparison.cells import Chunk, Comparison, Difference
from pipelines.warehouse.comparison.rows import RowComparison, RowDifference
from pipelines.warehouse.database.plain_csv import PlainCsv
from pipelines.writeback.decide.reasons import Why
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.proposals.columns import (
    EVENT,
    OWN_COLUMNS,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    ProjectColumns,
)
from pipelines.writeback.proposals.edited import EditedCells, is_unchanged
from pipelines.writeback.proposals.files import Unreadable
from pipelines.writeback.proposals.label_export import LABEL_EXPORT, is_label_export
from pipelines.writeback.proposals.table import Ignored, Reading, Table, cell_text, chunks_of
from redcap_source.dictionary import ValueKind

OTHER_INSTRUMENT = "a field of another instrument than the one that was asked for"
UNKNOWN = "no field of the project as it was last loaded"
_KEYS = {EVENT: "event", REPEAT_INSTRUMENT: "instrument", REPEAT_INSTANCE: "instance"}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a wide table are."""

    keys: dict[str, int]
    """Where each of comparison_rows.KEY_COLUMNS stands; a field may have the name of one, so they are kept apart."""
    places: dict[str, int]
    """Where the fields that are compared stand."""
    written: dict[str, list[str]]
    """The columns that may be written, by instrument."""
    ignored: dict[str, str]
    """The columns that are never written, with why."""
    watched: dict[str, list[str]] = field(default_factory=dict)
    """Those of them in which an edit can be seen, by instrument."""

    @property
    def instruments(self) -> list[str]:
        """The instruments that have columns in the table."""
        return list(dict.fromkeys((*self.written, *self.watched)))


def read_wide(
    offer: PlainCsv | Table,
    names: Sequence[str],
    columns: ProjectColumns,
    comparison: Comparison,
    cells: EditedCells,
    instrument: str | None = None,
) -> Reading:
    """Take in a table with a column for each field, and propose the cells that differ from what is published."""
    layout = wide_layout(names, columns, instrument)
    _check_keys(layout, comparison, names)
    compared = [name for listed in (*layout.written.values(), *layout.watched.values()) for name in listed]
    rows = RowComparison(comparison, compared)
    events = bool(columns.dictionary.events)
    if isinstance(offer, PlainCsv):
        rows.rows_of_csv(offer, layout.keys, layout.places, events=events)
    else:
        for chunk in _chunks(offer, layout, columns, rows):
            rows.rows_of_chunk(chunk, events=events)
    rows.refuse_problems()
    untouched = frozenset(
        name
        for name in compared
        if name in columns.rules and columns.rules[name].kind in (ValueKind.CHECKBOX, ValueKind.STATUS)
    )
    for name, listed in layout.written.items():
        rows.refuse_foreign(name, listed, untouched)
    edited: defaultdict[str, set[int]] = defaultdict(set)
    for name in layout.instruments:
        for group, page in rows.differences(name, layout.written.get(name, [])):
            comparison.propose(list(_proposed(name, group, page, columns, cells)))
        for group, page in rows.differences(name, layout.watched.get(name, [])):
            _note_edits(group, page, columns, edited)
    ignored = tuple(Ignored(name, why, len(edited[name])) for name, why in layout.ignored.items())
    return Reading(comparison.rows("offered_rows"), cells.left, ignored)


def wide_layout(names: Sequence[str], columns: ProjectColumns, instrument: str | None = None) -> Layout:
    """What each column of a table is; Unreadable where it is none of this project's."""
    if is_label_export(names, columns):
        raise Unreadable(LABEL_EXPORT)
    at = {name.strip(): position for position, name in enumerate(names)}
    if len(at) != len(names):
        raise Unreadable("two of its columns have the same name.")
    if columns.record_id not in at:
        raise Unreadable(
            f"it has neither the columns record, field and new_value nor the record id {columns.record_id}."
        )
    if instrument is not None and instrument not in columns.dictionary.instruments:
        raise Unreadable(f"the project has no instrument {instrument} in the warehouse.")
    sorted_out = _Columns(columns, instrument)
    for name, position in at.items():
        sorted_out.take(name, position)
    if not sorted_out.written:
        raise Unreadable("it has no field of the project that may be written.")
    return sorted_out.layout(at)


class _Columns:
    """Sorts the columns of a table, one after another."""

    def __init__(self, columns: ProjectColumns, instrument: str | None) -> None:
        self.columns = columns
        self.instrument = instrument
        self.timestamps = columns.timestamps()
        self.written: defaultdict[str, list[str]] = defaultdict(list)
        self.watched: defaultdict[str, list[str]] = defaultdict(list)
        self.ignored: dict[str, str] = {}
        self.beside: list[str] = []

    def take(self, name: str, position: int) -> None:
        rule = self.columns.rules.get(name)
        if name == self.columns.record_id or name in _KEYS:
            return
        if rule is None:
            self._take_other(name, position)
        elif self.instrument not in (None, rule.instrument):
            self.ignored[name] = OTHER_INSTRUMENT
        elif (why := self.columns.why_ignored(rule)) is None:
            self.written[rule.instrument].append(name)
        else:
            self.ignored[name] = why
            # Of a file an export has a name, an id or a placeholder; what is not kept is not compared.
            if rule.kind not in (ValueKind.FILE, ValueKind.DESCRIPTIVE) and not self.columns.withheld(rule):
                self.watched[rule.instrument].append(name)

    def _take_other(self, name: str, position: int) -> None:
        if name in OWN_COLUMNS:
            self.ignored[name] = Why.OWN_COLUMN
            if name == OWN_COLUMNS[0]:
                self.beside.append(name)
        elif name in self.timestamps:
            self.ignored[name] = Why.OWN_COLUMN
        elif name in self.columns.options:
            self.ignored[name] = Why.CHECKBOX_WHOLE
        else:
            # The name is not repeated: a file without a header has a participant's values in its first line.
            self.ignored[f"column {position + 1}"] = UNKNOWN

    def layout(self, at: dict[str, int]) -> Layout:
        if self.beside:
            # The group stands in every instrument's table; it is compared in one.
            self.watched[next(iter(self.written))] += self.beside
        kept = [name for listed in (*self.written.values(), *self.watched.values()) for name in listed]
        keys = {"record": at[self.columns.record_id]}
        keys |= {key: at[name] for name, key in _KEYS.items() if name in at}
        places = {name: at[name] for name in kept}
        return Layout(keys, places, dict(self.written), self.ignored, dict(self.watched))


def _check_keys(layout: Layout, comparison: Comparison, names: Sequence[str]) -> None:
    """Refuse a table that lacks what tells the rows of its instruments apart."""
    present = {name.strip() for name in names}
    needed = dict.fromkeys(
        key
        for instrument in layout.instruments
        for key in comparison.snapshot.columns(instrument)
        if key in (EVENT, REPEAT_INSTANCE)
    )
    wanted = [*needed]
    if REPEAT_INSTANCE in needed and len(layout.instruments) > 1:
        wanted.append(REPEAT_INSTRUMENT)
    missing = [name for name in wanted if name not in present]
    if missing:
        listed = " and ".join(missing)
        raise Unreadable(f"it lacks {listed}, which tell the rows of {', '.join(layout.instruments[:5])} apart.")


def _chunks(table: Table, layout: Layout, columns: ProjectColumns, rows: RowComparison) -> Iterator[Chunk]:
    rules: list[tuple[int, Rule | None]] = [(at, None) for at in layout.keys.values()]
    rules += [(at, columns.rules.get(name)) for name, at in layout.places.items()]
    names = [*layout.keys, *map(rows.name, layout.places)]

    def convert(row: Sequence[Any]) -> list[str | None]:
        return [cell_text(row[at], rule) for at, rule in rules]

    return chunks_of(table, names, convert)


def _proposed(
    instrument: str, names: Sequence[str], page: Sequence[RowDifference], columns: ProjectColumns, cells: EditedCells
) -> Iterator[Difference]:
    rules = [columns.rules[name] for name in names]
    for row in page:
        key = row.record, row.event, row.instance
        for rule, text, seen in zip(rules, row.offered, row.published, strict=True):
            if text != seen and (wanted := cells.wanted(rule, key, seen, text)) is not None:
                yield Difference(row.row, *key[:2], instrument, key[2], rule.column, seen, wanted)


def _note_edits(
    names: Sequence[str], page: Sequence[RowDifference], columns: ProjectColumns, edited: dict[str, set[int]]
) -> None:
    """Count the cells of columns that are never written which somebody edited all the same."""
    for row in page:
        for name, text, seen in zip(names, row.offered, row.published, strict=True):
            rule = columns.rules.get(name)
            if row.there and text and text != seen and not (rule and is_unchanged(rule, seen, text)):
                edited[name].add(row.row)
