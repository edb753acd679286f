"""Removes every trace of a project: what is published of it, its mirror, and the files that belong to it.

The published file is compacted without it, because rows that are only deleted stay in the file's free blocks. Not here:
Dagster's own record of runs, backups, and the free space of the disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

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
from pipelines.warehouse.manifest import Publication, PublishedProject, last_published
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.publishing.copy_sql import count_rows_of_project, delete_rows_of_project, drop_schema
from pipelines.warehouse.publishing.first_load import define_changes
from pipelines.warehouse.publishing.new_file import compact_if_grown, name_new_file, put_in_place, sweep
from pipelines.warehouse.publishing.project import SCHEMAS
from pipelines.warehouse.publishing.sharing import let_readers_in, share
from pipelines.warehouse.sql import statements


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

    def __bool__(self) -> bool:
        return bool(self.schemas or self.rows or self.files)


def find_traces(folder: WarehouseFolder, project: str) -> Traces:
    """Every trace of the project in the warehouse folder; changes nothing.

    A name that no project can have has no traces: the schema `redcap`, for example, is not a project's.
    """
    if not may_be_a_project(project):
        return Traces(project)
    files = tuple(str(path.relative_to(folder.path)) for path in _files(folder, project))
    if not folder.database.exists():
        return Traces(project, files=files)
    with open_published(folder) as connection:
        return Traces(project, _schemas(connection, project), _rows(connection, project), files)


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
        if found.schemas or found.rows:
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


def _schemas(connection: Connection, project: str) -> tuple[str, ...]:
    names = [project + ending for ending in SCHEMAS]
    found = connection.execute(statements("publish")["schemas_of"], {"names": names}).fetchall()
    return tuple(name for (name,) in found)


def _rows(connection: Connection, project: str) -> dict[str, int]:
    """How many rows the project has in each table that has a column `project`."""
    counts = {}
    for schema, table in connection.execute(statements("publish")["shared_tables"]).fetchall():
        if rows := count(connection, count_rows_of_project(schema, table), {"project": project}):
            counts[f"{schema}.{table}"] = rows
    return counts


def _publish_without(folder: WarehouseFolder, project: str, memory_limit: str | None, sharing: Sharing) -> None:
    fresh = name_new_file(folder)
    with private_files():
        shutil.copyfile(folder.database, fresh)
        with connect() as connection, doing(f"removing {project} from what is published"):
            attach_to_write(connection, fresh, "warehouse")
            connection.execute("USE warehouse")
            # A project may be called `memory`.
            connection.execute("DETACH memory")
            allow(connection, memory_limit)
            with transaction(connection):
                for schema in _schemas(connection, project):
                    connection.execute(drop_schema(schema))
                for schema, table in connection.execute(statements("publish")["shared_tables"]).fetchall():
                    connection.execute(delete_rows_of_project(schema, table), {"project": project})
            define_changes(connection)
            connection.execute("CHECKPOINT")
        compact_if_grown(fresh, memory_limit, discarded=True)
        share(fresh, sharing)
        before = last_published(folder)
        put_in_place(folder, fresh, before, *_without(before, project))


def _without(before: Publication | None, project: str) -> tuple[dict[str, PublishedProject], dict[str, str]]:
    if before is None:
        return {}, {}
    return (
        {name: entry for name, entry in before.projects.items() if name != project},
        {name: run for name, run in before.left_out.items() if name != project},
    )
