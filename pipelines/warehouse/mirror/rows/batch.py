"""A batch of staged chunks as temporary tables, one instrument at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.errors import VerificationFailed
from pipelines.warehouse.database.connection import UNREADABLE_ROWS, Connection
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.staging.answers import csv_source
from pipelines.warehouse.staging.column_groups import WIDEST, Source, columns_read
from pipelines.warehouse.tables.layout import InstrumentTable, Layout
from pipelines.warehouse.tables.row_sql import holds_data


def stage(
    connection: Connection,
    layout: Layout,
    places: Mapping[str, str],
    sources: Sequence[Source],
    tables: Sequence[InstrumentTable],
) -> None:
    """The cells of some instruments, and the keys, as a temporary table of text; columns as in a whole answer."""
    wanted = columns_read(layout, tables)
    shown_as = {name: place for name, place in places.items() if name in wanted}
    parts = [_cells_of(source, shown_as, number) for number, source in enumerate(sources)]
    if not parts:
        names = ", ".join(f"NULL::VARCHAR AS {place}" for place in shown_as.values())
        parts = [(f"SELECT {names} WHERE false", {})]
    if len(shown_as) <= WIDEST:
        # One statement for all answers: inserting them one by one costs three times as much. Where they are wider than
        # what is usually read together it would take the memory of all of them at once.
        union = " UNION ALL ".join(query for query, _ in parts)
        parts = [(union, {name: excluded for _, values in parts for name, excluded in values.items()})]
    flags = ", ".join(f"{holds_data(table, places.__getitem__)} AS {flag(table)}" for table in tables)
    try:
        for number, (query, excluded) in enumerate(parts):
            into = "INSERT INTO batch" if number else "CREATE OR REPLACE TEMP TABLE batch AS"
            execute(connection, f"{into} SELECT *, {flags} FROM ({query})", excluded)
    except UNREADABLE_ROWS:
        # The message would quote the line, which is patients' data.
        raise VerificationFailed(reason="a staged answer can no longer be read as it was proven") from None


def _cells_of(source: Source, shown_as: Mapping[str, str], number: int) -> tuple[str, dict[str, list[str]]]:
    """A query of an answer's rows that are taken, its columns under the batch's names, and its parameters."""
    at = {name: i for i, name in enumerate(source.answer.columns)}
    shown = ", ".join(f"c{at[name]} AS {place}" for name, place in shown_as.items())
    query = f"SELECT {shown} FROM {csv_source(source.answer)} WHERE NOT list_contains($excluded{number}::VARCHAR[], c0)"
    return query, {f"excluded{number}": list(source.excluded)}


def flag(table: InstrumentTable) -> str:
    """The column of the batch that says whether a row holds data of an instrument."""
    return identifier(f"holds {table.name}")
