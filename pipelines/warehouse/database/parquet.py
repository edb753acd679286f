"""Reads a person's Parquet file: its columns, and its rows some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import QueryRefused
from pipelines.warehouse.database.connection import Connection, connect, harden
from pipelines.warehouse.database.memory import Width, allow, limit_of
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.database.table_sql import widened_rows

ROWS_AT_ONCE = 10_000
_KEPT = "Nothing was proposed."


@contextmanager
def open_parquet(path: Path, *, memory_limit: str | None) -> Iterator[tuple[list[str], Iterator[Sequence[Any]]]]:
    """The columns and rows of a Parquet file; raises QueryRefused, without its content, where it cannot be read.

    `memory_limit` is that of projects.yaml. Numbers of single precision keep the digits they show: converted to double
    precision, 160.1 would become 160.10000610351562.
    """
    connection = connect()
    try:
        yield _opened(connection, path, memory_limit)
    finally:
        connection.close()


def _opened(connection: Connection, path: Path, memory_limit: str | None) -> tuple[list[str], Iterator[Sequence[Any]]]:
    source = f"read_parquet({literal(str(path))})"
    try:
        columns = connection.execute(f"DESCRIBE FROM {source}").fetchall()
        allow(connection, memory_limit, Width(widest=len(columns)))
        connection.execute("SET threads = 1")
        harden(connection, [], [path])
        narrow = [identifier(name) for name, kind, *_ in columns if kind == "FLOAT"]
        connection.execute(widened_rows(source, narrow))
    except duckdb.Error as problem:
        refused = _refused(connection, path, problem)
    else:
        return [name for name, *_ in columns], _rows(connection, path)
    # Raised outside the handler: DuckDB's message, which would be chained to it, may quote the file.
    raise refused


def _rows(connection: Connection, path: Path) -> Iterator[Sequence[Any]]:
    try:
        while rows := connection.fetchmany(ROWS_AT_ONCE):
            yield from rows
    except duckdb.Error as problem:
        refused = _refused(connection, path, problem)
    else:
        return
    raise refused


def _refused(connection: Connection, path: Path, problem: duckdb.Error) -> QueryRefused:
    if isinstance(problem, duckdb.OutOfMemoryException):
        limit = round(limit_of(connection) / 10**6)
        return QueryRefused(
            f"{path} takes more than the {limit:,} MB of memory that may be used to read it. {_KEPT} "
            "Set memory_limit in projects.yaml higher, then try again."
        )
    return QueryRefused(f"{path} cannot be read as a Parquet file. {_KEPT} Save it again as Parquet or CSV.")
