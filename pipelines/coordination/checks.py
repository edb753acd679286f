"""What can be said about a PostgreSQL before loads rely on it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pipelines.coordination.connection import Session
from pipelines.coordination.sql import statements


@dataclass(frozen=True, slots=True)
class Checks:
    """What was found; each is for the caller to judge."""

    version: str
    """PostgreSQL's own, such as 15.18."""
    version_number: int
    """The same as a number, such as 150018."""
    clock_difference: float
    """Seconds by which PostgreSQL's clock is ahead of this machine's, known to half of `round_trip`."""
    round_trip: float
    """Seconds that the question took."""
    sessions_kept: bool
    """False where a pooler gives one session's statements to several: locks would not hold (pgbouncer's transaction
    mode)."""
    only_reads: bool
    """Whether it is a copy that cannot be written."""
    may_create: bool
    """Whether the user may make schemas in the database, as the first start needs."""
    may_change: bool
    """Whether the user may make tables in our schema, as a new version may need."""


def check(one: Session, other: Session) -> Checks:
    """Look at PostgreSQL over two sessions that are open at the same time."""
    sql = statements("checks")
    first, second = one.run(sql["server"])[0][3], other.run(sql["server"])[0][3]
    asked, begun = time.time(), time.monotonic()
    version, number, clock, again, only_reads = one.run(sql["server"])[0]
    round_trip = time.monotonic() - begun
    may_create, may_change = one.run(sql["may_create"])[0]
    return Checks(
        version=version,
        version_number=number,
        clock_difference=clock - (asked + round_trip / 2),
        round_trip=round_trip,
        sessions_kept=sessions_kept(first, second, again),
        only_reads=only_reads,
        may_create=may_create,
        may_change=may_change,
    )


def sessions_kept(first: int, other: int, again: int) -> bool:
    """Whether two open sessions are two of PostgreSQL's, and one stays the same, by the numbers they gave in turn."""
    return first != other and first == again
