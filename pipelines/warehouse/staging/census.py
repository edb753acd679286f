"""Which records a project has, and in which events they have rows: one narrow answer, read once.

Not here: requesting it (pipelines/extract/planner.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.errors import VerificationFailed
from pipelines.warehouse.database.connection import Connection, DatabaseError
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.sql import statements
from pipelines.warehouse.staging.staging_sql import census_records, make_census, records_of_values, rows_of_events
from pipelines.warehouse.staging.verify import check_json_closed

# From this many rows on, and this many for each record, requesting a few events only is worth it.
MANY_ROWS = 20_000
ROWS_PER_RECORD = 3
# A census of more events than this would not be much narrower than one of all.
MAX_EVENTS = 8


@dataclass(frozen=True, slots=True)
class Census:
    """The records of a project when the load began, in REDCap's order."""

    records: tuple[str, ...] = field(repr=False)
    seen: tuple[str, ...] = field(repr=False)
    """For each record a digest of where it has rows and of its data access group; a record with another has changed."""
    rows: dict[str, int]
    """How many rows each event has; empty for a classic project."""
    whole: bool = True
    """Whether all events were requested, or only some in which each record is expected."""
    covering_events: tuple[str, ...] = ()
    """A few events in which every record has a row, where requesting only these saves much; else none."""

    def with_more(self, records: Sequence[str]) -> Census:
        """This census with further records, of which nothing is known but that they exist."""
        return replace(self, records=(*self.records, *records), seen=(*self.seen, *("" for _ in records)))


def read_census(
    connection: Connection, path: Path, record_id_field: str, *, longitudinal: bool, whole: bool = True
) -> Census:
    """Read the answer to a request for the record ids, which must be JSON: a list that is cut does not close.

    `whole` says whether all events were requested. The rows of the last such answer stay on the connection for
    `scope_masks`. Raises VerificationFailed if it is not such a list.
    """
    table = "census" if whole else "brief_census"
    check_json_closed(path)
    try:
        connection.execute(make_census(table, path, record_id_field, longitudinal=longitudinal))
    except DatabaseError:
        # DuckDB's own message quotes the value it could not read.
        raise VerificationFailed(reason="it cannot be read as a list of record ids") from None
    found = connection.execute(census_records(table)).fetchall()
    rows = connection.execute(rows_of_events(table)).fetchall()
    if any(not record for record, _ in found):
        raise VerificationFailed(reason=f"a row has no {record_id_field}")
    census = Census(tuple(record for record, _ in found), tuple(seen for _, seen in found), dict(rows), whole)
    total = sum(census.rows.values())
    if not whole or total < MANY_ROWS or total < len(census.records) * ROWS_PER_RECORD:
        return census
    return replace(census, covering_events=_covering_events(connection))


def drop_census(connection: Connection) -> None:
    """Free the rows that `scope_masks` needs."""
    connection.execute(statements("census")["drop_census"])


def merge_censuses(first: Census, second: Census) -> Census:
    """The records of both: servers are known to omit some without notice, and two answers seldom omit the same ones.

    Where records have rows is taken from the last census of all events, as in `scope_masks`.
    """
    base, other = (second, first) if second.whole else (first, second)
    known = set(base.records)
    return base.with_more([record for record in other.records if record not in known])


def _covering_events(connection: Connection) -> tuple[str, ...]:
    """A few events in which every record of the census has a row, or none."""
    sql = statements("census")
    connection.execute(sql["make_covered"])
    chosen: list[str] = []
    while len(chosen) <= MAX_EVENTS:
        best = one(connection, sql["best_event"])
        if best is None:
            return tuple(chosen)
        chosen.append(best[0])
        connection.execute(sql["cover"], {"event": best[0]})
    return ()


def scope_masks(connection: Connection, scopes: Sequence[Collection[str]]) -> tuple[int, ...]:
    """For each record of the census, in which of these sets of events it has rows: a bit for each set."""
    sql = statements("census")
    bits = [(event, 1 << at) for at, events in enumerate(scopes) for event in sorted(events)]
    connection.execute(sql["make_bits"])
    connection.execute(sql["fill_bits"], {"events": [event for event, _ in bits], "bits": [bit for _, bit in bits]})
    return tuple(mask for (mask,) in connection.execute(sql["scope_masks"]).fetchall())


def rows_of_records(connection: Connection, records: Sequence[str]) -> dict[str, int]:
    """How many rows each event has of these records, by the last census of all events."""
    return dict(connection.execute(statements("census")["rows_of_records"], {"records": list(records)}).fetchall())


def records_named(connection: Connection, path: Path) -> frozenset[str]:
    """The records in a JSON answer of single values (REDCap's `eav`); VerificationFailed if it is not one."""
    check_json_closed(path)
    try:
        found = connection.execute(records_of_values(path)).fetchall()
    except DatabaseError:
        raise VerificationFailed(reason="it cannot be read as a list of values") from None
    if any(not record for (record,) in found):
        raise VerificationFailed(reason="a value has no record id")
    return frozenset(record for (record,) in found)
