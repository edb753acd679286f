"""Compacts DuckDB files, which never shrink: copies one that has grown far beyond its size when it was last compact.

Rows that are replaced leave free blocks, which a load of small changes fills only in part. A compact copy costs as much
as the file is large, so it is made only once the file has grown by a share of itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pipelines.warehouse.database.connection import (
    Connection,
    attach_to_read,
    attach_to_write,
    block_size_of,
    connect,
    private_files,
    private_folder,
    sync_to_disk,
)
from pipelines.warehouse.database.file_errors import doing
from pipelines.warehouse.database.memory import allow
from pipelines.warehouse.database.quoting import literal
from pipelines.warehouse.database.table_sql import read_size, write_size

# How much a file may grow before it is compacted: a share of itself, and what every load of even the smallest project
# replaces, which fills the free blocks of the load before. With the share alone a small file was compacted every night.
GROWN = 1.35
EVERY_LOAD = 6_000_000


def needs_compaction(size: int, compacted: int | None) -> bool:
    """Whether a file of this size should be compacted, given its size in bytes when it was last compact."""
    return compacted is not None and size > compacted * GROWN + EVERY_LOAD


def compact(source: Path, target: Path, *, memory_limit: str | None) -> None:
    """Write everything in one file, comments included, into a new file without free blocks."""
    target.unlink(missing_ok=True)
    spill = target.with_name(f"{target.name}.spill")
    try:
        _copy(source, target, spill, memory_limit)
    finally:
        shutil.rmtree(spill, ignore_errors=True)
    sync_to_disk(target)


def _copy(source: Path, target: Path, spill: Path, memory_limit: str | None) -> None:
    with private_files(), connect() as connection:
        connection.execute(f"SET temp_directory = {literal(str(private_folder(spill)))}")
        connection.execute("SET threads = 1")
        connection.execute("SET preserve_insertion_order = false")
        # No project's name has a colon, so no schema can have these names.
        attach_to_read(connection, source, "source:")
        attach_to_write(connection, target, "target:", block_size=block_size_of(connection, "source:"), log=False)
        allow(connection, memory_limit)
        with doing("compacting it"):
            connection.execute('COPY FROM DATABASE "source:" TO "target:"')
            connection.execute('CHECKPOINT "target:"')


def compacted_size(connection: Connection, table: str) -> int | None:
    """The size in bytes that the table says the file had when it was last compacted; None if it was never stored."""
    row = connection.execute(read_size(table)).fetchone()
    return int(row[0]) if row else None


def save_compacted_size(connection: Connection, table: str, size: int) -> None:
    """Store the size the file has now that it is compact."""
    connection.execute(write_size(table), {"bytes": size})
