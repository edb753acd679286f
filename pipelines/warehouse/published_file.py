"""Opens the published file for reading, and finds out what is published, even if the manifest or the file is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import NotLoadedYet, WarehouseDamaged
from pipelines.warehouse.database.connection import Connection, open_reader
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import last_published
from pipelines.warehouse.sql import statements


@contextmanager
def open_published(folder: WarehouseFolder) -> Iterator[Connection]:
    """A read-only connection to the published file; raises NotLoadedYet, or WarehouseDamaged for another database."""
    if not folder.database.exists():
        raise NotLoadedYet(path=folder.database)
    with open_reader(folder.database, "warehouse") as connection:
        row = connection.execute(statements("reading")["is_published"]).fetchone()
        if not (row and row[0]):
            raise WarehouseDamaged(path=folder.database, found="it is another database than the published one")
        yield connection


def published_projects(folder: WarehouseFolder) -> frozenset[str]:
    """The projects of which anything is published, or was before the published file was lost."""
    if (last := last_published(folder)) is not None:
        return frozenset({*last.projects, *last.left_out})
    if not folder.database.exists() or not folder.database.stat().st_size:
        return frozenset()
    with open_published(folder) as connection:
        found = connection.execute(statements("reading")["published_projects"]).fetchall()
    return frozenset(project for (project,) in found)


def published_source(folder: WarehouseFolder, project: str) -> str | None:
    """The identity of the mirror that the project was published from; None if nothing of it is published."""
    if (last := last_published(folder)) is not None:
        return entry.identity if (entry := last.projects.get(project)) else None
    if not folder.database.exists():
        return None
    with open_published(folder) as connection:
        row = one(connection, statements("reading")["published_source"], {"project": project})
    return str(row[0]) if row else None


def has_ledger(connection: Connection) -> bool:
    """Whether the file has a ledger of its loads."""
    row = connection.execute(statements("reading")["has_ledger"]).fetchone()
    return bool(row and row[0])
