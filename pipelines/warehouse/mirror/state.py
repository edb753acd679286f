"""What a load needs to know of the previous one: the watermark, the server's clock, what the token saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.tables.layout import NOW


@dataclass(frozen=True, slots=True)
class PlannedUntil:
    """A moment as of which, or of later, every record that is not still to do is in the mirror."""

    upto: datetime
    """REDCap's clock, in UTC."""
    wall: datetime | None = None
    """The same on the server's wall clock, where its log told."""
    ahead: timedelta = timedelta(0)
    """How far REDCap's clock was ahead of this computer's."""


@dataclass(frozen=True, slots=True)
class PreviousLoad:
    """What the mirror knew before this load; times are REDCap's clock, in UTC."""

    project_id: int | None
    record_id_field: str | None
    visible_columns: tuple[str, ...]
    watermark: datetime | None
    chunk_records: int | None
    planned_until: PlannedUntil | None
    """None where no load came so far that another can go on from it."""
    refreshed: datetime | None
    """When the last reading of everything that was completed began."""
    refreshing: bool
    """Whether a reading of everything was begun and is not completed."""
    in_group: bool | None
    """Whether the token was in a data access group, or there were none: it did not see whose record is whose."""
    ended: bool
    """Whether any load ever came to its end."""
    offset: timedelta | None
    """How far REDCap's wall clock was ahead of UTC."""


def planned_until_of(upto: datetime, wall: datetime | None, ahead_seconds: int) -> PlannedUntil:
    return PlannedUntil(upto, wall, timedelta(seconds=ahead_seconds))


def hidden_fields(connection: Connection) -> frozenset[str]:
    """Fields of the dictionary that the token's answers lacked when the project was last loaded."""
    row = connection.execute("SELECT hidden_fields FROM redcap.projects").fetchone()
    return frozenset(row[0] or ()) if row else frozenset()


def columns_in_step(connection: Connection, project: str, wanted: Mapping[str, Sequence[str]]) -> bool:
    """Whether the working file's tables have the columns of these instruments, and there are no other instruments."""
    found: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = $schema AND NOT starts_with(column_name, '_')",
        {"schema": project + NOW},
    ).fetchall():
        found.setdefault(table, set()).add(column)
    return found == {name: set(columns) for name, columns in wanted.items()}
