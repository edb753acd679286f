"""What an auditor asks about a project, in its mirror and in what is published; answers are counts and names only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection, open_reader
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.sql import statements
from pipelines.warehouse.store.protocol import Store
from pipelines.warehouse.tables.row_sql import count_duplicate_keys, count_rows
from pipelines.wording import counted


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How many records REDCap listed at the last load that is published, and how many readers find."""

    in_redcap: int
    in_warehouse: int
    quarantined: int

    @property
    def whole(self) -> bool:
        """Whether every record REDCap has is in the warehouse, as it was at that load."""
        return self.in_redcap == self.in_warehouse and self.quarantined == 0

    def __str__(self) -> str:
        text = f"REDCap lists {counted(self.in_redcap, 'record')}, the warehouse holds {self.in_warehouse:,}"
        return f"{text}; {counted(self.quarantined, 'is', 'are')} quarantined." if self.quarantined else f"{text}."


def reconciliation(store: Store, project: str, published: Mapping[str, int] | None = None) -> Reconciliation:
    """Compare REDCap's records with the published ones; `published` are their numbers, where they were counted already.

    The number of REDCap's is in the mirror: a load that changed nothing leaves the published file as it is.
    """
    entry = store.published.last().get(project)
    with store.mirrors.to_read(project) as path, open_reader(path) as connection:
        listed = one(connection, statements("quality")["listed_records"], {"run": entry.run if entry else None})
    if published is None:
        published = published_records(store)
    in_redcap, quarantined = listed or (0, 0)
    return Reconciliation(in_redcap or 0, published.get(project, 0), quarantined or 0)


def published_records(store: Store) -> dict[str, int]:
    """How many records of each project readers find."""
    with store.published.open() as connection:
        return dict(connection.execute(statements("quality")["published_records"]).fetchall())


@dataclass(frozen=True, slots=True)
class PublishedProof:
    """How far the published rows of a project were compared with its mirror, and whether readers find those rows."""

    instruments: int = 0
    rows: int = 0
    """How many rows its instruments have together; all were counted."""
    compared: int = 0
    """In how many instruments rows were compared value by value."""
    whole: bool = False
    """Whether all rows of all instruments were."""
    published_at: str = ""
    problem: str | None = "it is not published"
    """Why readers may find other rows now; None if they find these."""

    @property
    def holds(self) -> bool:
        """Whether readers find the rows that were compared."""
        return self.problem is None

    def __str__(self) -> str:
        if self.problem is not None:
            return (
                f"Readers may find other rows than those that were published: {self.problem}. Run `redcap-warehouse "
                "publish`, which publishes them again from the mirrors."
            )
        counts = f"{counted(self.rows, 'row')} of {counted(self.instruments, 'instrument')}"
        if self.whole:
            return f"All {counts} were compared with the mirror, value by value."
        if not self.compared:
            return f"All {counts} were counted against the mirror; none had changed."
        return (
            f"All {counts} were counted against the mirror; those that had changed, in "
            f"{counted(self.compared, 'instrument')}, were compared value by value."
        )


def published_proof(store: Store, project: str) -> PublishedProof:
    """How far the project was compared with its mirror, and whether readers still find what was compared."""
    entry, problem = store.published.last().get(project), store.published.condition().reason
    if entry is None:
        return PublishedProof(problem=problem or "the project is not published")
    return PublishedProof(
        entry.instruments, entry.rows, entry.compared, entry.whole, entry.published_at, problem=problem
    )


def duplicate_keys(store: Store, project: str) -> dict[str, int]:
    """Instruments in which several rows have the same key, with the number of such keys; empty if there are none."""
    with store.mirrors.to_read(project) as path, open_reader(path) as connection:
        counts = {name: count(connection, count_duplicate_keys(project, name)) for name in _instruments(connection)}
    return {name: number for name, number in counts.items() if number}


def invalid_by_field(store: Store, project: str) -> list[tuple[str, str, str, int]]:
    """Values that do not fit, counted by instrument, field and reason, the most frequent first."""
    with store.mirrors.to_read(project) as path, open_reader(path) as connection:
        return connection.execute(statements("quality")["invalid_by_field"]).fetchall()


def unexplained_ids(store: Store, project: str) -> int:
    """How many records have a new id by REDCap's log of which the last load could not find the old one."""
    with store.mirrors.to_read(project) as path, open_reader(path) as connection:
        return count(connection, statements("quality")["unexplained_ids"])


def last_changes(store: Store, project: str) -> list[tuple[str, str, int, int]]:
    """Changes found by the project's last load: instrument, kind of change, records, cells.

    Empty after a first load, whose rows are all new.
    """
    with store.mirrors.to_read(project) as path, open_reader(path) as connection:
        return connection.execute(statements("quality")["last_changes"]).fetchall()


def rows_by_instrument(store: Store, project: str) -> dict[str, int]:
    """How many rows each instrument's table holds."""
    with store.mirrors.to_read(project) as path, open_reader(path) as connection:
        names = _instruments(connection)
        return dict(zip(names, (count(connection, query) for query in count_rows(project, names)), strict=True))


def _instruments(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(statements("quality")["instruments"]).fetchall()]
