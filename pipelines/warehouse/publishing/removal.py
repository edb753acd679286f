"""Takes a project out of the published file, so that not a byte of it remains there.

A file that is exactly what was published last is copied, and the copy compacted without the project: rows that are only
deleted stay in a file's free blocks. Any other file is made again from the mirrors of the other projects, because what
is in it is not known. Not here: the project's own files (pipelines/warehouse/forget.py).
"""

from __future__ import annotations

from pathlib import Path

from pipelines.sharing import Sharing
from pipelines.warehouse.database.connection import (
    Connection,
    attach_to_write,
    connect,
    private_files,
    remove_database,
    transaction,
)
from pipelines.warehouse.database.file_errors import doing
from pipelines.warehouse.database.memory import allow
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import Manifest, Publication, manifest_path, save_manifest
from pipelines.warehouse.publishing.candidates import find_candidates
from pipelines.warehouse.publishing.copy_sql import delete_rows_of_project, drop_schema
from pipelines.warehouse.publishing.first_load import define_changes
from pipelines.warehouse.publishing.new_file import compact_if_grown, copy_checked, name_new_file, put_in_place
from pipelines.warehouse.publishing.project import SCHEMAS
from pipelines.warehouse.publishing.publish import CHANGED, find_state, replace_published
from pipelines.warehouse.publishing.sharing import share
from pipelines.warehouse.sql import statements


def publish_without(folder: WarehouseFolder, project: str, memory_limit: str | None, sharing: Sharing) -> None:
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
                compact_if_grown(new, memory_limit, discarded=True)
                share(new, sharing)
                put_in_place(folder, new, without, without.projects, without.left_out)
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
            for schema in schemas_of(connection, project):
                connection.execute(drop_schema(schema))
            for schema, table in shared_tables(connection):
                connection.execute(delete_rows_of_project(schema, table), {"project": project})
        define_changes(connection)
        connection.execute("CHECKPOINT")


def schemas_of(connection: Connection, project: str) -> tuple[str, ...]:
    """The schemas of a published file that are the project's alone."""
    names = [project + ending for ending in SCHEMAS]
    found = connection.execute(statements("publish")["schemas_of"], {"names": names}).fetchall()
    return tuple(name for (name,) in found)


def shared_tables(connection: Connection) -> list[tuple[str, str]]:
    """The tables of a published file that have rows of all projects."""
    return connection.execute(statements("publish")["shared_tables"]).fetchall()
