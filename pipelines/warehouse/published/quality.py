"""What an auditor asks about a project, in its mirror and in the published file; answers are counts and names only."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection, open_reader
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.database.table_sql import count_all
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.row_sql import count_duplicate_keys, count_rows
from pipelines.wording import counted


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How many records REDCap listed at the last run, and how many are published."""

    in_redcap: int
    in_warehouse: int
    quarantined: int

    @property
    def whole(self) -> bool:
        """Whether every record REDCap has is in the warehouse, as it was at the last run."""
        return self.in_redcap == self.in_warehouse and self.quarantined == 0

    def __str__(self) -> str:
        text = f"REDCap lists {counted(self.in_redcap, 'record')}, the warehouse holds {self.in_warehouse:,}"
        return f"{text}; {counted(self.quarantined, 'is', 'are')} quarantined." if self.quarantined else f"{text}."


def reconciliation(folder: WarehouseFolder, project: str) -> Reconciliation:
    """Compare REDCap's records with the published ones."""
    with open_published(folder) as connection:
        row = connection.execute(statements("quality")["reconciliation"], {"project": project}).fetchone()
    return Reconciliation(*(int(value or 0) for value in row)) if row else Reconciliation(0, 0, 0)


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


def published_rows(folder: WarehouseFolder, project: str) -> dict[str, int]:
    """How many rows of each instrument are published."""
    schema = f"{project}_raw"
    with open_published(folder) as connection:
        found = connection.execute(statements("quality")["published_instruments"], {"schema": schema}).fetchall()
        return {name: count(connection, count_all(schema, name)) for (name,) in found}


def _instruments(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(statements("quality")["instruments"]).fetchall()]
