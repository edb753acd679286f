"""Opens the published file for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import NotLoadedYet, WarehouseDamaged
from pipelines.warehouse.database.connection import Connection, open_reader
from pipelines.warehouse.folder import WarehouseFolder
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


def has_ledger(connection: Connection) -> bool:
    """Whether the file has a ledger of its loads."""
    row = connection.execute(statements("reading")["has_ledger"]).fetchone()
    return bool(row and row[0])
