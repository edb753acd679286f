"""Statements over any table, as text. Nothing is executed here; every name passes through quoting.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from pipelines.warehouse.database.quoting import literal, qualified

_JSON_SHAPES: Mapping[str, object] = {"VARCHAR[]": ["VARCHAR"], "JSON": "VARCHAR"}


def insert_from_json(schema: str, table: str, columns: Iterable[tuple[str, str]]) -> str:
    """Insert the objects of the JSON list $rows by the names of their keys; `columns` are the table's, with types."""
    shape = json.dumps([{name: _JSON_SHAPES.get(kind, kind) for name, kind in columns}])
    return (
        f"INSERT INTO {qualified(schema, table)} BY NAME "
        f"SELECT r.* FROM (SELECT unnest(from_json($rows::JSON, {literal(shape)})) AS r)"
    )


def delete_all(schema: str, table: str) -> str:
    """Delete every row of a table."""
    return f"DELETE FROM {qualified(schema, table)}"


def count_all(schema: str, table: str) -> str:
    """How many rows a table or view has."""
    return f"SELECT count(*) FROM {qualified(schema, table)}"


def read_size(table: str) -> str:
    """The number of bytes stored in a table of one row; `table` is a constant of this package."""
    return f"SELECT bytes FROM {table}"


def write_size(table: str) -> str:
    """Store $bytes in such a table."""
    return f"DELETE FROM {table}; INSERT INTO {table} VALUES ($bytes)"


def widened_rows(source: str, narrow: Sequence[str]) -> str:
    """All rows of a table function; numbers of single precision, in the `narrow` columns, keep the digits they show."""
    widened = ", ".join(f"CAST(CAST({name} AS VARCHAR) AS DOUBLE) AS {name}" for name in narrow)
    return f"SELECT * {f'REPLACE ({widened}) ' if widened else ''}FROM {source}"
