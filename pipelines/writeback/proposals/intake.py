"""Which format an offer has, and what becomes of it: proposals, refused rows, columns that are never written."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.warehouse.comparison import Comparison, PlainCsv
from pipelines.writeback.proposals.columns import ProjectColumns
from pipelines.writeback.proposals.eav import is_export, read_export
from pipelines.writeback.proposals.edited import EditedCells
from pipelines.writeback.proposals.files import CsvFile, read_rows
from pipelines.writeback.proposals.long import is_long, read_long
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
    if wanted.instrument is None and is_long(names):
        return read_long(table, names, columns, comparison)
    cells = EditedCells(columns, wanted.blanks, comparison.snapshot.hidden_by_type)
    if wanted.instrument is None and is_export(names):
        reading = read_export(table, names, columns, comparison, cells)
    else:
        reading = read_wide(table, names, columns, comparison, cells, wanted.instrument)
    if offer.may_be_old:
        refuse_stale(comparison, columns)
    comparison.withdraw_refused()
    return reading


def _to_read(table: Table | CsvFile) -> PlainCsv | Table:
    """A file that DuckDB reads as it was checked, or rows of our own reading."""
    if isinstance(table, Table):
        return table
    if table.plain:
        return PlainCsv(table.path, table.delimiter, len(table.columns), table.rows)
    return Table(table.columns, read_rows(table))
