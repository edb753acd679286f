"""Removes every trace of a project: what is published of it, its mirror, and the files that belong to it.

Not here: what of the published file has to be written again (publishing/removal.py); Dagster's own record of runs,
backups, and the free space of the disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from pipelines.errors import WarehouseError
from pipelines.project_names import may_be_a_project
from pipelines.sharing import PRIVATE, Sharing
from pipelines.warehouse.database.connection import Connection, DatabaseError, remove_database
from pipelines.warehouse.database.file_errors import unusable
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.manifest import last_published
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.publishing.copy_sql import count_rows_of_project
from pipelines.warehouse.publishing.new_file import sweep
from pipelines.warehouse.publishing.removal import publish_without, schemas_of, shared_tables
from pipelines.warehouse.publishing.sharing import let_readers_in


@dataclass(frozen=True, slots=True)
class Traces:
    """What the warehouse folder has of a project, in names and counts."""

    project: str
    schemas: tuple[str, ...] = ()
    """Schemas of the published database that are the project's alone."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows of the project in tables that all projects share."""
    files: tuple[str, ...] = ()
    """Files and folders, as paths in the warehouse folder."""
    recorded: bool = False
    """Whether the record of what was published names it."""

    def __bool__(self) -> bool:
        return bool(self.schemas or self.rows or self.files or self.recorded)


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
            return Traces(project, schemas_of(connection, project), _rows(connection, project), files, recorded)
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
            publish_without(folder, project, memory_limit, sharing)
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
    for schema, table in shared_tables(connection):
        if rows := count(connection, count_rows_of_project(schema, table), {"project": project}):
            counts[f"{schema}.{table}"] = rows
    return counts
