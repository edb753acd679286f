"""The records a load still has to read before the mirror is complete.

A record leaves the list in the transaction that stores its rows, so a load that dies leaves a list the next one can
continue from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

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
        digest = _digest(census)
        with transaction(self._connection):
            if not everything and digest in self._column("read_digest", {"whole": census.whole}):
                listed = self._plan_as_before(census, changed)
            else:
                listed = self._plan_with(census, None if everything else changed, digest)
            if upto is not None:
                self._move(upto, refresh=everything)
        return listed

    def _plan_as_before(self, census: Census, changed: Collection[str]) -> tuple[str, ...]:
        """The list where the census is the last one again: nothing of it has to be stored or compared."""
        before = set(self._column("read_todo"))
        wanted = before.union(changed, self._column("not_known"))
        listed = tuple(record for record in census.records if record in wanted) if wanted else ()
        if before != set(listed):
            self._connection.execute(self._sql["replace_pending"], {"records": list(listed)})
        return listed

    def _plan_with(self, census: Census, changed: Collection[str] | None, digest: str) -> tuple[str, ...]:
        """The list after another census, which is stored; without `changed`, all its records are on it."""
        self._store(census)
        different = self._seen_differently(census)
        self._connection.execute(self._sql["write_digest"], {"whole": census.whole, "digest": digest})
        wanted = census.records if changed is None else {*changed, *different}
        self._connection.execute(self._sql["save_pending"], {"records": list(wanted)})
        listed = self._column("read_pending")
        self._connection.execute(self._sql["drop_census"])
        return tuple(listed)

    def _column(self, query: str, values: Mapping[str, object] | None = None) -> list[str]:
        return [value for (value,) in self._connection.execute(self._sql[query], values).fetchall()]

    def _store(self, census: Census) -> None:
        self._connection.execute(self._sql["make_census"])
        values = {"number": len(census.records), "records": list(census.records), "seen": list(census.seen)}
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
            found = self._column("seen_differently")
            if found or self._has_another_size(census):
                self._connection.execute(self._sql["save_census"])
            if census.covering_events != self.covering_events():
                self._connection.execute(self._sql["write_covering_events"], {"events": list(census.covering_events)})
        else:
            found = self._column("seen_differently_briefly")
            if count(self._connection, self._sql["count_new_briefly"]) or self._has_another_size(census):
                self._connection.execute(self._sql["save_census_briefly"])
        return found

    def _has_another_size(self, census: Census) -> bool:
        return len(census.records) != count(self._connection, self._sql["count_census"])

    def covering_events(self) -> tuple[str, ...]:
        """A few events in which every record had a row when all events were requested; none if that does not pay."""
        return tuple(self._column("read_covering_events"))

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


def _digest(census: Census) -> str:
    """A digest of all that is stored of a census."""
    # The numbers and lengths keep apart what the texts alone would not.
    parts = (census.records, census.seen, census.covering_events)
    text = "\0".join(f"{sum(map(len, part))} {len(part)} {chr(0).join(part)}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()
