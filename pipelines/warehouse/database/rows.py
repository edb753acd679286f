"""Small reads and writes of rows that every part of the warehouse needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.quoting import qualified
from pipelines.warehouse.database.table_sql import insert_from_json

Row = Sequence[object]

# Queries that are combined into one statement: one by one each costs a millisecond, and combined, beyond some hundreds,
# their time grows with the square of their number.
QUERIES_AT_ONCE = 200


def one(connection: Connection, query: str, values: Mapping[str, object] | None = None) -> tuple[Any, ...] | None:
    """The first row of a query; None if there is none."""
    return connection.execute(query, values).fetchone()


def count(connection: Connection, query: str, values: Mapping[str, object] | None = None) -> int:
    """The number that a query or a statement returns: that of the rows it counted, inserted or deleted."""
    row = one(connection, query, values)
    return int(row[0]) if row else 0


def all_rows(connection: Connection, queries: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of many queries with the same columns."""
    for first in range(0, len(queries), QUERIES_AT_ONCE):
        yield from connection.execute(" UNION ALL ".join(queries[first : first + QUERIES_AT_ONCE])).fetchall()


def insert_json(connection: Connection, schema: str, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows given by column name, as one JSON document: a statement for each row costs a millisecond."""
    if rows:
        insert_json_into(connection, schema, table, described_columns(connection, schema, table), rows)


def insert_json_into(
    connection: Connection,
    schema: str,
    table: str,
    columns: Iterable[tuple[str, str]],
    rows: Sequence[Mapping[str, object]],
) -> None:
    """Insert rows as one JSON document into a table whose columns and their types are known."""
    connection.execute(insert_from_json(schema, table, columns), {"rows": json.dumps(rows, default=str)})


def described_columns(connection: Connection, schema: str, table: str) -> list[tuple[str, str]]:
    """The columns of a table with their types."""
    # Asking duckdb_columns() costs ten times as much: it looks at every existing table.
    return [row[:2] for row in connection.execute(f"DESCRIBE {qualified(schema, table)}").fetchall()]
