"""Reading a person's Parquet file: its columns, and its rows a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import QueryRefused
from pipelines.warehouse.connection import Connection, connect, harden
from pipelines.warehouse.quoting import literal

ROWS_AT_ONCE = 10_000


@contextmanager
def open_parquet(path: Path) -> Iterator[tuple[list[str], Iterator[Sequence[Any]]]]:
    """The columns and rows of a Parquet file; QueryRefused, without what stands in it, where it is none or broken."""
    connection = connect()
    try:
        connection.execute("SET memory_limit = '256MB'")
        connection.execute("SET threads = 1")
        harden(connection, [], [path])
        answer = connection.execute(f"SELECT * FROM read_parquet({literal(str(path))})")
        yield [column[0] for column in answer.description or ()], rows_of(answer)
    except duckdb.Error:
        problem = f"{path} cannot be read as a parquet file."
    else:
        return
    finally:
        connection.close()
    # Raised out here: DuckDB's message may quote what stands in the file.
    raise QueryRefused(problem)


def rows_of(answer: Connection) -> Iterator[Sequence[Any]]:
    """The rows of an answer, fetched a few at a time; a number of single precision keeps the digits it shows.

    DuckDB hands one over in double precision, where 160.1 has become 160.10000610351562.
    """
    narrow = [at for at, (_, kind, *_) in enumerate(answer.description or ()) if str(kind) == "FLOAT"]
    while rows := answer.fetchmany(ROWS_AT_ONCE):
        yield from (_shortened(row, narrow) for row in rows) if narrow else rows


def _shortened(row: Sequence[Any], narrow: Sequence[int]) -> Sequence[Any]:
    from numpy import float32

    return [
        float(str(float32(value))) if at in narrow and isinstance(value, float) else value
        for at, value in enumerate(row)
    ]
