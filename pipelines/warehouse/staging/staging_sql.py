"""Queries over answers of REDCap in the staging folder. Text only, nothing is executed here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.staging.answers import Answer
from pipelines.warehouse.tables.layout import DATA_ACCESS_GROUP, EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT

# A buffer of a file's size and this much more holds all of it, so that no line or object is too long for it.
_MARGIN = 4096


def source(answer: Answer, wanted: Collection[str]) -> str:
    """The table function that reads some columns of an answer, named c0, c1, … by their place in it.

    All are text, blank cells NULL. Of a CSV all columns are read, because only their order tells them apart.
    """
    return _json_source(answer, wanted) if answer.format == "json" else csv_source(answer)


def csv_source(answer: Answer) -> str:
    """The table function that reads a CSV answer: text named c0, c1, … by its place, blank cells NULL."""
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(answer.columns)))
    size = answer.path.stat().st_size + _MARGIN
    return (
        f"read_csv({literal(str(answer.path))}, columns = {{{columns}}}, header = true, auto_detect = false, "
        f"delim = ',', quote = '\"', escape = '\"', nullstr = '', strict_mode = true, null_padding = false, "
        f"max_line_size = {size}, buffer_size = {size}, parallel = false, encoding = 'utf-8')"
    )


def _json_source(answer: Answer, wanted: Collection[str]) -> str:
    # Each column that is named costs a tenth of a millisecond, whatever it holds. Where only one is, DuckDB may take
    # whole objects for its values unless `records` says that they are records.
    named = [(i, name) for i, name in enumerate(answer.columns) if name in wanted]
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for _, name in named)
    size = answer.path.stat().st_size + _MARGIN
    shown = ", ".join(f"nullif({identifier(name)}, '') AS c{i}" for i, name in named)
    return (
        f"(SELECT {shown} FROM read_json({literal(str(answer.path))}, columns = {{{columns}}}, "
        f"format = 'array', records = true, maximum_object_size = {size}))"
    )


def verified_rows(answer: Answer) -> str:
    """One row about all rows of an answer: record ids, places and numbers of rows, scattered records, duplicate keys.

    From inside out: the place of each row, the rows of each key, the rows of each record, all in one row.
    """
    rows = source(answer, (answer.columns[0], EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE))
    return f"""
        SELECT list(record), list(first), list(rows)::BIGINT[], coalesce(bool_or(rows <> span), false),
            coalesce(sum(doubles), 0)::BIGINT
        FROM (
            SELECT record, sum(rows) AS rows, max(last) - min(first) + 1 AS span, min(first) AS first,
                count(*) FILTER (rows > 1) AS doubles
            FROM (
                SELECT record, count(*) AS rows, min(n) AS first, max(n) AS last
                FROM (SELECT row_number() OVER () AS n, {", ".join(_keys(answer.columns))} FROM {rows})
                GROUP BY record, event, instrument, instance
            )
            GROUP BY record
        )
        """


def _keys(columns: Sequence[str]) -> Iterator[str]:
    yield "c0 AS record"
    for column, name in ((EVENT, "event"), (REPEAT_INSTRUMENT, "instrument"), (REPEAT_INSTANCE, "instance")):
        yield f"c{columns.index(column)} AS {name}" if column in columns else f"NULL AS {name}"


def count_other_objects(answer: Answer) -> str:
    """How many objects of a JSON answer have other keys than $columns."""
    return (
        f"SELECT count(*) FROM read_json_objects({literal(str(answer.path))}, format = 'array', "
        f"maximum_object_size = {answer.path.stat().st_size + _MARGIN}) WHERE json_keys(json) <> $columns"
    )


def make_census(table: str, path: Path, record_id_field: str, *, longitudinal: bool) -> str:
    """The rows of a JSON list of record ids as a temporary table, numbered in REDCap's order."""
    event = identifier(EVENT) if longitudinal else "NULL::VARCHAR"
    names = [record_id_field, *[EVENT] * longitudinal, DATA_ACCESS_GROUP]
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT row_number() OVER () AS n, "
        f"{identifier(record_id_field)} AS record, {event} AS event, {identifier(DATA_ACCESS_GROUP)} AS grouped "
        f"FROM read_json({literal(str(path))}, columns = {{{columns}}}, format = 'array', records = true)"
    )


def census_records(table: str) -> str:
    """Each record of a census in REDCap's order, with a digest of its events and data access group."""
    # An ordered string_agg gives the same and costs half as much again.
    return (
        "SELECT record, md5(array_to_string(list_sort(list(place)), ',')) "
        f"FROM (SELECT n, record, concat_ws('/', event, grouped) AS place FROM {table}) GROUP BY record ORDER BY min(n)"
    )


def rows_of_events(table: str) -> str:
    """How many rows of a census each event has."""
    return f"SELECT event, count(*) FROM {table} WHERE event IS NOT NULL GROUP BY event"


def records_of_values(path: Path) -> str:
    """The records that a JSON list of single values has."""
    return (
        f"SELECT DISTINCT record FROM read_json({literal(str(path))}, columns = {{record: 'VARCHAR'}}, "
        "format = 'array', records = true)"
    )
