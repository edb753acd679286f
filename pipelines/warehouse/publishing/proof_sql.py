"""Queries that compare the published rows of an instrument with its mirror. Text only, nothing is executed here.

Each returns one row: the instrument, what is compared, the mirror's number and the published one. Rows are compared by
the sum of their hashes, which is the same in whatever order they are.
"""

from __future__ import annotations

from pipelines.warehouse.database.quoting import identifier, literal, qualified
from pipelines.warehouse.publishing.copy_sql import changed_records
from pipelines.warehouse.tables.layout import rows_now


def compare_counts(instrument: str, what: str, mirror: str, published: str) -> str:
    """Compare how many rows two tables have; both are quoted."""
    return _pair(instrument, what, f"SELECT count(*) FROM {mirror}", f"SELECT count(*) FROM {published}")


def compare_rows(instrument: str, what: str, mirror: str, published: str, where: str) -> str:
    """Compare the rows of two tables value by value; they have the same columns in the same order."""
    return _pair(instrument, what, _sum(mirror, where), _sum(published, where))


def compare_typed(project: str, instrument: str, source: str, select: str, record_id_field: str, *, whole: bool) -> str:
    """Compare the table with types with the mirror's rows under the same SELECT; all rows, or of changed records."""
    test = "" if whole else f" WHERE _record {changed_records(instrument)}"
    there = "" if whole else f" WHERE {identifier(record_id_field)} {changed_records(instrument)}"
    mirror = f"({select} FROM {source}.{rows_now(project, instrument)}{test})"
    published = qualified(project, instrument)
    return _pair(instrument, "rows with types", _sum(mirror), _sum(published, there))


def compare_shared(project: str, what: str, mirror: str, published: str) -> str:
    """Compare how many rows of the project a table of all projects has with the mirror's table."""
    here = f"SELECT count(*) FROM {published} WHERE project = {literal(project)}"
    return _pair("", what, f"SELECT count(*) FROM {mirror}", here)


def test_of(instrument: str) -> str:
    """The condition for a verbatim row to be of a changed record."""
    return f" WHERE _record {changed_records(instrument)}"


def _sum(rows: str, where: str = "") -> str:
    # A row as a whole takes a third of the time that a list of its columns takes. No field's name begins with "_", so
    # this one means the row.
    return f"SELECT coalesce(sum(hash(_row)), 0) FROM {rows} _row{where}"


def _pair(instrument: str, what: str, mirror: str, published: str) -> str:
    return f"SELECT {literal(instrument)}, {literal(what)}, ({mirror})::HUGEINT, ({published})::HUGEINT"
