"""Fetching records in chunks that fit the server, each proven whole before it counts.

Whole records by id; the size follows what the server manages. What "proven" means is warehouse.proof's
business, putting the chunks into the mirror is warehouse.apply's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from pipelines.errors import ChunkNotProven
from pipelines.selection import Selection
from pipelines.warehouse.connection import Connection
from pipelines.warehouse.proof import Answer, Format, Proof, prove
from redcap_source import Received, RedcapClient, errors

# About ten seconds or five megabytes an answer: long enough that overhead does not count, short enough that a
# failure costs little and no proxy gives up.
AIM_SECONDS = 10.0
AIM_BYTES = 5_000_000
FIRST_RECORDS = 50
# Up to here an answer is asked for as JSON, which proves itself whole.
JSON_RECORDS = 3


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """How many records to ask for at a time, learned from how the last answers went."""

    records: int = FIRST_RECORDS

    def after(self, records: int, seconds: float, size: int) -> ChunkSize:
        """The size to use once `records` records took so many seconds and bytes."""
        if records <= 0:
            return self
        fits = min(AIM_SECONDS / max(seconds, 0.001), AIM_BYTES / max(size, 1)) * records
        # Growing at most fourfold keeps one lucky answer from leading to a request the server cannot bear.
        return ChunkSize(max(1, min(int(fits), self.records * 4)))

    def halved(self) -> ChunkSize:
        """The size to use after an answer failed for being too much."""
        return ChunkSize(max(1, self.records // 2))


class ExportOptions(TypedDict):
    """The parameters that all exports of a run share."""

    fields: tuple[str, ...]
    forms: tuple[str, ...]
    export_survey_fields: bool
    export_data_access_groups: bool
    blank_for_gray_form_status: bool


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What every request of a run has in common."""

    project: str
    record_id_field: str
    selection: Selection
    columns: tuple[str, ...]
    """The columns every answer must have, in REDCap's order."""

    def options(self) -> ExportOptions:
        """The parameters of a flat export that holds all there is to load."""
        return {
            "fields": self.selection.fields,
            "forms": self.selection.forms,
            "export_survey_fields": True,
            "export_data_access_groups": True,
            "blank_for_gray_form_status": True,
        }


@dataclass(frozen=True, slots=True)
class Chunk:
    """One proven answer in the staging folder."""

    path: Path
    format: Format
    number: int
    asked: int
    proof: Proof
    bytes: int
    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One record that cannot be had, and why."""

    record: str = field(repr=False)
    reason: str


@dataclass(frozen=True, slots=True)
class Vanished:
    """Records that were in the census and are gone now: someone deleted them meanwhile."""

    records: tuple[str, ...] = field(repr=False)


Fetched = Chunk | Quarantined | Vanished

# Failures that say something about the request's size or about one record. Any other failure says something about
# the server, the network or the token, and asking for less of it would only be asking more often.
_ABOUT_THE_REQUEST = (
    errors.ServerOverloaded,
    errors.TimedOut,
    errors.Truncated,
    errors.EmptyAnswer,
    errors.TooLarge,
    ChunkNotProven,
)
# So many records in a row that cannot be had are not poison: the server is failing.
PATIENCE = 5


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request's worth of records."""

    records: tuple[str, ...] = field(repr=False)
    number: int

    @property
    def format(self) -> Format:
        return "json" if len(self.records) <= JSON_RECORDS else "csv"


