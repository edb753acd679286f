"""Statements about thousands of columns, without keeping the memory that reading their text took.

DuckDB's parser takes about 8 kB for every expression, and its allocator keeps what is free again for later. A statement
about 15,000 columns would do its work beside half a gigabyte that nobody uses.
"""

from __future__ import annotations

import ctypes
from typing import Any

from pipelines.warehouse.database.connection import Connection, connect

# Text in characters from which giving memory back is worth its 20 ms: what views of some 4,000 columns have.
LONG = 500_000


def execute(connection: Connection, sql: str, values: Any = None) -> Connection:
    """Execute SQL as the connection itself would; where it is long, what is not in use is given back around it."""
    if len(sql) < LONG:
        return connection.execute(sql, values)
    _give_back()
    for statement in connection.extract_statements(sql):
        _give_back()
        connection.execute(statement, values)
    _give_back()
    return connection


def _give_back() -> None:
    """Return to the operating system what DuckDB's allocator holds for later.

    It is one allocator for all databases of the process, and it gives everything back when any of them gets a new
    memory limit (`BufferPool::SetLimit`). A database whose settings are locked cannot get one, so another does.
    """
    with connect() as other:
        other.execute("SET memory_limit = '100MB'")
    # What statements are made of is allocated by the C library, whose glibc keeps it too.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
