"""What is asked of the published warehouse from outside: any query of a person's, and how the loads stand.

Nothing here writes. Loading is mirror.py's business, publishing publish.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.errors import QueryRefused
from pipelines.warehouse.database.connection import Connection, DatabaseError
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.sql import statements
from pipelines.wording import counted


def is_published(folder: WarehouseFolder, project: str, last_run: str) -> bool:
    """Whether readers see the project's last load, or will at the next publish: then a write-back may show itself.

    A load that is held back by its checks is not published by the way.
    """
    if project in folder.unpublished():
        return True
    if not folder.database.exists():
        return False
    with open_published(folder) as connection:
        row = connection.execute(statements("writeback")["published_run"], {"project": project}).fetchone()
    return row is not None and row[0] == last_run


# How a project stands whose working file is no whole database, or not there although it was published.
DAMAGED, MISSING = "damaged", "missing"


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's column names and rows; the rows are data and stay out of the repr."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __repr__(self) -> str:
        return f"Answer({counted(len(self.rows), 'row')}, {counted(len(self.columns), 'column')})"


def query(connection: Connection, statement: str) -> Answer:
    """The answer to a person's query; a query DuckDB refuses is their mistake to read, not ours to hide."""
    try:
        connection.execute(statement)
        columns = tuple(column[0] for column in connection.description or ())
        return Answer(columns, connection.fetchall() if columns else [])
    except DatabaseError as problem:
        raise QueryRefused(str(problem)) from None
