"""Showing finished loads to readers: a new copy of the published database, put in place in one step.

Readers keep the file they have open and see the new one when they open it again; nobody is ever locked out and
nobody sees half a night. Loading is mirror.py's business.
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
)
from pipelines.warehouse.database.file_errors import is_locked, memory_remedy, reason_of, unusable
from pipelines.warehouse.database.memory import allow, enough
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published.project import ProjectPublisher, define_changes
from pipelines.warehouse.published_file import has_ledger
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import FORMAT, OTHER_FORMAT

# Where the published file keeps how large it was when it was last written afresh.
COMPACTED_SIZE = "_publish.fresh"

# How a load ends that readers may see; an incomplete one lacks only records it names.
ENDED_WELL = ("ok", "incomplete")


@dataclass(frozen=True, slots=True)
class Published:
    """What one publish took up."""

    projects: tuple[str, ...]
    instruments_copied: int
    bytes: int
    failed: Mapping[str, str] = field(default_factory=dict)
    """Projects whose working files could not be taken up, with the reason; yesterday's data of them stays."""


def release(folder: WarehouseFolder, project: str) -> None:
    """Let the next publish take up the project's last load; refuses one that did not end well."""
    run_id, outcome = _last_run(folder, project)
    if outcome not in ENDED_WELL:
        raise LoadUnfinished(project=project, outcome=outcome)
    folder.mark_loaded(project, run_id)


def _last_run(folder: WarehouseFolder, project: str) -> tuple[str, str]:
    if not folder.mirror(project).exists():
        return "", "never loaded"
    with open_reader(folder.mirror(project)) as connection:
        row = connection.execute(statements("runs")["last_run"]).fetchone() if has_ledger(connection) else None
    return (row[0], row[1]) if row else ("", "never loaded")


def publish(
    folder: WarehouseFolder, *, memory_limit: str | None = None, configured: Collection[str] | None = None
) -> Published:
    """Take up every project loaded since the last publish; with none waiting, do nothing.

    `configured` names the projects of projects.yaml: one that was taken out of it is published no more, and what may be
    wrong with its files is nobody's trouble any more (all projects where None).

    Publishing is one at a time across processes. One that had to wait for another usually finds its own work
    done, so many projects that finish together share a publish. A project whose working file cannot be taken up does
    not hold the others back: they are published, and then it is told.
    """
    folder.make()
    with FileLock(folder.publish_lock, mode=0o600):
        sweep(folder)
        waiting = {
            project: run for project, run in folder.unpublished().items() if configured is None or project in configured
        }
        if not waiting:
            return Published((), 0, 0)
        try:
            published = _publish(folder, waiting, memory_limit)
        except (OSError, DatabaseError) as problem:
            raise unusable(folder.database, problem) from None
        finally:
            sweep(folder)
    if published.failed:
        raise NotAllPublished(published=published.projects, failed=published.failed)
    return published


def _publish(
    folder: WarehouseFolder, waiting: Mapping[str, str], memory_limit: str | None, *, may_copy: bool = True
) -> Published:
    fresh = folder.path / f".publishing-{os.getpid()}.duckdb"
    rewritten = False
    with private_files():
        if folder.database.exists():
            rewritten = _copy(folder.database, fresh, memory_limit)
        with _open(fresh, folder, list(waiting), memory_limit, may_copy=may_copy) as opened:
            written, failed = _take_up(opened)
            failed |= opened.broken
            if failed and not set(opened.projects).difference(failed):
                return Published((), 0, 0, failed)
            if rewritten or compacted_size(opened.connection, COMPACTED_SIZE) is None:
                save_compacted_size(opened.connection, COMPACTED_SIZE, fresh.stat().st_size)
        if opened.copied in failed:
            # What the others share cannot begin with a file that could not be made use of.
            fresh.unlink()
            return _publish(folder, waiting, memory_limit, may_copy=False)
        if opened.gave_up:
            # In the holes lies what was given up, perhaps identifiers from before they were hashed.
            compact_published(fresh, memory_limit)
        sync_to_disk(fresh)
        size = fresh.stat().st_size
        fresh.replace(folder.database)
        sync_to_disk(folder.path)
    done = tuple(project for project in opened.projects if project not in failed)
    for project in done:
        folder.mark_published(project, waiting[project])
    return Published(done, written, size, failed)


def _copy(database: Path, fresh: Path, memory_limit: str | None) -> bool:
    """The published file under another name, as it is or, where it has grown, written afresh; says whether it was."""
    with open_reader(database) as connection:
        known = compacted_size(connection, COMPACTED_SIZE)
    if not needs_compaction(database.stat().st_size, known):
        shutil.copyfile(database, fresh)
        return False
    compact(database, fresh, memory_limit=memory_limit)
    return True


