"""What is asked of the published warehouse from outside: any query of a person's, and how the loads stand.

Nothing here writes. Loading is mirror.py's business, publishing publish.py's.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from pipelines.errors import QueryRefused, UnknownRecord
from pipelines.warehouse.connection import Connection
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.sql import statements
from pipelines.wording import counted

# How a project stands whose working file is no whole database, or not there although it was published.
DAMAGED, MISSING = "damaged", "missing"


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's column names and rows; the rows are data and stay out of the repr."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __repr__(self) -> str:
        return f"Answer({counted(len(self.rows), 'row')}, {counted(len(self.columns), 'column')})"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one project stands: its last run, its last good one, and what the warehouse holds of it."""

    project: str
    last_run: str | None = None
    last_outcome: str | None = None
    last_started: datetime | None = None
    message: str | None = None
    last_good: datetime | None = None
    watermark: datetime | None = None
    records: int | None = None
    rows: int | None = None
    changes: int | None = None
    invalid_values: int | None = None
    quarantined: int | None = None
    drift: int | None = None
    hidden_fields: int | None = None
    not_readable: tuple[str, ...] = ()
    loading: bool = False
    configured: bool = True
    """Whether projects.yaml still has the project."""

    @property
    def lost(self) -> bool:
        """Whether its next load is refused, as there is no working file to go on from."""
        return self.last_outcome in (DAMAGED, MISSING)


@dataclass(frozen=True, slots=True)
class Name:
    """One id a record has had; times are UTC."""

    record: str = dataclasses.field(repr=False)
    first_seen: datetime
    last_changed: datetime
    deleted_at: datetime | None
    renamed_to: str | None = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class CellChange:
    """One row of redcap.record_changes; times are UTC."""

    detected_at: datetime
    changed_at: datetime | None
    changed_by: str | None = dataclasses.field(repr=False)
    origin: str
    change: str
    record: str = dataclasses.field(repr=False)
    event: str | None
    instrument: str | None
    instance: str | None
    field: str
    old_value: str | None = dataclasses.field(repr=False)
    new_value: str | None = dataclasses.field(repr=False)
    run_id: str
    reason: str | None = dataclasses.field(repr=False)
    """Why it was written back, in the words of whoever proposed it."""


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of one record: its names and every changed cell, the earliest first."""

    names: tuple[Name, ...]
    changes: tuple[CellChange, ...] = dataclasses.field(repr=False)


def query(connection: Connection, statement: str) -> Answer:
    """The answer to a person's query; a query DuckDB refuses is their mistake to read, not ours to hide."""
    try:
        connection.execute(statement)
        columns = tuple(column[0] for column in connection.description or ())
        return Answer(columns, connection.fetchall() if columns else [])
    except duckdb.Error as problem:
        raise QueryRefused(str(problem)) from None


def life(folder: WarehouseFolder, project: str, record: str) -> Life:
    """What happened to a record under all the names it had; raises UnknownRecord where the warehouse never had it."""
    sql = statements("reading")
    with open_published(folder) as connection:
        found = connection.execute(sql["names"], {"project": project, "record": record}).fetchall()
        names = tuple(Name(*row) for row in found)
        if not names:
            raise UnknownRecord(project=project)
        values = {"project": project, "records": [name.record for name in names]}
        changes = connection.execute(sql["life"], values).fetchall()
    return Life(names, tuple(CellChange(*row) for row in changes))


def standing_in(connection: Connection, project: str, *, loading: bool = False) -> Standing | None:
    row = connection.execute(statements("reading")["standing"], {"project": project}).fetchone()
    if row is None:
        return None
    names = [column[0] for column in connection.description or ()]
    values = dict(zip(names, row, strict=True))
    values["not_readable"] = tuple(values["not_readable"] or ())
    return Standing(project=project, loading=loading, **values)
