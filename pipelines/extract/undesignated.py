"""Searches for values in events that the values' instruments are not designated for: narrow requests never show these.

Records that have any are requested whole. A search asks for single values (`type=eav`) and its answer is nearly always
empty, so it is sent as one of the last, small requests of the first records. No record may be used before all searches
have been answered, because a narrow answer alone does not show whether it is everything.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.extract.chunks import ABOUT_THE_REQUEST, FetchPlan
from pipelines.extract.scopes import Undesignated
from pipelines.interrupts import workers
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.staging.census import records_named
from redcap_source import Received, RedcapClient, errors
from redcap_source.methods.options import RecordOptions

# The most values that a search names: records, fields and events. PHP reads 1,000 values of a request unless it is
# configured for more (max_input_vars), and drops the others without an error; the search would then miss values.
MOST_VALUES = 900
# Where there are more records than this, the whole project is searched, so that fields and events find room.
MOST_RECORDS = 500

# Failures of a search after which every record is requested whole: the server may also refuse what it asks for.
SEARCH_FAILED = (*ABOUT_THE_REQUEST, errors.RequestRefused)


@dataclass(frozen=True, slots=True)
class Search:
    """A request for the values of some fields in the events that these are not designated for."""

    path: Path
    place: Undesignated
    records: tuple[str, ...] = field(default=(), repr=False)
    """The records to search; empty for all."""

    def send(self, client: RedcapClient) -> Received:
        """Ask for the values."""
        which: RecordOptions = {"fields": self.place.fields, "events": self.place.events}
        if self.records:
            which["records"] = self.records
        return client.export_records_to(self.path, format="json", type="eav", **which)

    def read(self, verifier: Connection) -> frozenset[str]:
        """The records in the answer, which is removed; VerificationFailed if it is not a whole answer."""
        try:
            return records_named(verifier, self.path)
        finally:
            self.path.unlink()


def searches_of(plan: FetchPlan, staging: Path, prefix: str) -> list[Search]:
    """What has to be searched for, where records are requested scope by scope."""
    records = plan.search_in if len(plan.search_in) <= MOST_RECORDS else ()
    places = [
        part
        for scope in plan.narrow
        if scope.undesignated is not None
        for part in _parts(scope.undesignated, MOST_VALUES - len(records))
    ]
    return [Search(staging / f"{prefix}-undesignated-{at}.json", place, records) for at, place in enumerate(places)]


def _parts(place: Undesignated, most: int) -> list[Undesignated]:
    """The same fields and events, divided so that each part names at most so many."""
    size = max(1, most - len(place.events))
    return [Undesignated(place.fields[at : at + size], place.events) for at in range(0, len(place.fields), size)]


@dataclass
class Searches:
    """The searches that accompany the requests for records, and what they found."""

    waiting: deque[Search] = field(default_factory=deque)
    under_way: int = 0
    found: set[str] = field(default_factory=set, repr=False)
    """Records with such values."""

    def next(self) -> Search:
        """The next search to send."""
        self.under_way += 1
        return self.waiting.popleft()

    def answered(self, records: frozenset[str]) -> None:
        """A search found these records."""
        self.under_way -= 1
        self.found |= records

    def failed(self) -> None:
        """A search was not answered, so the others are of no use."""
        self.under_way -= 1
        self.waiting.clear()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to search for."""
        return not self.waiting and not self.under_way


def search_all(
    client: RedcapClient, verifier: Connection, plan: FetchPlan, *, staging: Path, concurrency: int
) -> frozenset[str]:
    """All records with such values, by searches that are made before any record is requested.

    Raises one of SEARCH_FAILED if a search is not answered.
    """
    searches = searches_of(plan, staging, "plan")
    found: frozenset[str] = frozenset()
    with workers(concurrency) as pool:
        for search, _ in zip(searches, pool.map(lambda search: search.send(client), searches), strict=True):
            found |= search.read(verifier)
    return found
