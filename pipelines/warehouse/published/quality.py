"""What an auditor asks about a project, in its mirror and in the published file; answers are counts and names only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection, open_reader
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import last_published
from pipelines.warehouse.published.file_state import file_problem
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.sql import statements
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


def reconciliation(folder: WarehouseFolder, project: str, published: Mapping[str, int] | None = None) -> Reconciliation:
    """Compare REDCap's records with the published ones; `published` are their numbers, where they were counted already.

    The number of REDCap's is in the mirror: a load that changed nothing leaves the published file as it is.
    """
    last = last_published(folder)
    entry = last.projects.get(project) if last else None
    with open_reader(folder.mirror(project)) as connection:
        listed = one(connection, statements("quality")["listed_records"], {"run": entry.run if entry else None})
    if published is None:
        published = published_records(folder)
    in_redcap, quarantined = listed or (0, 0)
    return Reconciliation(in_redcap or 0, published.get(project, 0), quarantined or 0)


def published_records(folder: WarehouseFolder) -> dict[str, int]:
    """How many records of each project readers find."""
    with open_published(folder) as connection:
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


def published_proof(folder: WarehouseFolder, project: str) -> PublishedProof:
    """How far the project was compared with its mirror, and whether the file is still the one that was compared."""
    last, problem = last_published(folder), file_problem(folder)
    entry = last.projects.get(project) if last else None
    if entry is None:
        return PublishedProof(problem=problem or "the project is not published")
    return PublishedProof(
        entry.instruments, entry.rows, entry.compared, entry.whole, entry.published_at, problem=problem
    )


def duplicate_keys(folder: WarehouseFolder, project: str) -> dict[str, int]:
    """Instruments in which several rows have the same key, with the number of such keys; empty if there are none."""
    with open_reader(folder.mirror(project)) as connection:
        counts = {name: count(connection, count_duplicate_keys(project, name)) for name in _instruments(connection)}
    return {name: number for name, number in counts.items() if number}


def invalid_by_field(folder: WarehouseFolder, project: str) -> list[tuple[str, str, str, int]]:
    """Values that do not fit, counted by instrument, field and reason, the most frequent first."""
    with open_reader(folder.mirror(project)) as connection:
        return connection.execute(statements("quality")["invalid_by_field"]).fetchall()


def unexplained_ids(folder: WarehouseFolder, project: str) -> int:
    """How many records have a new id by REDCap's log of which the last load could not find the old one."""
    with open_reader(folder.mirror(project)) as connection:
        return count(connection, statements("quality")["unexplained_ids"])


def last_changes(folder: WarehouseFolder, project: str) -> list[tuple[str, str, int, int]]:
    """Changes found by the project's last load: instrument, kind of change, records, cells.

    Empty after a first load, whose rows are all new.
    """
    with open_reader(folder.mirror(project)) as connection:
        return connection.execute(statements("quality")["last_changes"]).fetchall()


def rows_by_instrument(folder: WarehouseFolder, project: str) -> dict[str, int]:
    """How many rows each instrument's table holds."""
    with open_reader(folder.mirror(project)) as connection:
        names = _instruments(connection)
        return dict(zip(names, (count(connection, query) for query in count_rows(project, names)), strict=True))


def _instruments(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(statements("quality")["instruments"]).fetchall()]
