"""Publishes finished loads: writes a new copy of the published file and puts it in place in one step.

Readers keep the file they have open and see the new one when they open it again; nobody is ever locked out, and nobody
sees half a load. Not here: what is written of each project (project.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from pipelines.errors import ForeignMirror, LoadUnfinished, NotAllPublished
from pipelines.sharing import PRIVATE, Sharing
from pipelines.warehouse.database.compaction import compact, compacted_size, needs_compaction, save_compacted_size
from pipelines.warehouse.database.connection import (
    Connection,
    DatabaseError,
    OutOfMemory,
    attach_to_read,
    attach_to_write,
    connect,
    harden,
    open_reader,
    private_files,
    private_folder,
    sync_to_disk,
    transaction,
)
from pipelines.warehouse.database.file_errors import is_locked, memory_remedy, reason_of, unusable
from pipelines.warehouse.database.memory import allow, enough
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published.copy_sql import count_runs, mirror_format
from pipelines.warehouse.published.project import ProjectPublisher, define_changes
from pipelines.warehouse.published.sharing import is_shared_so, let_readers_in, share
from pipelines.warehouse.published_file import has_ledger
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import FORMAT, OTHER_FORMAT

# Where the published file keeps its size at its last compaction.
COMPACTED_SIZE = "_publish.fresh"

# How a load ends that readers may see; an incomplete one lacks only records it names.
ENDED_WELL = ("ok", "incomplete")


@dataclass(frozen=True, slots=True)
class Published:
    """What one publish did."""

    projects: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    """Projects that could not be published, with the reason; what was published of them before stays."""


def release(folder: WarehouseFolder, project: str) -> None:
    """Mark the project's last load for the next publish; raises LoadUnfinished if it did not end well."""
    run_id, outcome = _last_run(folder, project)
    if outcome not in ENDED_WELL:
        raise LoadUnfinished(project=project, outcome=outcome)
    folder.mark_loaded(project, run_id)


def _last_run(folder: WarehouseFolder, project: str) -> tuple[str, str]:
    if not folder.mirror(project).exists():
        return "", "never loaded"
    with open_reader(folder.mirror(project)) as connection:
        row = one(connection, statements("runs")["last_run"]) if has_ledger(connection) else None
    return (row[0], row[1]) if row else ("", "never loaded")


def publish(
    folder: WarehouseFolder,
    *,
    memory_limit: str | None = None,
    configured: Collection[str] | None = None,
    sharing: Sharing = PRIVATE,
) -> Published:
    """Publish every project loaded since the last publish; with none, do nothing but set right the file's mode.

    `configured` names the projects of projects.yaml: one that was removed from it is no longer published, whatever is
    wrong with its files (None publishes all). `sharing` is the mode and the group of the published file; raises
    ConfigError, before anything is published, if it cannot have them.

    One process publishes at a time. One that had to wait for another usually finds its own work done, so many projects
    that finish together share a publish. A project whose mirror cannot be published does not hold up the others: they
    are published, and NotAllPublished is raised then.
    """
    folder.make()
    with FileLock(folder.publish_lock, mode=0o600):
        sweep(folder)
        loaded = {
            project: run for project, run in folder.unpublished().items() if configured is None or project in configured
        }
        try:
            let_readers_in(folder.path, sharing)
            if folder.database.is_file() and not is_shared_so(folder.database, sharing):
                share(folder.database, sharing)
            if not loaded:
                return Published(())
            published = _publish(folder, loaded, memory_limit, sharing)
        except (OSError, DatabaseError) as problem:
            raise unusable(folder.database, problem) from None
        finally:
            sweep(folder)
    if published.failed:
        raise NotAllPublished(published=published.projects, failed=published.failed)
    return published


def _publish(
    folder: WarehouseFolder,
    loaded: Mapping[str, str],
    memory_limit: str | None,
    sharing: Sharing,
    *,
    may_copy: bool = True,
) -> Published:
    """Write the new file beside the published one and put it in its place; `loaded` are projects with their runs."""
    new = folder.path / f".publishing-{os.getpid()}.duckdb"
    compacted = False
    with private_files():
        if folder.database.exists():
            compacted = _copy(folder.database, new, memory_limit)
        with _open(new, folder, list(loaded), memory_limit, may_copy=may_copy) as opened:
            failed = opened.broken | _write_projects(opened)
            if failed and not set(opened.projects).difference(failed):
                return Published((), failed)
            if compacted or compacted_size(opened.connection, COMPACTED_SIZE) is None:
                save_compacted_size(opened.connection, COMPACTED_SIZE, new.stat().st_size)
        if opened.copied in failed:
            # The file is a copy of a mirror that could not be published, so it is of no use to the others either.
            new.unlink()
            return _publish(folder, loaded, memory_limit, sharing, may_copy=False)
        if opened.discarded:
            # The file's free blocks hold what was discarded, perhaps identifiers from before they were hashed.
            compact_published(new, memory_limit)
        share(new, sharing)
        sync_to_disk(new)
        new.replace(folder.database)
        sync_to_disk(folder.path)
    done = tuple(project for project in opened.projects if project not in failed)
    for project in done:
        folder.mark_published(project, loaded[project])
    return Published(done, failed)


def _copy(database: Path, new: Path, memory_limit: str | None) -> bool:
    """Copy the published file, or where it has grown write it compacted; returns whether it was compacted."""
    with open_reader(database) as connection:
        known = compacted_size(connection, COMPACTED_SIZE)
    if not needs_compaction(database.stat().st_size, known):
        shutil.copyfile(database, new)
        return False
    compact(database, new, memory_limit=memory_limit)
    return True


