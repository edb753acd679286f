"""An edited copy of an instrument's table, or REDCap's own flat export of several: a column for each field.

Each cell belongs to its field's instrument and, in a row that names one, to that repeating instrument. Cells that equal
what was published propose nothing; columns that are never written are reported once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.warehouse.comparison.rows import RowComparison
from pipelines.warehouse.comparison.submission import Difference, RowChunk, RowDifference
from pipelines.warehouse.database.plain_csv import PlainCsv
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.proposals.columns import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT, ProjectColumns
from pipelines.writeback.proposals.edited import EditedCells, is_unchanged
from pipelines.writeback.proposals.files import Unreadable
from pipelines.writeback.proposals.table import Ignored, ParsedProposals, Table, cell_text, chunks_of
from pipelines.writeback.proposals.wide_columns import WideColumns, wide_columns
from redcap_source.dictionary import ValueKind


def read_wide(
    table: PlainCsv | Table,
    names: Sequence[str],
    columns: ProjectColumns,
    comparison: Comparison,
    cells: EditedCells,
    instrument: str | None = None,
) -> ParsedProposals:
    """Read a table with a column for each field, and propose the cells that differ from what is published.

    Raises Unreadable.
    """
    wide = wide_columns(names, columns, instrument)
    _check_keys(wide, comparison, names)
    rows = RowComparison(comparison, wide.compared)
    _read_rows(table, rows, wide, columns)
    rows.refuse_problems()
    zero_is_blank = _zero_is_blank(wide, columns)
    for name, listed in wide.written.items():
        rows.refuse_foreign(name, listed, zero_is_blank)
    edited: defaultdict[str, set[int]] = defaultdict(set)
    for name in wide.instruments:
        for group, page in rows.differences(name, wide.written.get(name, [])):
            comparison.propose(list(_proposed(name, group, page, columns, cells)))
        for group, page in rows.differences(name, wide.watched.get(name, [])):
            _note_edits(group, page, columns, edited)
    ignored = tuple(Ignored(name, reason, len(edited[name])) for name, reason in wide.ignored.items())
    return ParsedProposals(rows.count_rows(), cells.left, ignored)


def _check_keys(wide: WideColumns, comparison: Comparison, names: Sequence[str]) -> None:
    """Raise Unreadable if a table lacks a column that distinguishes the rows of its instruments."""
    present = {name.strip() for name in names}
    needed = dict.fromkeys(
        key
        for instrument in wide.instruments
        for key in comparison.snapshot.columns(instrument)
        if key in (EVENT, REPEAT_INSTANCE)
    )
    expected = [*needed]
    if REPEAT_INSTANCE in needed and len(wide.instruments) > 1:
        expected.append(REPEAT_INSTRUMENT)
    missing = [name for name in expected if name not in present]
    if missing:
        listed = " and ".join(missing)
        raise Unreadable(f"it lacks {listed}, which distinguish the rows of {', '.join(wide.instruments[:5])}.")


def _read_rows(table: PlainCsv | Table, rows: RowComparison, wide: WideColumns, columns: ProjectColumns) -> None:
    events = bool(columns.dictionary.events)
    if isinstance(table, PlainCsv):
        rows.read_csv(table, wide.keys, wide.positions, events=events)
    else:
        for chunk in _chunks(table, wide, columns, rows):
            rows.read_chunk(chunk, events=events)


def _chunks(table: Table, wide: WideColumns, columns: ProjectColumns, rows: RowComparison) -> Iterator[RowChunk]:
    rules: list[tuple[int, Rule | None]] = [(at, None) for at in wide.keys.values()]
    rules += [(at, columns.rules.get(name)) for name, at in wide.positions.items()]
    names = [*wide.keys, *map(rows.name, wide.positions)]

    def convert(row: Sequence[Any]) -> list[str | None]:
        return [cell_text(row[at], rule) for at, rule in rules]

    return chunks_of(table, names, convert)


def _zero_is_blank(wide: WideColumns, columns: ProjectColumns) -> frozenset[str]:
    """The columns in which an export shows 0 for a cell that nobody filled in."""
    kinds = (ValueKind.CHECKBOX, ValueKind.STATUS)
    return frozenset(name for name in wide.compared if name in columns.rules and columns.rules[name].kind in kinds)


def _proposed(
    instrument: str, names: Sequence[str], page: Sequence[RowDifference], columns: ProjectColumns, cells: EditedCells
) -> Iterator[Difference]:
    rules = [columns.rules[name] for name in names]
    for row in page:
        key = row.record, row.event, row.instance
        for rule, text, seen in zip(rules, row.submitted, row.published, strict=True):
            if text != seen and (wanted := cells.wanted(rule, key, seen, text)) is not None:
                yield Difference(row.row, *key[:2], instrument, key[2], rule.column, seen, wanted)


def _note_edits(
    names: Sequence[str], page: Sequence[RowDifference], columns: ProjectColumns, edited: dict[str, set[int]]
) -> None:
    """Collect the rows in which somebody edited a column that is never written."""
    for row in page:
        for name, text, seen in zip(names, row.submitted, row.published, strict=True):
            rule = columns.rules.get(name)
            if row.there and text and text != seen and not (rule and is_unchanged(rule, seen, text)):
                edited[name].add(row.row)
