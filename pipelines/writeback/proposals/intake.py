"""Which format an offer has, and what becomes of it: proposals, refused rows, columns that are never written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.warehouse.comparison.cells import Comparison
from pipelines.warehouse.database.plain_csv import PlainCsv
from pipelines.writeback.proposals.columns import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT, ProjectColumns
from pipelines.writeback.proposals.eav import EXPORT_NAMES, is_export, read_export
from pipelines.writeback.proposals.edited import EditedCells
from pipelines.writeback.proposals.files import CsvFile, read_rows
from pipelines.writeback.proposals.long import LONG_NAMES, is_long, read_long
from pipelines.writeback.proposals.staleness import refuse_stale
from pipelines.writeback.proposals.table import Reading, Table, Wanted
from pipelines.writeback.proposals.wide import read_wide


@dataclass(frozen=True, slots=True)
class Offer:
    """What a person offers, and whether it may be older than what is published."""

    table: Table | CsvFile
    source: str
    """What it is called in writeback.batches."""
    may_be_old: bool
    """A frame was read just now; a file may have been saved some nights ago, unless its age is told."""


def take_in(offer: Offer, columns: ProjectColumns, comparison: Comparison, wanted: Wanted) -> Reading:
    """Read an offer in whichever format it is; what it proposes and refuses is in the comparison afterwards."""
    names = offer.table.columns
    columns.describe(comparison)
    table = _to_read(offer.table)
    copy = wanted.instrument is not None or is_copy(names, columns)
    if not copy and is_long(names):
        return read_long(table, names, columns, comparison)
    cells = EditedCells(columns, wanted.blanks, comparison.snapshot.hidden_by_type)
    if not copy and is_export(names):
        reading = read_export(table, names, columns, comparison, cells)
    else:
        reading = read_wide(table, names, columns, comparison, cells, wanted.instrument)
    if offer.may_be_old:
        refuse_stale(comparison, columns)
    comparison.withdraw_refused()
    return reading


def is_copy(names: Sequence[str], columns: ProjectColumns) -> bool:
    """Whether a table has a column for each field though some are called as those of a table with one cell a row.

    Where it has no other column, it is taken for such a table: whoever means a copy names the instrument.
    """
    present = {name.strip() for name in names}
    ours = present & {*LONG_NAMES, *EXPORT_NAMES} - {columns.record_id, EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE}
    own = present & columns.rules.keys()
    return columns.record_id in present and ours <= own and bool(own - ours)


def _to_read(table: Table | CsvFile) -> PlainCsv | Table:
    """A file that DuckDB reads as it was checked, or rows of our own reading."""
    if isinstance(table, Table):
        return table
    if table.plain:
        return PlainCsv(table.path, table.delimiter, len(table.columns), table.rows, table.blank_rows)
    return Table(table.columns, read_rows(table))