def compact_published(new: Path, memory_limit: str | None) -> None:
    """Replace a new published file by one without free blocks."""
    compacted = new.with_name(f"{new.name}.compact")
    compact(new, compacted, memory_limit=memory_limit)
    with connect() as connection:
        attach_to_write(connection, compacted, "warehouse")
        connection.execute("USE warehouse")
        save_compacted_size(connection, COMPACTED_SIZE, compacted.stat().st_size)
    compacted.replace(new)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The new published file, open, with the mirrors of the projects to publish attached, read-only."""

    connection: Connection
    projects: list[str]
    broken: dict[str, str]
    """Projects whose mirrors cannot be attached, with the reason."""
    copied: str | None
    """The project whose mirror the new file is a copy of."""
    discarded: list[str] = field(default_factory=list)
    """Projects of which something that was published before has been discarded."""


@contextmanager
def _open(
    new: Path, folder: WarehouseFolder, loaded: Sequence[str], memory_limit: str | None, *, may_copy: bool
) -> Iterator[_Opened]:
    connection = connect()
    try:
        broken: dict[str, str] = {}
        projects = [project for project in loaded if _attach(connection, folder, project, broken)]
        # A load that began meanwhile has removed its mark before it wrote anything.
        marked = folder.unpublished()
        projects = [project for project in projects if project in marked]
        copied = _begin_as_copy(connection, new, folder, projects) if may_copy and not new.exists() else None
        attach_to_write(connection, new, "warehouse")
        connection.execute("USE warehouse")
        # A project may be called `memory`.
        connection.execute("DETACH memory")
        spill = private_folder(folder.work / "publish.spill")
        connection.execute(f"SET temp_directory = {literal(str(spill))}")
        # Where the file is a copy of the only project's mirror, its rows are there already.
        allow(connection, memory_limit, writes=[copied] != projects)
        connection.execute("SET preserve_insertion_order = false")
        # A second thread costs a third more CPU time on tables of this size.
        connection.execute("SET threads = 1")
        harden(connection, [])
        yield _Opened(connection, projects, broken, copied)
    except OutOfMemory as problem:
        raise unusable(folder.database, problem, enough=enough(connection)) from None
    finally:
        connection.close()


def _attach(connection: Connection, folder: WarehouseFolder, project: str, broken: dict[str, str]) -> bool:
    """Attach a mirror; False while its next load is running (that load publishes when it ends), or if it is broken."""
    try:
        attach_to_read(connection, folder.mirror(project), _catalog(project))
        row = one(connection, mirror_format(identifier(_catalog(project))))
    except (DatabaseError, OSError) as problem:
        if not is_locked(problem):
            broken[project] = reason_of(problem)
        return False
    if row != (FORMAT,):
        broken[project] = OTHER_FORMAT
        return False
    return True


def _begin_as_copy(connection: Connection, new: Path, folder: WarehouseFolder, projects: Sequence[str]) -> str | None:
    """Begin the first published file as a copy of the largest mirror; returns whose it was, or None.

    Copying bytes costs next to nothing. Only a mirror that a single run wrote is copied: the free blocks of others hold
    what was replaced, perhaps from before identifiers were hashed. The mirrors are attached, so that no load can write
    to them meanwhile.
    """
    # What a writer that died left in a write-ahead log is not in the file.
    usable = [
        project
        for project in projects
        if not Path(f"{folder.mirror(project)}.wal").exists()
        and count(connection, count_runs(identifier(_catalog(project)))) == 1
    ]
    if not usable:
        return None
    largest = max(usable, key=lambda project: folder.mirror(project).stat().st_size)
    shutil.copyfile(folder.mirror(largest), new)
    return largest


def _write_projects(opened: _Opened) -> dict[str, str]:
    """Write each project, in a transaction of its own; returns which projects failed, with the reason."""
    connection = opened.connection
    _make_shared_tables(connection, copied=opened.copied is not None)
    failed: dict[str, str] = {}
    for project in opened.projects:
        publisher = ProjectPublisher(connection, project, _catalog(project), is_copy=project == opened.copied)
        try:
            with transaction(connection):
                publisher.publish()
            if publisher.discarded:
                opened.discarded.append(project)
            publisher.write_comments()
        except (DatabaseError, ForeignMirror) as problem:
            with suppress(DatabaseError):
                connection.execute("ROLLBACK")
            failed[project] = reason_of(problem)
            if isinstance(problem, OutOfMemory):
                failed[project] += f". {memory_remedy(enough(connection)).rstrip('.')}"
    define_changes(connection)
    connection.execute("CHECKPOINT")
    return failed


def _make_shared_tables(connection: Connection, *, copied: bool) -> None:
    """Create the tables that all projects share, where they are missing; `copied` says the file was a mirror."""
    if copied:
        connection.execute(statements("publish")["become_published"])
    connection.execute(statements("catalog")["create_catalog"])
    connection.execute(statements("publish")["create_bookkeeping"])
    connection.execute(statements("writeback")["create_writeback"])
    if compacted_size(connection, COMPACTED_SIZE) is None:
        connection.execute(statements("publish")["describe_times"])


def _catalog(project: str) -> str:
    """The name under which a project's mirror is attached."""
    return f"work:{project}"


def sweep(folder: WarehouseFolder) -> None:
    """Remove what a publish that died left; only called while the publisher's lock is held."""
    for leftover in folder.path.glob(".publishing-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    shutil.rmtree(folder.work / "publish.spill", ignore_errors=True)
