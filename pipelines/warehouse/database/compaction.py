"""DuckDB files never shrink: rewriting one that has grown far beyond what it held when it was last fresh.

Rows that are replaced leave holes, which a night of small changes fills only in part. A rewrite costs as much as the
file is large, so it waits until the file has grown by a share of itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pipelines.warehouse.database.connection import (
    Connection,
    attach_to_read,
    attach_to_write,
    connect,
    private_files,
    private_folder,
    sync_to_disk,
)
from pipelines.warehouse.database.file_errors import doing
from pipelines.warehouse.database.memory import allow
from pipelines.warehouse.database.quoting import literal

# How much a file may grow before it is rewritten: a share of itself, and what every load of even the smallest project
# replaces, which fills the holes of the load before. With the share alone a small file was rewritten every night.
GROWN = 1.35
EVERY_LOAD = 6_000_000


def needs_compaction(size: int, fresh: int | None) -> bool:
    """Whether a file of this many bytes should be rewritten, having had so many when it was last fresh."""
    return fresh is not None and size > fresh * GROWN + EVERY_LOAD


def compact(source: Path, target: Path, *, memory_limit: str | None) -> None:
    """Everything in one file, written into a new one; what is commented stays so."""
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
        # No project's name has a colon, so no schema goes by these names.
        attach_to_read(connection, source, "grown:")
        attach_to_write(connection, target, "fresh:")
        allow(connection, memory_limit)
        with doing("writing it afresh"):
            connection.execute('COPY FROM DATABASE "grown:" TO "fresh:"')
            connection.execute('CHECKPOINT "fresh:"')


def compacted_size(connection: Connection, table: str) -> int | None:
    """How many bytes the file had when it was last fresh, by the table that keeps it; None if it never was noted."""
    row = connection.execute(f"SELECT bytes FROM {table}").fetchone()
    return int(row[0]) if row else None


def save_compacted_size(connection: Connection, table: str, size: int) -> None:
    """Remember how many bytes the file has now that it is fresh."""
    connection.execute(f"DELETE FROM {table}")
    connection.execute(f"INSERT INTO {table} VALUES ($bytes)", {"bytes": size})
