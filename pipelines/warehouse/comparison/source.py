"""Fills temporary tables from Python, and reads a SELECT in pages while other statements run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.warehouse.comparison import comparison_sql
from pipelines.warehouse.comparison.submission import RowChunk
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.sql import statements

ROWS_AT_ONCE = 5_000


def make_source(connection: Connection, chunk: RowChunk, names: Sequence[str]) -> None:
    """Create the table `source` from a chunk, with these columns; those the chunk lacks are blank."""
    rows = max((len(values) for values in chunk.columns.values()), default=0)
    documents = {f"c{at}": json.dumps(values) for at, values in enumerate(chunk.columns.values())}
    documents["p"] = json.dumps([chunk.problems.get(at) for at in range(rows)])
    documents["g"] = json.dumps(list(chunk.seen_given) or [False] * rows)
    given = {name: f"c{at}" for at, name in enumerate(chunk.columns)}
    statement = comparison_sql.source_of_json(chunk.first, {name: given.get(name) for name in names})
    connection.execute(statement, documents)


def insert_rows(connection: Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows into a temporary table, column by column as JSON: as lists of parameters they cost twice as much."""
    if not rows:
        return
    types = [row[1] for row in connection.execute(f"DESCRIBE {identifier(table)}").fetchall()]
    documents = {f"c{at}": json.dumps(values) for at, values in enumerate(zip(*rows, strict=True))}
    connection.execute(comparison_sql.insert_json(table, types), documents)


def pages(connection: Connection, select: str, values: Mapping[str, object] | None = None) -> Iterator[list[Any]]:
    """Yield the rows of a SELECT some at a time; they are kept in a table, so other statements may run meanwhile."""
    sql = statements("comparison")
    connection.execute(comparison_sql.create_page(select), values)
    total = count(connection, sql["count_page"])
    for begin in range(0, total, ROWS_AT_ONCE):
        between = {"begin": begin, "end": begin + ROWS_AT_ONCE}
        yield connection.execute(sql["read_page"], between).fetchall()
    connection.execute(sql["drop_page"])


def in_groups(names: Sequence[str], size: int) -> Iterator[list[str]]:
    """Yield the names in lists of at most this size."""
    for begin in range(0, len(names), size):
        yield list(names[begin : begin + size])
