"""Which records a project has, and in which events they have rows: one narrow answer, read once.

Fetching it is sync.py's business.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.errors import VerificationFailed
from pipelines.warehouse.database.connection import Connection, DatabaseError
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.staging.verify import check_json_closed
from pipelines.warehouse.tables.layout import DATA_ACCESS_GROUP, EVENT

# From so many rows on, and so many for each record, it pays to ask for a few events only.
MANY_ROWS = 20_000
ROWS_A_RECORD = 3
# More events than this together would be no narrower.
MOST_EVENTS = 8


@dataclass(frozen=True, slots=True)
class Census:
    """The records of a project when the load began, in REDCap's order."""

    records: tuple[str, ...] = field(repr=False)
    seen: tuple[str, ...] = field(repr=False)
    """For each record a digest of where it has rows and of its data access group: other than last time, it changed."""
    rows: dict[str, int]
    """How many rows each event has; of a classic project, nothing."""
    whole: bool = True
    """Whether all events were asked for, or only some in which each record is expected."""
    cover: tuple[str, ...] = ()
    """A few events in which every record has a row, where asking for these alone spares much; else none."""

    def with_more(self, records: Sequence[str]) -> Census:
        """The same with records that were found otherwise; nothing is known of where they have rows."""
        return replace(self, records=(*self.records, *records), seen=(*self.seen, *("" for _ in records)))


def read_census(
    connection: Connection, path: Path, record_id_field: str, *, longitudinal: bool, whole: bool = True
) -> Census:
    """Read the answer to a request for the record ids, which must be JSON: a list that is cut does not close.

    `whole` says whether it was asked of all events. The rows of the last whole one stay on the connection for `due_in`.
    """
    table = "census" if whole else "brief_census"
    check_json_closed(path)
    event = identifier(EVENT) if longitudinal else "NULL::VARCHAR"
    names = [record_id_field, *[EVENT] * longitudinal, DATA_ACCESS_GROUP]
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    try:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT row_number() OVER () AS n, "
            f"{identifier(record_id_field)} AS record, {event} AS event, {identifier(DATA_ACCESS_GROUP)} AS grouped "
            f"FROM read_json({literal(str(path))}, columns = {{{columns}}}, format = 'array', records = true)"
        )
    except DatabaseError:
        # DuckDB's own message quotes what it stumbled over.
        raise VerificationFailed(reason="it cannot be read as a list of record ids") from None
    found = connection.execute(
        # An ordered string_agg says the same and costs half as much again.
        "SELECT record, md5(array_to_string(list_sort(list(place)), ',')) "
        f"FROM (SELECT n, record, concat_ws('/', event, grouped) AS place FROM {table}) GROUP BY record ORDER BY min(n)"
    ).fetchall()
    rows = connection.execute(f"SELECT event, count(*) FROM {table} WHERE event IS NOT NULL GROUP BY event").fetchall()
    if any(not record for record, _ in found):
        raise VerificationFailed(reason=f"a row came without {record_id_field}")
    census = Census(tuple(record for record, _ in found), tuple(seen for _, seen in found), dict(rows), whole)
    many = sum(census.rows.values())
    if not whole or many < MANY_ROWS or many < len(census.records) * ROWS_A_RECORD:
        return census
    return replace(census, cover=_cover(connection))


def forget_census(connection: Connection) -> None:
    """Free what `due_in` would need: of a large project it is more than a chunk."""
    connection.execute("DROP TABLE IF EXISTS census; DROP TABLE IF EXISTS brief_census; DROP TABLE IF EXISTS covered")


def counted_twice(first: Census, second: Census) -> Census:
    """The records of either: servers are known to lose some without a word, and two answers seldom lose the same.

    Where they stand is told by the last that was asked of all events, as `due_in` tells it.
    """
    base, other = (second, first) if second.whole else (first, second)
    known = set(base.records)
    return base.with_more([record for record in other.records if record not in known])


def _cover(connection: Connection) -> tuple[str, ...]:
    """A few events in which every record of the census has a row, or none."""
    connection.execute("CREATE OR REPLACE TEMP TABLE covered (record VARCHAR)")
    cover: list[str] = []
    while len(cover) <= MOST_EVENTS:
        best = connection.execute(
            "SELECT event FROM census ANTI JOIN covered USING (record) GROUP BY event "
            "ORDER BY count(DISTINCT record) DESC, event LIMIT 1"
        ).fetchone()
        if best is None:
            return tuple(cover)
        cover.append(best[0])
        connection.execute(
            "INSERT INTO covered SELECT DISTINCT record FROM census WHERE event = $event", {"event": best[0]}
        )
    return ()


def due_in(connection: Connection, scopes: Sequence[Collection[str]]) -> tuple[int, ...]:
    """For each record of the census, in which of these sets of events it has rows: a bit for each set."""
    connection.execute("CREATE OR REPLACE TEMP TABLE bits (event VARCHAR, bit BIGINT)")
    bits = [(event, 1 << at) for at, events in enumerate(scopes) for event in sorted(events)]
    connection.execute(
        "INSERT INTO bits SELECT unnest($events::VARCHAR[]), unnest($bits::BIGINT[])",
        {"events": [event for event, _ in bits], "bits": [bit for _, bit in bits]},
    )
    found = connection.execute(
        "SELECT coalesce(bit_or(bit), 0) FROM census LEFT JOIN bits USING (event) GROUP BY record ORDER BY min(n)"
    ).fetchall()
    return tuple(due for (due,) in found)


def records_named(connection: Connection, path: Path) -> frozenset[str]:
    """The records that a JSON answer of single values (REDCap's `eav`) has values of."""
    check_json_closed(path)
    try:
        found = connection.execute(
            f"SELECT DISTINCT record FROM read_json({literal(str(path))}, columns = {{record: 'VARCHAR'}}, "
            "format = 'array', records = true)"
        ).fetchall()
    except DatabaseError:
        raise VerificationFailed(reason="it cannot be read as a list of values") from None
    if any(not record for (record,) in found):
        raise VerificationFailed(reason="a value came without its record")
    return frozenset(record for (record,) in found)
