"""Chunks: how many records a request asks for, and what it returned."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import VerificationFailed
from pipelines.extract.scopes import Scope
from pipelines.extract.speed.schedule import AIM_SECONDS, Capacity
from pipelines.warehouse.staging.answers import Answer, Format
from redcap_source import errors

# The most bytes an answer should have, beside AIM_SECONDS.
AIM_BYTES = 5_000_000
# The most bytes that the answers of one chunk should have together: it is stored as a whole. Memory hardly follows it:
# a load of 15,000 sparse longitudinal records peaked at 325 MB with 20 MB, at 326 with 40 and at 334 with 100.
CHUNK_BYTES = 40_000_000


FIRST_RECORDS = 50


# Up to this many records are requested as JSON, whatever their size: it ends with a bracket, so an answer that parses
# is complete.
JSON_RECORDS = 3


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """How many records to ask for at a time, learned from the last answers."""

    records: int = FIRST_RECORDS

    def after(self, records: int, seconds: float, size: int) -> ChunkSize:
        """The size to use once `records` records took this many seconds and bytes."""
        if records <= 0:
            return self
        fits = min(AIM_SECONDS / max(seconds, 0.001), AIM_BYTES / max(size, 1)) * records
        # Growth is limited to fourfold, so that one fast answer does not lead to a request that overloads the server.
        return ChunkSize(max(1, min(int(fits), self.records * 4)))

    def halved(self) -> ChunkSize:
        """The size to use after an answer failed because it was too large."""
        return ChunkSize(max(1, self.records // 2))


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What the requests of a run ask for."""

    project: str
    record_id_field: str
    whole: Scope
    """Everything there is to load."""
    narrow: tuple[Scope, ...] = ()
    """The same in several requests that leave out what must be blank; empty if that would cost more."""
    records: int = 0
    """How many records the cells of the scopes are those of; 0 if that is not known."""
    capacity: Capacity = field(default_factory=Capacity)
    """What the server answered when the plan was made."""
    search_in: tuple[str, ...] = field(default=(), repr=False)
    """The records in which values have to be searched for that narrow requests do not show; empty for all records."""

    def scope(self, part: Part) -> Scope:
        """The cells that an answer holds."""
        return self.whole if part.scope is None else self.narrow[part.scope]

    def answer(self, part: Part) -> Answer:
        """A part as verification and the mirror need it."""
        return Answer(part.path, part.format, self.scope(part).columns)

    @property
    def searches(self) -> int:
        """How many narrow scopes leave out events in which values have to be searched for."""
        return sum(scope.undesignated is not None for scope in self.narrow)

    def cells_a_record(self, scope: int | None) -> float:
        """About how many cells a record has in one narrow scope, or in all (None); 0 if that is not known."""
        cells = self.whole.cells if scope is None else self.narrow[scope].cells
        return cells / self.records if self.records else 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """One answer in the staging folder: to the request for everything, or to that for one narrow scope."""

    path: Path
    format: Format
    scope: int | None = None


@dataclass(frozen=True, slots=True)
class AtHand:
    """A record that was requested whole, as JSON, before anything was planned: its answer shows the columns of all."""

    record: str = field(repr=False)
    path: Path
    bytes: int
    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records, verified to be complete: one answer, or one for each narrow scope in which they have rows."""

    parts: tuple[Part, ...]
    number: int
    asked: int
    records: tuple[str, ...] = field(repr=False)
    excluded: tuple[str, ...] = field(repr=False)
    """Records with rows in the answers that are in doubt, so these rows are not used."""
    rows: int
    cells: int
    bytes: int
    seconds: float
    attempts: int
    task: int = 0
    """Which task of the load's plan it belongs to."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One record that could not be fetched, and why."""

    record: str = field(repr=False)
    reason: str


@dataclass(frozen=True, slots=True)
class Vanished:
    """Records that were in the census and have been deleted since, according to REDCap's log."""

    records: tuple[str, ...] = field(repr=False)


Fetched = Chunk | Quarantined | Vanished


# Failures that may be due to the request's size or to one record. Any other failure is due to the server, the network
# or the token, and smaller requests would only be more requests.
ABOUT_THE_REQUEST = (
    errors.ServerOverloaded,
    errors.TimedOut,
    errors.Truncated,
    errors.EmptyAnswer,
    errors.TooLarge,
    errors.AnswerTooLong,
    VerificationFailed,
)
