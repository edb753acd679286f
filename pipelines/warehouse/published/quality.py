"""Questions an auditor asks of a project, before and after it is published; answers are counts and names only."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection, open_reader
from pipelines.warehouse.database.quoting import qualified
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import rows_now
from pipelines.wording import counted


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """REDCap's census beside what is published, as of the last run."""

    in_redcap: int
    in_warehouse: int
    quarantined: int

    @property
    def whole(self) -> bool:
        """Whether every record REDCap has is in the warehouse, fresh."""
        return self.in_redcap == self.in_warehouse and self.quarantined == 0

    def __str__(self) -> str:
        told = f"REDCap lists {counted(self.in_redcap, 'record')}, the warehouse holds {self.in_warehouse:,}"
        return f"{told}; {counted(self.quarantined, 'is', 'are')} quarantined." if self.quarantined else f"{told}."


def reconciliation(folder: WarehouseFolder, project: str) -> Reconciliation:
    """Whether every record that REDCap has is in the warehouse readers open."""
    with open_published(folder) as connection:
        row = connection.execute(statements("audit")["reconciliation"], {"project": project}).fetchone()
    return Reconciliation(*(int(value or 0) for value in row)) if row else Reconciliation(0, 0, 0)


def duplicate_keys(folder: WarehouseFolder, project: str) -> dict[str, int]:
    """Instruments whose keys are not unique, with how many keys are double; none if all is well."""
    with open_reader(folder.mirror(project)) as connection:
        counts = {name: _doubles(connection, project, name) for name in _instruments(connection)}
    return {name: count for name, count in counts.items() if count}


def invalid_by_field(folder: WarehouseFolder, project: str) -> list[tuple[str, str, str, int]]:
    """Values that do not fit, counted by instrument, field and reason, the most frequent first."""
    with open_reader(folder.mirror(project)) as connection:
        return connection.execute(statements("audit")["invalid_by_field"]).fetchall()


def unexplained_ids(folder: WarehouseFolder, project: str) -> int:
    """How many records have another id by REDCap's log, of which the last load could not tell which it was before."""
    with open_reader(folder.mirror(project)) as connection:
        return _count(connection, statements("audit")["unexplained_ids"])


def last_changes(folder: WarehouseFolder, project: str) -> list[tuple[str, str, int, int]]:
    """What the project's last load found changed: instrument, kind of change, records, cells.

    Empty after a first load, whose rows are all new.
    """
    with open_reader(folder.mirror(project)) as connection:
        return connection.execute(statements("audit")["last_changes"]).fetchall()


def rows_by_instrument(folder: WarehouseFolder, project: str) -> dict[str, int]:
    """How many rows each instrument's table holds."""
    with open_reader(folder.mirror(project)) as connection:
        return {
            name: _count(connection, f"SELECT count(*) FROM {rows_now(project, name)}")
            for name in _instruments(connection)
        }


def published_rows(folder: WarehouseFolder, project: str) -> dict[str, int]:
    """How many rows of each instrument readers find."""
    schema = f"{project}_raw"
    with open_published(folder) as connection:
        found = connection.execute(statements("audit")["published_instruments"], {"schema": schema}).fetchall()
        return {name: _count(connection, f"SELECT count(*) FROM {qualified(schema, name)}") for (name,) in found}


def _instruments(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(statements("audit")["instruments"]).fetchall()]


def _doubles(connection: Connection, project: str, instrument: str) -> int:
    return _count(
        connection,
        f"SELECT count(*) FROM (SELECT 1 FROM {rows_now(project, instrument)} "
        "GROUP BY _record, _event, _instance HAVING count(*) > 1)",
    )


def _count(connection: Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
