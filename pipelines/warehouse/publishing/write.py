"""Writes projects into the new published file, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import ForeignMirror, NotProven
from pipelines.warehouse.database.connection import (
    SMALL_BLOCK_SIZE,
    Connection,
    DatabaseError,
    attach_to_read,
    attach_to_write,
    block_size_of,
    connect,
    harden,
    may_be_unoptimized,
    private_folder,
    transaction,
    unoptimized,
)
from pipelines.warehouse.database.file_errors import is_locked, is_short_of_memory, memory_remedy, reason_of, unusable
from pipelines.warehouse.database.memory import SMALL_TABLES, USUAL, Width, allow, enough
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publishing.candidates import LOADING
from pipelines.warehouse.publishing.first_load import define_changes
from pipelines.warehouse.publishing.new_file import (
    begin_as_copy,
    block_size_for,
    catalog_of,
    is_unchanged,
    prepare,
)
from pipelines.warehouse.publishing.project import ProjectPublisher
from pipelines.warehouse.publishing.proof import Proof
from pipelines.warehouse.publishing.source import MirrorSource


@dataclass(slots=True)
class Written:
    """What became of each project."""

    proofs: dict[str, Proof] = field(default_factory=dict)
    """Those that were written, and how far they were compared with their mirrors."""
    failed: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    discarded: bool = False
    """Whether something was discarded that must not remain in the file's free blocks."""
    copied: str | None = None
    """The project whose mirror the new file is a copy of."""


def write_projects(
    folder: WarehouseFolder,
    new: Path,
    sources: Sequence[MirrorSource],
    memory_limit: str | None,
    *,
    may_copy: bool = True,
) -> Written:
    """Write the projects into the new file, which is created if it does not exist."""
    written = Written()
    with _open(folder, new, sources, memory_limit, written, may_copy=may_copy) as connection:
        for source in sources:
            _write_attached(folder, connection, source, written)
        define_changes(connection)
        connection.execute("CHECKPOINT warehouse")
    return written


@contextmanager
def _open(
    folder: WarehouseFolder,
    new: Path,
    sources: Sequence[MirrorSource],
    memory_limit: str | None,
    written: Written,
    *,
    may_copy: bool,
) -> Iterator[Connection]:
    connection = connect()
    try:
        is_new = not new.exists()
        if is_new and may_copy:
            written.copied = begin_as_copy(connection, new, folder, sources)
        size = block_size_for(source.shape for source in sources)
        # Where anything fails before the checkpoint at the end, the file is removed.
        attach_to_write(connection, new, "warehouse", block_size=size, log=False)
        connection.execute("USE warehouse")
        # A project may be called `memory`.
        connection.execute("DETACH memory")
        spill = private_folder(folder.work / "publish.spill")
        connection.execute(f"SET temp_directory = {literal(str(spill))}")
        widths = [source.width for source in sources]
        widest = Width(max(width.widest for width in widths), max(width.together for width in widths))
        usual = SMALL_TABLES if block_size_of(connection, "warehouse") == SMALL_BLOCK_SIZE else USUAL
        # The tables of other projects, which take long to list, are not read.
        allow(connection, memory_limit, widest, others=False, usual=usual)
        connection.execute("SET preserve_insertion_order = false")
        # A second thread costs a third more CPU time on tables of this size.
        connection.execute("SET threads = 1")
        may_be_unoptimized(connection)
        mirrors = [folder.mirror(source.project) for source in sources]
        # Attaching a file looks for its write-ahead log, too.
        harden(connection, [], [file for mirror in mirrors for file in (mirror, Path(f"{mirror}.wal"))])
        if is_new:
            with unoptimized(connection):
                prepare(connection, copied=written.copied is not None)
        yield connection
    except DatabaseError as problem:
        if not is_short_of_memory(problem):
            raise
        raise unusable(folder.database, problem, enough=enough(connection)) from None
    finally:
        connection.close()


def _write_attached(folder: WarehouseFolder, connection: Connection, source: MirrorSource, written: Written) -> None:
    catalog = catalog_of(source.project)
    try:
        attach_to_read(connection, folder.mirror(source.project), catalog)
    except (DatabaseError, OSError) as problem:
        if is_locked(problem):
            written.waiting[source.project] = LOADING
        else:
            written.failed[source.project] = reason_of(problem)
        return
    try:
        if is_unchanged(connection, source):
            _write(connection, source, written)
        else:
            written.waiting[source.project] = LOADING
    finally:
        with suppress(DatabaseError):
            connection.execute(f"DETACH {identifier(catalog)}")


def _write(connection: Connection, source: MirrorSource, written: Written) -> None:
    project = source.project
    try:
        try:
            written.proofs[project] = _publish(connection, source, written, anew=False)
        except NotProven:
            if project == written.copied:
                raise
            # What was carried over may be wrong; everything of the project is written again.
            written.proofs[project] = _publish(connection, source, written, anew=True)
    except (DatabaseError, ForeignMirror, NotProven) as problem:
        written.proofs.pop(project, None)
        written.failed[project] = str(problem) if isinstance(problem, NotProven | ForeignMirror) else reason_of(problem)
        if is_short_of_memory(problem):
            written.failed[project] += f". {memory_remedy(enough(connection)).rstrip('.')}"


def _publish(connection: Connection, source: MirrorSource, written: Written, *, anew: bool) -> Proof:
    is_copy = source.project == written.copied
    publisher = ProjectPublisher(connection, source, catalog_of(source.project), is_copy=is_copy, anew=anew)
    with transaction(connection):
        proof = publisher.publish()
    written.discarded |= publisher.discarded or anew
    publisher.write_comments()
    return proof
