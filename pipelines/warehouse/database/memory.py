"""How much memory a database may use: what projects.yaml says, or what its columns need.

DuckDB processes 2,048 rows of a column at a time and counts their vectors whole, however few rows there are. So the
limit it needs depends on the columns, while the memory it really uses depends on the rows of a chunk.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple

import duckdb

from pipelines.warehouse.database.quoting import literal
from pipelines.warehouse.sql import statements

# What the rows of a chunk take in tables of usual width, in bytes.
USUAL = 256_000_000
# What publishing a file of many small tables takes, whose blocks would all be kept for later otherwise.
SMALL_TABLES = 128_000_000
# A vector of 2,048 texts, 16 bytes each.
_VECTOR = 2048 * 16


class Costs(NamedTuple):
    """What columns take, in bytes."""

    column: int
    """A column of the widest table, while present rows are compared with new ones and written."""
    written: int
    """Each column of a project, until the transaction that wrote to it ends, of those that are not few."""
    few: int
    """For how many columns of a project USUAL is enough."""


# Measured for tables of 2,000 to 18,000 columns: six vectors when they are filled first, eight later.
_COSTS = Costs(10 * _VECTOR, 24_000, 1_200)
# DuckDB 1.5 keeps seven vectors of each column that was written: 250 MB for 10 instruments of 100 columns, 925 for 40.
# Committing changes to a table takes three blocks of 256 KiB a column: 425 MB for 600 columns, 1,200 for 1,700.
_COSTS_OF_1_5 = Costs(25 * _VECTOR, 240_000, 600)
COSTS = _COSTS_OF_1_5 if duckdb.__version__.startswith("1.") else _COSTS

_UNITS = {"bytes": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Width(NamedTuple):
    """How many columns one project has: in its widest table, and in all tables of present rows."""

    widest: int = 0
    together: int = 0


_NONE = Width()


def needed(width: Width, usual: int = USUAL) -> int:
    """How many bytes a database with such tables needs; `usual` is what it may have in any case."""
    return max(usual, width.widest * COSTS.column) + max(0, width.together - COSTS.few) * COSTS.written


def allow(
    connection: duckdb.DuckDBPyConnection,
    configured: str | None,
    width: Width = _NONE,
    *,
    others: bool = True,
    usual: int = USUAL,
) -> None:
    """Limit the database to what was configured, or else to what its tables need, within the machine's memory.

    Counts the tables in all attached files, unless `others` says that only those of `width` are written: they may be
    about to be made. `usual` bytes are allowed in any case.
    """
    if configured is not None:
        connection.execute(f"SET memory_limit = {literal(configured)}")
        return
    wanted = max(needed(width, usual), needed(width_of(connection), usual) if others else 0)
    if wanted > USUAL:
        # Without a limit DuckDB takes four fifths of what the machine, or the container, has.
        connection.execute("RESET memory_limit")
        wanted = min(wanted, limit_of(connection))
    connection.execute(f"SET memory_limit = '{wanted // 1000}KB'")


def width_of(connection: duckdb.DuckDBPyConnection) -> Width:
    """The widest table and the widest schema, in all attached files."""
    row = connection.execute(statements("database")["width"]).fetchone()
    return Width(row[0] or 0, row[1] or 0) if row else _NONE


def limit_of(connection: duckdb.DuckDBPyConnection) -> int:
    """How many bytes the database may use now."""
    row = connection.execute(statements("database")["memory_limit"]).fetchone()
    return in_bytes(row[0]) if row else 0


def in_bytes(amount: str) -> int:
    """An amount of memory as DuckDB and projects.yaml write it, in bytes."""
    found = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", amount)
    return int(float(found[1]) * _UNITS[found[2]]) if found else 0


def enough(connection: duckdb.DuckDBPyConnection, width: Width = _NONE) -> str | None:
    """A limit that would be enough after memory ran out, as projects.yaml writes it; None if it is not known."""
    with suppress(duckdb.Error):
        # After an error in a transaction nothing can be queried before it is rolled back.
        with suppress(duckdb.TransactionException):
            connection.rollback()
        return _written(max(needed(width), needed(width_of(connection)), 2 * limit_of(connection)))
    return None


def _written(size: int) -> str:
    """An amount of memory, rounded up."""
    return f"{-(-size // 10**8) / 10:g}GB" if size >= 10**9 else f"{-(-size // 10**7) * 10}MB"
