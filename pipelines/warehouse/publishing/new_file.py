"""Makes the file that replaces the published one, and puts it in its place. Not here: what is written into it."""

from __future__ import annotations

import fcntl
import os
import shutil
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.warehouse.database.compaction import compact, needs_compaction
from pipelines.warehouse.database.connection import (
    BLOCK_SIZE,
    SMALL_BLOCK_SIZE,
    Connection,
    attach_to_read,
    sync_to_disk,
)
from pipelines.warehouse.database.dialect import FILE, Dialect
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import (
    PIECE,
    Fingerprint,
    Manifest,
    Publication,
    Shape,
    crc32,
    fingerprint,
    log_beside,
    renewed,
    save_manifest,
    unfinished_manifests,
)
from pipelines.warehouse.publishing import copy_sql
from pipelines.warehouse.publishing.source import MirrorSource
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.casts import create_macros
from pipelines.warehouse.tables.labels import create_label_macros

# Lets two files share their blocks until one is written, where the file system can (Linux: btrfs, XFS, bcachefs).
FICLONE = 0x40049409
# Small blocks are for many small tables: where usual ones would take more bytes than this, and no table has as many
# cells as that, so that it is read as fast.
BLOCKS_WORTH_SAVING = 64_000_000
CELLS_OF_A_LARGE_TABLE = 2_000_000
# A published instrument has a table of present rows, one with types, and mostly one of earlier versions.
TABLES_OF_AN_INSTRUMENT = 3


def name_new_file(folder: WarehouseFolder) -> Path:
    """Where the new file is made: in the same folder, so that one rename puts it in its place."""
    return folder.path / f".publishing-{os.getpid()}.duckdb"


def copy_checked(source: Path, target: Path, expected: Fingerprint) -> bool:
    """Copy a file, sharing its blocks where that is possible; returns whether its bytes were the expected ones."""
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
        except OSError:
            checksum = 0
            while piece := old.read(PIECE):
                checksum = zlib.crc32(piece, checksum)
                new.write(piece)
            return checksum == expected.crc32
    return crc32(target) == expected.crc32


def block_size_for(shapes: Iterable[Shape]) -> int:
    """The block size of a file that is to hold projects of these shapes, in bytes."""
    listed = list(shapes)
    tables = sum(shape.instruments for shape in listed) * TABLES_OF_AN_INSTRUMENT
    is_small = tables * BLOCK_SIZE <= BLOCKS_WORTH_SAVING
    if is_small or any(shape.largest_table > CELLS_OF_A_LARGE_TABLE for shape in listed):
        return BLOCK_SIZE
    return SMALL_BLOCK_SIZE


def begin_as_copy(
    connection: Connection, new: Path, folder: WarehouseFolder, sources: Sequence[MirrorSource]
) -> str | None:
    """Begin a new file as a copy of the largest mirror; returns whose it is, or None.

    Copying bytes costs next to nothing. Only a mirror that a single run wrote is copied: the free blocks of others hold
    what was replaced, perhaps from before identifiers were hashed.
    """
    if block_size_for(source.shape for source in sources) != BLOCK_SIZE:
        return None
    # What a writer that died left in a write-ahead log is not in the file.
    usable = [
        source
        for source in sources
        if len(source.runs) == 1 and not Path(f"{folder.mirror(source.project)}.wal").exists()
    ]
    if not usable:
        return None
    largest = max(usable, key=lambda source: folder.mirror(source.project).stat().st_size)
    path = folder.mirror(largest.project)
    # Attached, so that no load can write to it meanwhile.
    attach_to_read(connection, path, catalog_of(largest.project))
    try:
        if not is_unchanged(connection, largest):
            return None
        shutil.copyfile(path, new)
    finally:
        connection.execute(f"DETACH {identifier(catalog_of(largest.project))}")
    return largest.project


def catalog_of(project: str) -> str:
    """The name under which a project's mirror is attached."""
    return f"work:{project}"


def is_unchanged(connection: Connection, source: MirrorSource) -> bool:
    """Whether no run has begun with the attached mirror since it was read."""
    found = one(connection, copy_sql.state_of(identifier(catalog_of(source.project))))
    return found == (source.identity, len(source.runs))


def compact_if_grown(new: Path, memory_limit: str | None, before: Publication | None, *, discarded: bool) -> int:
    """Replace the new file by a compact one, where it has grown or its free blocks hold what was `discarded`.

    `before` is the state that the new file continues, if it does. Returns how large the file is, or was when it last
    had no free blocks, in bytes.
    """
    size, known = new.stat().st_size, before.compact_size if before else None
    if not (discarded or needs_compaction(size, known)):
        return known or size
    compacted = new.with_name(f"{new.name}.compact")
    compact(new, compacted, memory_limit=memory_limit)
    compacted.replace(new)
    return new.stat().st_size


def put_in_place(folder: WarehouseFolder, new: Path, before: Publication | None, state: Publication) -> None:
    """Let the new file replace the published one in one rename; `state` is the new file's, but for its fingerprint.

    The manifest names both files before the rename, so that whichever is found after a crash is known.
    """
    sync_to_disk(new)
    state = replace(state, file=fingerprint(new))
    save_manifest(folder, Manifest((state, before) if before else (state,)))
    # A log that a reader who wrote to the old file left beside it would be applied to the new one.
    remove_log(folder)
    new.replace(folder.database)
    remove_log(folder)
    sync_to_disk(folder.path)
    save_manifest(folder, Manifest((renewed(state, folder.database),)))


def has_log(folder: WarehouseFolder) -> bool:
    """Whether there is a write-ahead log beside the published file."""
    return log_beside(folder).exists()


def remove_log(folder: WarehouseFolder) -> None:
    """Remove such a log."""
    log_beside(folder).unlink(missing_ok=True)


def sweep(folder: WarehouseFolder) -> None:
    """Remove what a publish that died left; only called while the publisher's lock is held."""
    for leftover in folder.path.glob(".publishing-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    for leftover in unfinished_manifests(folder):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(folder.work / "publish.spill", ignore_errors=True)


def prepare(connection: Connection, *, copied: bool, dialect: Dialect = FILE) -> None:
    """Create and describe the tables that all projects share, in a new database; `copied` says it is a mirror's."""
    if copied:
        connection.execute(statements("publish")["become_published"])
    connection.execute(statements("catalog")["create_catalog"])
    connection.execute(dialect.fitted(statements("publish")["create_bookkeeping"]))
    connection.execute(create_macros())
    connection.execute(create_label_macros())
    connection.execute(statements("writeback")["create_writeback"])
    with dialect.describing(connection):
        connection.execute(statements("descriptions")["describe_tables"])
