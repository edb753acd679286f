"""Executes statements about thousands of columns without keeping the memory that parsing them took.

DuckDB's parser takes about 8 kB for every expression, and its allocator keeps freed memory for later. A statement about
15,000 columns would otherwise run beside half a gigabyte that is not used.
"""

from __future__ import annotations

import ctypes
from typing import Any

from pipelines.warehouse.database.connection import Connection, connect

# From this length of text, in characters, returning memory is worth its 20 ms: that of views of some 4,000 columns.
LONG = 500_000


def execute(connection: Connection, sql: str, values: Any = None) -> Connection:
    """Execute SQL as the connection itself would; around long SQL, memory that is not in use is returned."""
    if len(sql) < LONG:
        return connection.execute(sql, values)
    _return_memory()
    for statement in connection.extract_statements(sql):
        _return_memory()
        connection.execute(statement, values)
    _return_memory()
    return connection


def _return_memory() -> None:
    """Return to the operating system what DuckDB's allocator keeps for later.

    All databases of the process share one allocator, which returns everything when any of them gets a new memory limit
    (`BufferPool::SetLimit`). The limit of a database whose settings are locked cannot be set, so another one's is.
    """
    with connect() as other:
        other.execute("SET memory_limit = '100MB'")
    # Statements are allocated by the C library, and glibc keeps freed memory too.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
