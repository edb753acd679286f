"""Reads a submission in whichever format it has: what it proposes and refuses is in the comparison afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.warehouse.database.plain_csv import PlainCsv
from pipelines.writeback.proposals.columns import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT, ProjectColumns
from pipelines.writeback.proposals.eav import EXPORT_NAMES, is_export, read_export
from pipelines.writeback.proposals.edited import EditedCells
from pipelines.writeback.proposals.files import CsvFile, read_rows
from pipelines.writeback.proposals.long import LONG_NAMES, is_long, read_long
from pipelines.writeback.proposals.staleness import refuse_stale
from pipelines.writeback.proposals.table import ParsedProposals, ProposalOptions, Table
from pipelines.writeback.proposals.wide import read_wide


@dataclass(frozen=True, slots=True)
class Submission:
    """What a person submits, and whether it may be older than what is published."""

    table: Table | CsvFile
    source: str
    """Its name in writeback.batches."""
    may_be_old: bool
    """A frame was just read; a file may have been saved before the last loads, unless a person says when it was."""


def read_submission(
    submission: Submission, columns: ProjectColumns, comparison: Comparison, options: ProposalOptions
) -> ParsedProposals:
    """Read a submission; its proposals and refused rows are in the comparison. Raises Unreadable."""
    names = submission.table.columns
    columns.describe(comparison)
    table = _readable(submission.table)
    copy = options.instrument is not None or is_copy(names, columns)
    if not copy and is_long(names):
        return read_long(table, names, columns, comparison)
    cells = EditedCells(columns, options.blanks, comparison.snapshot.hidden_by_type)
    if not copy and is_export(names):
        parsed = read_export(table, names, columns, comparison, cells)
    else:
        parsed = read_wide(table, names, columns, comparison, cells, options.instrument)
    if submission.may_be_old:
        refuse_stale(comparison, columns)
    comparison.drop_refused()
    return parsed


def is_copy(names: Sequence[str], columns: ProjectColumns) -> bool:
    """Whether a table has a column for each field, although some have names that formats with one cell per row use.

    If it has no other column, it is read as one cell per row; a person who submits a copy can name the instrument.
    """
    present = {name.strip() for name in names}
    reserved = {*LONG_NAMES, *EXPORT_NAMES} - {columns.record_id, EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE}
    ours, fields = present & reserved, present & columns.rules.keys()
    return columns.record_id in present and ours <= fields and bool(fields - ours)


def _readable(table: Table | CsvFile) -> PlainCsv | Table:
    """A file that DuckDB reads as the earlier check did, or rows that are read here."""
    if isinstance(table, Table):
        return table
    if table.plain:
        return PlainCsv(table.path, table.delimiter, len(table.columns), table.rows, table.blank_rows)
    return Table(table.columns, read_rows(table))
