"""The records a load still has to read before the mirror is complete.

A record leaves the list in the transaction that stores its rows, so a load that dies leaves a list the next one can
continue from.
"""

from __future__ import annotations

from collections.abc import Collection

from pipelines.warehouse.database.connection import Connection, transaction
from pipelines.warehouse.database.file_errors import doing
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.mirror.state import PlannedUntil
from pipelines.warehouse.sql import statements
from pipelines.warehouse.staging.census import Census


class Pending:
    """The list of records to read, and the census from which a load finds some of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sql = statements("pending")

    @doing("listing the records to be read")
    def plan(
        self, census: Census, changed: Collection[str], *, everything: bool, upto: PlannedUntil | None
    ) -> tuple[str, ...]:
        """Add to the list what may have changed; returns the whole list, in REDCap's order.

        Records whose census entry differs from the last one are added to `changed`; with `everything`, all records are.
        From now on every record that is not on the list is in the mirror as of `upto` or later.
        """
        with transaction(self._connection):
            self._store(census)
            different = self._seen_differently(census)
            wanted = census.records if everything else {*changed, *different}
            self._connection.execute(self._sql["save_pending"], {"records": list(wanted)})
            if upto is not None:
                self._move(upto, refresh=everything)
            listed = self._connection.execute(self._sql["read_pending"]).fetchall()
            self._connection.execute(self._sql["drop_census"])
        return tuple(record for (record,) in listed)

    def _store(self, census: Census) -> None:
        self._connection.execute(self._sql["make_census"])
        values = {"records": list(census.records), "seen": list(census.seen)}
        self._connection.execute(self._sql["fill_census"], values)

    def _move(self, upto: PlannedUntil, *, refresh: bool) -> None:
        if refresh:
            self._connection.execute(self._sql["begin_refresh"], {"upto": upto.upto})
        seconds = int(upto.ahead.total_seconds())
        values = {"upto": upto.upto, "wall": upto.wall, "ahead_seconds": seconds}
        self._connection.execute(self._sql["write_planned_until"], values)

    def _seen_differently(self, census: Census) -> list[str]:
        """Records that are new or differ from the last census; the census is then stored."""
        if census.whole:
            found = self._connection.execute(self._sql["seen_differently"]).fetchall()
            if found or self._has_another_size(census):
                self._connection.execute(self._sql["save_census"])
            if census.covering_events != self.covering_events():
                self._connection.execute(self._sql["write_covering_events"], {"events": list(census.covering_events)})
        else:
            found = self._connection.execute(self._sql["seen_differently_briefly"]).fetchall()
            if count(self._connection, self._sql["count_new_briefly"]) or self._has_another_size(census):
                self._connection.execute(self._sql["save_census_briefly"])
        return [record for (record,) in found]

    def _has_another_size(self, census: Census) -> bool:
        return len(census.records) != count(self._connection, self._sql["count_census"])

    def covering_events(self) -> tuple[str, ...]:
        """A few events in which every record had a row when all events were requested; none if that does not pay."""
        found = self._connection.execute(self._sql["read_covering_events"]).fetchall()
        return tuple(event for (event,) in found)

    def count(self) -> int:
        """How many records have to be read before the mirror is complete."""
        return count(self._connection, self._sql["count_pending"])

    def done(self, records: Collection[str]) -> None:
        """Take records off the list: they were read, or no longer exist."""
        self._connection.execute(self._sql["remove_pending"], {"records": list(records)})

    def requeue(self, records: Collection[str], *, deleted: Collection[str] = ()) -> None:
        """Put quarantined records back on the list, for whatever reason they were requested; drop deleted ones."""
        with transaction(self._connection):
            self.done(deleted)
            self._connection.execute(self._sql["requeue"], {"records": list(records)})

    def end_refresh(self) -> None:
        """Mark a full refresh as completed: every record on the list was read or reported."""
        self._connection.execute(self._sql["end_refresh"])