def compact_published(fresh: Path, memory_limit: str | None) -> None:
    """The new published file without holes."""
    compacted = fresh.with_name(f"{fresh.name}.compact")
    compact(fresh, compacted, memory_limit=memory_limit)
    with connect() as connection:
        attach_to_write(connection, compacted, "warehouse")
        connection.execute("USE warehouse")
        save_compacted_size(connection, COMPACTED_SIZE, compacted.stat().st_size)
    compacted.replace(fresh)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The new published file, open, with the working files of the waiting projects attached, read-only."""

    connection: Connection
    projects: list[str]
    broken: dict[str, str]
    """Projects whose working files cannot be attached, with the reason."""
    copied: str | None
    """The project whose working file the new one is a copy of."""
    gave_up: list[str] = field(default_factory=list)
    """Projects of which something that was published before has been given up."""


@contextmanager
def _open(
    fresh: Path, folder: WarehouseFolder, waiting: Sequence[str], memory_limit: str | None, *, may_copy: bool
) -> Iterator[_Opened]:
    connection = connect()
    try:
        broken: dict[str, str] = {}
        projects = [project for project in waiting if _attach(connection, folder, project, broken)]
        # A load that began meanwhile has taken its mark away before it wrote anything.
        still = folder.unpublished()
        projects = [project for project in projects if project in still]
        copied = _begin_as_copy(connection, fresh, folder, projects) if may_copy and not fresh.exists() else None
        attach_to_write(connection, fresh, "warehouse")
        connection.execute("USE warehouse")
        # A project may be called `memory`.
        connection.execute("DETACH memory")
        spill = private_folder(folder.work / "publish.spill")
        connection.execute(f"SET temp_directory = {literal(str(spill))}")
        # The rows of a project of which the file is a copy are there.
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
    """Attach a working file; False while its next load is running (that load publishes when it ends), or if broken."""
    catalog = identifier(_catalog(project))
    try:
        attach_to_read(connection, folder.mirror(project), _catalog(project))
        row = connection.execute(f"SELECT format FROM {catalog}.state.identity").fetchone()
    except (DatabaseError, OSError) as problem:
        if not is_locked(problem):
            broken[project] = reason_of(problem)
        return False
    if row != (FORMAT,):
        broken[project] = OTHER_FORMAT
        return False
    return True


def _begin_as_copy(connection: Connection, fresh: Path, folder: WarehouseFolder, projects: Sequence[str]) -> str | None:
    """The first published file begins as the largest working file: copying bytes costs next to nothing; which it was.

    Only one that a single run made: in the holes of others lies what was replaced, perhaps before identifiers were
    hashed. The working files are attached, so that no load can write to them meanwhile.
    """
    # What a writer that died left in a log of its own is not in the file.
    whole = [
        project
        for project in projects
        if not Path(f"{folder.mirror(project)}.wal").exists() and _runs(connection, project) == 1
    ]
    if not whole:
        return None
    largest = max(whole, key=lambda project: folder.mirror(project).stat().st_size)
    shutil.copyfile(folder.mirror(largest), fresh)
    return largest


def _runs(connection: Connection, project: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {identifier(_catalog(project))}.redcap.sync_runs").fetchone()
    return int(row[0]) if row else 0


def _take_up(opened: _Opened) -> tuple[int, dict[str, str]]:
    """Each project in a transaction of its own; how many instruments were written, and which projects failed."""
    connection = opened.connection
    if opened.copied is not None:
        connection.execute(statements("publish")["become_published"])
    connection.execute(statements("catalog")["create_catalog"])
    connection.execute(statements("publish")["create_bookkeeping"])
    connection.execute(statements("writeback")["create_writeback"])
    if compacted_size(connection, COMPACTED_SIZE) is None:
        connection.execute(statements("publish")["describe_times"])
    written, failed = 0, {}
    for project in opened.projects:
        part = ProjectPublisher(connection, project, _catalog(project), copied=project == opened.copied)
        connection.execute("BEGIN TRANSACTION")
        try:
            written += part.run()
            connection.execute("COMMIT")
            if part.gave_up:
                opened.gave_up.append(project)
            part.comment()
        except (DatabaseError, ForeignMirror) as problem:
            with suppress(DatabaseError):
                connection.execute("ROLLBACK")
            failed[project] = reason_of(problem)
            if isinstance(problem, OutOfMemory):
                failed[project] += f". {memory_remedy(enough(connection)).rstrip('.')}"
    define_changes(connection)
    connection.execute("CHECKPOINT")
    return written, failed


def _catalog(project: str) -> str:
    return f"work:{project}"


def sweep(folder: WarehouseFolder) -> None:
    """Remove what a publish that died left behind; only called while the lock is held."""
    for leftover in folder.path.glob(".publishing-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    shutil.rmtree(folder.work / "publish.spill", ignore_errors=True)