class Fetcher:
    """Fetches records, a few requests in flight, and yields what is proven."""

    def __init__(
        self,
        client: RedcapClient,
        plan: FetchPlan,
        *,
        staging: Path,
        prover: Connection,
        concurrency: int = 2,
        size: ChunkSize | None = None,
        prefix: str = "chunk",
    ) -> None:
        self.client = client
        self.plan = plan
        self.staging = staging
        self.prover = prover
        self.concurrency = concurrency
        self.size = size or ChunkSize()
        self.prefix = prefix
        self._waiting: deque[str] = deque()
        self._again: deque[tuple[str, ...]] = deque()
        self._asked = 0
        self._lost_in_a_row = 0

    def fetch(self, records: Sequence[str]) -> Iterator[Fetched]:
        """Every record once, in proven chunks; those that cannot be had are named.

        An error that no smaller request can mend (token, rights, server gone) is raised and ends it.
        """
        self._waiting.extend(records)
        flying: dict[Future[Received], _Ask] = {}
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="redcap")
        try:
            while self._waiting or self._again or flying:
                while len(flying) < self.concurrency and (ask := self._next(busy=bool(flying))) is not None:
                    flying[pool.submit(self._send, ask)] = ask
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    yield from self._settle(future, flying.pop(future))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _next(self, *, busy: bool) -> _Ask | None:
        """What to ask next; None when there is nothing, or only a remainder worth waiting to fill."""
        if self._again:
            records = self._again.popleft()
        elif busy and len(self._waiting) <= JSON_RECORDS:
            # The answers in flight will bring their last records back; they are asked for together.
            return None
        else:
            records = tuple(self._waiting.popleft() for _ in range(min(self.size.records, len(self._waiting))))
        if not records:
            return None
        self._asked += 1
        return _Ask(records, self._asked)

    def _send(self, ask: _Ask) -> Received:
        return self.client.export_records_to(
            self._path(ask),
            format=ask.format,
            records=ask.records,
            **self.plan.options(),
        )

    def _settle(self, future: Future[Received], ask: _Ask) -> Iterator[Fetched]:
        try:
            received = future.result()
            chunk = self._prove(ask, received)
        except _ABOUT_THE_REQUEST as problem:
            self._path(ask).unlink(missing_ok=True)
            yield from self._ask_for_less(ask.records, problem)
            return
        if chunk.proof.unproven is not None:
            self._waiting.appendleft(chunk.proof.unproven)
        if chunk.proof.records:
            self._lost_in_a_row = 0
            self.size = self.size.after(len(ask.records), received.seconds, received.bytes)
            yield chunk
        else:
            chunk.path.unlink(missing_ok=True)
        yield from self._account_for_missing(ask, chunk)

    def _prove(self, ask: _Ask, received: Received) -> Chunk:
        answer = Answer(self._path(ask), ask.format, self.plan.columns)
        proof = prove(self.prover, answer, ask.records)
        return Chunk(
            path=answer.path,
            format=ask.format,
            number=ask.number,
            asked=len(ask.records),
            proof=proof,
            bytes=received.bytes,
            seconds=received.seconds,
            attempts=received.attempts,
        )

    def _account_for_missing(self, ask: _Ask, chunk: Chunk) -> Iterator[Fetched]:
        """Records asked for that did not come: deleted meanwhile, or silently left out by the server."""
        came = {*chunk.proof.records, chunk.proof.unproven}
        missing = tuple(record for record in ask.records if record not in came)
        if not missing:
            return
        there = set(self.client.record_ids(self.plan.record_id_field, records=missing))
        gone = tuple(record for record in missing if record not in there)
        if gone:
            yield Vanished(gone)
        left_out = tuple(record for record in missing if record in there)
        if left_out:
            reason = f"{len(left_out)} of {len(ask.records)} records were left out of it"
            yield from self._ask_for_less(left_out, ChunkNotProven(reason=reason))

    def _ask_for_less(self, records: tuple[str, ...], problem: Exception) -> Iterator[Fetched]:
        self.size = self.size.halved()
        if len(records) > 1:
            half = len(records) // 2
            self._again.extend((records[:half], records[half:]))
            return
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= PATIENCE:
            raise problem
        yield Quarantined(records[0], str(problem))

    def _path(self, ask: _Ask) -> Path:
        return self.staging / f"{self.prefix}-{ask.number:05d}.{ask.format}"
