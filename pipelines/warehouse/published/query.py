"""Answers a person's query of what is published, and determines whether a load is published. Nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.errors import QueryRefused
from pipelines.warehouse.database.connection import Connection, DatabaseError, ReadError
from pipelines.warehouse.store.protocol import PublishedStore, Store
from pipelines.wording import counted


def is_published(store: Store, project: str, last_run: str) -> bool:
    """Whether the project's last load is published, or will be at the next publish.

    Only then may a write-back be published: otherwise it would publish a load that its checks hold back.
    """
    if project in store.marks.waiting():
        return True
    entry = store.published.last().get(project)
    return entry is not None and entry.run == last_run


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's column names and rows; the repr leaves the rows out, because they are data."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __repr__(self) -> str:
        return f"Answer({counted(len(self.rows), 'row')}, {counted(len(self.columns), 'column')})"


def ask(published: PublishedStore, connection: Connection, statement: str) -> Answer:
    """The answer to a query that a person has typed, over a connection to what is published; QueryRefused as below."""
    published.check_query(connection, statement)
    return query(connection, statement)


def query(connection: Connection, statement: str) -> Answer:
    """The answer to a query; raises QueryRefused with DuckDB's message where DuckDB refuses it.

    That a file cannot be read is for the store to say, which opened the connection.
    """
    try:
        connection.execute(statement)
        columns = tuple(column[0] for column in connection.description or ())
        return Answer(columns, connection.fetchall() if columns else [])
    except ReadError:
        raise
    except DatabaseError as problem:
        raise QueryRefused(str(problem)) from None
