"""Removes every trace of a project: what is published of it, its mirror, and the files that belong to it.

A published file that is exactly what was published last is copied, and the copy compacted without the project: rows
that are only deleted stay in a file's free blocks. Any other is made again from the mirrors of the other projects,
because it is not known what is in it. Not here: Dagster's own record of runs, backups, and the free space of the disk.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from pipelines.errors import WarehouseError
from pipelines.project_names import may_be_a_project
from pipelines.sharing import PRIVATE, Sharing
from pipelines.warehouse.database.connection import (
    Connection,
    DatabaseError,
    attach_to_write,
    connect,
    private_files,
    remove_database,
    transaction,
)
from pipelines.warehouse.database.file_errors import doing, unusable
from pipelines.warehouse.database.memory import allow
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.manifest import CHANGED, Manifest, Publication, last_published, manifest_path, save_manifest
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.publishing.candidates import find_candidates
from pipelines.warehouse.publishing.copy_sql import count_rows_of_project, delete_rows_of_project, drop_schema
from pipelines.warehouse.publishing.first_load import define_changes
from pipelines.warehouse.publishing.new_file import compact_if_grown, copy_checked, name_new_file, put_in_place, sweep
from pipelines.warehouse.publishing.project import SCHEMAS
from pipelines.warehouse.publishing.publish import find_state, replace_published
from pipelines.warehouse.publishing.sharing import let_readers_in, share
from pipelines.warehouse.sql import statements
from pipelines.warehouse.store.results import Traces


def find_traces(folder: WarehouseFolder, project: str) -> Traces:
    """Every trace of the project in the warehouse folder; changes nothing.

    A name that no project can have has no traces: the schema `redcap`, for example, is not a project's.
    """
    if not may_be_a_project(project):
        return Traces(project)
    files = tuple(str(path.relative_to(folder.path)) for path in _files(folder, project))
    last = last_published(folder)
    recorded = last is not None and last.names(project)
    if folder.database.exists():
        # What cannot be read is counted as nothing, and removed all the same.
        with suppress(WarehouseError), open_published(folder) as connection:
            return Traces(project, _schemas_of(connection, project), _rows(connection, project), files, recorded)
    return Traces(project, files=files, recorded=recorded)


def forget(
    folder: WarehouseFolder, project: str, *, memory_limit: str | None = None, sharing: Sharing = PRIVATE
) -> Traces:
    """Remove every trace of the project; returns what was removed.

    The published file is written again, with the mode and the group of `sharing`; raises ConfigError if it cannot have
    them, before anything is removed.
    Raises WarehouseBusy while the project is being loaded. If it is interrupted, calling it again completes it.
    """
    if not may_be_a_project(project):
        return Traces(project)
    folder.make()
    with project_locked(folder, project), FileLock(folder.publish_lock, mode=0o600):
        sweep(folder)
        let_readers_in(folder.path, sharing)
        found = find_traces(folder, project)
        # First, so that no publish restores it.
        folder.unmark(project)
        try:
            _publish_without(folder, project, memory_limit, sharing)
        except (DatabaseError, OSError) as problem:
            raise unusable(folder.database, problem) from None
        finally:
            sweep(folder)
        remove_database(folder.mirror(project))
        for path in _files(folder, project):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        # Still held, so that a process that waits for it notices that the file was replaced.
        folder.project_lock(project).unlink(missing_ok=True)
    return found


def _files(folder: WarehouseFolder, project: str) -> list[Path]:
    """The project's files in the folder `work`, without its lock, which the caller holds."""
    mirror = folder.mirror(project)
    own = [mirror, *(Path(f"{mirror}{ending}") for ending in (".wal", ".spill")), folder.mark(project)]
    fresh = folder.work.glob(f".{mirror.name}.fresh*")
    return [path for path in (*own, *fresh, folder.work / "staging" / project) if path.exists()]


def _rows(connection: Connection, project: str) -> dict[str, int]:
    """How many rows the project has in each table that has a column `project`."""
    counts = {}
    for schema, table in _shared_tables(connection):
        if rows := count(connection, count_rows_of_project(schema, table), {"project": project}):
            counts[f"{schema}.{table}"] = rows
    return counts


def _publish_without(folder: WarehouseFolder, project: str, memory_limit: str | None, sharing: Sharing) -> None:
    """Publish everything but the project; the caller holds the publisher's lock."""
    before, why = find_state(folder)
    if before is None and not folder.database.exists():
        return
    if why is None and before is not None and not before.names(project):
        return
    without = before.without(project) if before else None
    with private_files():
        new = name_new_file(folder)
        if why is None and without is not None:
            if copy_checked(folder.database, new, without.file):
                _remove(new, project, memory_limit)
                compact_size = compact_if_grown(new, memory_limit, without, discarded=True)
                share(new, sharing)
                put_in_place(folder, new, without, replace(without, compact_size=compact_size))
                return
            new.unlink()
        _make_again(folder, new, without, project, memory_limit, sharing, why=why or CHANGED)


def _make_again(
    folder: WarehouseFolder,
    new: Path,
    before: Publication | None,
    project: str,
    memory_limit: str | None,
    sharing: Sharing,
    *,
    why: str,
) -> None:
    candidates = find_candidates(folder, {}, before, anew=True)
    candidates.drop(project)
    if candidates.sources:
        done = replace_published(folder, new, before, candidates, {}, memory_limit, sharing, why=why)
        if done.written:
            return
    # Nothing else can be published now, and what is in this file is not known.
    if before is None:
        manifest_path(folder).unlink(missing_ok=True)
    else:
        save_manifest(folder, Manifest((before,)))
    remove_database(folder.database)


def _remove(path: Path, project: str, memory_limit: str | None) -> None:
    with connect() as connection, doing(f"removing {project} from what is published"):
        attach_to_write(connection, path, "warehouse")
        connection.execute("USE warehouse")
        # A project may be called `memory`.
        connection.execute("DETACH memory")
        allow(connection, memory_limit)
        with transaction(connection):
            for schema in _schemas_of(connection, project):
                connection.execute(drop_schema(schema))
            for schema, table in _shared_tables(connection):
                connection.execute(delete_rows_of_project(schema, table), {"project": project})
        define_changes(connection)
        connection.execute("CHECKPOINT")


def _schemas_of(connection: Connection, project: str) -> tuple[str, ...]:
    """The schemas of a published file that are the project's alone."""
    names = [project + ending for ending in SCHEMAS]
    found = connection.execute(statements("publish")["schemas_of"], {"names": names}).fetchall()
    return tuple(name for (name,) in found)


def _shared_tables(connection: Connection) -> list[tuple[str, str]]:
    """The tables of a published file that have rows of all projects."""
    return connection.execute(statements("publish")["shared_tables"]).fetchall()
