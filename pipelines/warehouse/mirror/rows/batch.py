"""The answers of staged chunks as one temporary table `batch`, some instruments at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.errors import VerificationFailed
from pipelines.warehouse.database.connection import UNREADABLE_ROWS, Connection
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.mirror.rows.merge_sql import answer_rows, fill_batch, no_rows
from pipelines.warehouse.staging.column_groups import WIDEST, Source, columns_read
from pipelines.warehouse.tables.layout import InstrumentTable, Layout


def stage(
    connection: Connection,
    layout: Layout,
    places: Mapping[str, str],
    sources: Sequence[Source],
    tables: Sequence[InstrumentTable],
) -> None:
    """Read the keys and the cells of some instruments into the table `batch`, as text.

    `places` gives the batch's column for each column of an answer. Raises VerificationFailed if a file has changed
    since it was verified.
    """
    wanted = columns_read(layout, tables)
    shown = {name: place for name, place in places.items() if name in wanted}
    parts = [answer_rows(source, shown, number) for number, source in enumerate(sources)]
    if not parts:
        parts = [(no_rows(shown), {})]
    if len(shown) <= WIDEST:
        # One statement for all answers: inserting them one by one costs three times as much. Where they are wider than
        # what is usually read together it would take the memory of all of them at once.
        union = " UNION ALL ".join(query for query, _ in parts)
        parts = [(union, {name: excluded for _, values in parts for name, excluded in values.items()})]
    try:
        for number, (query, excluded) in enumerate(parts):
            execute(connection, fill_batch(query, tables, places, further=number > 0), excluded)
    except UNREADABLE_ROWS:
        # DuckDB's message would quote the line, which is patients' data.
        raise VerificationFailed(reason="a staged answer can no longer be read as it was verified") from None
