"""Small reads and writes of rows that every part of the warehouse needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.quoting import literal, qualified


def count(connection: Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


Row = Sequence[object]


def insert_json(connection: Connection, schema: str, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows given by column name, as one JSON document: a statement a row costs a millisecond."""
    if rows:
        insert_json_into(connection, schema, table, described_columns(connection, schema, table), rows)


def insert_json_into(
    connection: Connection,
    schema: str,
    table: str,
    columns: Iterable[tuple[str, str]],
    rows: Sequence[Mapping[str, object]],
) -> None:
    shape = json.dumps([{name: _JSON_SHAPES.get(kind, kind) for name, kind in columns}])
    connection.execute(
        f"INSERT INTO {qualified(schema, table)} BY NAME "
        f"SELECT r.* FROM (SELECT unnest(from_json($rows::JSON, {literal(shape)})) AS r)",
        {"rows": json.dumps(rows, default=str)},
    )


def described_columns(connection: Connection, schema: str, table: str) -> list[tuple[str, str]]:
    # Asking duckdb_columns() costs ten times as much: it looks at every table there is.
    return [row[:2] for row in connection.execute(f"DESCRIBE {qualified(schema, table)}").fetchall()]


_JSON_SHAPES: Mapping[str, object] = {"VARCHAR[]": ["VARCHAR"], "JSON": "VARCHAR"}
