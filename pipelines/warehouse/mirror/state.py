"""What a load needs to know of the previous one: the watermark, the server's clock, what the token saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.mirror.known_structure import KnownStructure, read_known_structure
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import DATA_ACCESS_GROUP, Layout


@dataclass(frozen=True, slots=True)
class PlannedUntil:
    """A time as of which, or of later, every record that is not pending is in the mirror."""

    upto: datetime
    """By REDCap's clock, in UTC."""
    wall: datetime | None = None
    """The same time on the server's wall clock, where its log showed it."""
    ahead: timedelta = timedelta(0)
    """How far REDCap's clock was ahead of this computer's."""


@dataclass(frozen=True, slots=True)
class PreviousLoad:
    """What the mirror knew before this load; times are by REDCap's clock, in UTC."""

    project_id: int | None
    record_id_field: str | None
    visible_columns: tuple[str, ...]
    watermark: datetime | None
    chunk_records: int | None
    planned_until: PlannedUntil | None
    """None if no load got far enough for another to continue from it."""
    refreshed: datetime | None
    """When the last full refresh that was completed began."""
    refreshing: bool
    """Whether a full refresh was begun and is not completed."""
    in_group: bool | None
    """Whether the token did not see which group a record is in: it was in a data access group, or there were none."""
    ended: bool
    """Whether any load ever ended well."""
    offset: timedelta | None
    """How far REDCap's wall clock was ahead of UTC."""
    not_readable: frozenset[str] = frozenset()
    """What of the structure the token could not read."""


class State:
    """What loads leave for the next one, in schema state of the mirror."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sql = statements("state")
        self._pending = statements("pending")

    def previous(self) -> PreviousLoad:
        """What the last load left."""
        project_id, record_id_field = one(self._connection, self._sql["read_project"]) or (None, None)
        columns = self._connection.execute(self._sql["read_visible_columns"]).fetchall()
        names = tuple(name for (name,) in columns)
        watermark = one(self._connection, self._sql["read_watermark"])
        chunking = one(self._connection, self._sql["read_chunking"])
        refreshed, refreshing = one(self._connection, self._pending["read_refresh"]) or (None, False)
        clock = one(self._connection, self._sql["read_clock"])
        (not_readable,) = one(self._connection, self._sql["read_not_readable"]) or (None,)
        return PreviousLoad(
            project_id=project_id,
            record_id_field=record_id_field,
            visible_columns=names,
            in_group=DATA_ACCESS_GROUP not in names if names else None,
            watermark=watermark[0] if watermark else None,
            chunk_records=chunking[0] if chunking else None,
            planned_until=self._planned_until(),
            refreshed=refreshed,
            refreshing=refreshing,
            ended=one(self._connection, self._sql["any_ended"]) is not None,
            offset=timedelta(seconds=clock[0]) if clock else None,
            not_readable=frozenset(not_readable or ()),
        )

    def _planned_until(self) -> PlannedUntil | None:
        row = one(self._connection, self._pending["read_planned_until"])
        if row is None:
            return None
        upto, wall, ahead_seconds = row
        return PlannedUntil(upto, wall, timedelta(seconds=ahead_seconds))

    def identity(self) -> str:
        """Which file the mirror is; blank for one that belongs to no warehouse."""
        row = one(self._connection, self._sql["is_made"])
        return row[0] if row else ""

    def known_structure(self, key: str) -> KnownStructure | None:
        """The structure that the last load read under this key, if it did."""
        return read_known_structure(self._connection, key)

    def known_records(self) -> list[str]:
        """Ids of the records the mirror holds, deleted ones left out."""
        return [record for (record,) in self._connection.execute(self._sql["known_records"]).fetchall()]

    def hidden_fields(self) -> frozenset[str]:
        """Fields of the dictionary that the token's answers lacked when the project was last loaded."""
        row = one(self._connection, self._sql["read_hidden_fields"])
        return frozenset(row[0] or ()) if row else frozenset()

    def redcap_version(self) -> str | None:
        """The version REDCap had when the structure was last read."""
        row = one(self._connection, self._sql["read_version"])
        return row[0] if row else None

    def count_rows(self) -> int:
        """How many rows all instruments had together when the last load ended."""
        return count(self._connection, self._sql["read_rows"])

    def count_invalid_values(self) -> int:
        """How many values are listed because they do not fit their type or the setup."""
        return count(self._connection, self._sql["count_invalid_values"])

    def save_clock(self, offset: timedelta, now: datetime) -> None:
        """Store how far REDCap's wall clock is ahead of UTC."""
        values = {"offset_seconds": int(offset.total_seconds()), "now": now}
        self._connection.execute(self._sql["write_clock"], values)

    def save_visible_columns(self, layout: Layout) -> None:
        """Store which columns the token's answers have."""
        self._connection.execute(self._sql["write_visible_columns"], {"names": list(layout.answer_columns)})

    def save_chunk_size(self, records: int, now: datetime) -> None:
        """Store how many records the next load should request at a time."""
        self._connection.execute(self._sql["write_chunking"], {"records": records, "now": now})

    def move_watermark(self, upto: datetime, run_id: str) -> None:
        """Store that everything up to this time is in the mirror."""
        self._connection.execute(self._sql["write_watermark"], {"upto": upto, "run_id": run_id})
