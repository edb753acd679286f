"""Fetches records in chunks, a few requests at a time; yields only what was verified.

Not here: what to ask for next (request_queue.py), verifying the answers (chunk_verification.py), retries of a request
(redcap_source), the mirror (sync/apply.py).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from pipelines.errors import VerificationFailed, describe
from pipelines.extract.chunk_verification import remove_files, verify_at_hand, verify_chunk
from pipelines.extract.chunks import (
    ABOUT_THE_REQUEST,
    AtHand,
    Chunk,
    ChunkSize,
    Fetched,
    FetchPlan,
    Quarantined,
)
from pipelines.extract.missing_records import OutOfSight, found_by_name
from pipelines.extract.request_queue import Asked, OpenChunk, RequestQueue
from pipelines.extract.speed.answer_sizes import AnswerSizes
from pipelines.extract.speed.server_speed import ServerSpeed
from pipelines.extract.undesignated import SEARCH_FAILED, Search, Searches, searches_of
from pipelines.interrupts import workers
from pipelines.warehouse.database.connection import Connection
from pipelines.wording import counted
from redcap_source import Received, RedcapClient, errors

log = logging.getLogger("redcap_warehouse")

# After this many single records in a row that cannot be fetched, the server is failing, not the records. The same holds
# after this many answers in a row beyond the size limit: each may have cost a disk's worth of bytes. After this many
# failures in a row of narrow requests (the second constant), records are requested whole.
FAILURES_IN_A_ROW = 5
NARROW_FAILURES_IN_A_ROW = 10
# So many requests wait for their turn, so that the server is busy while answers are verified and stored.
AHEAD = 2


class Fetcher:
    """Fetches the records of a plan; counts what REDCap could not deliver, and gives up if the server is failing."""

    def __init__(
        self,
        client: RedcapClient,
        plan: FetchPlan,
        *,
        staging: Path,
        verifier: Connection,
        concurrency: int = 2,
        size: ChunkSize | None = None,
        prefix: str = "chunk",
    ) -> None:
        """`size` is how many records to begin with; `prefix` begins the names of the files in the `staging` folder."""
        self.client = client
        self.plan = plan
        self.staging = staging
        self.verifier = verifier
        self.concurrency = concurrency
        self.size = size
        self.prefix = prefix
        self._lost_in_a_row = 0
        self._too_long_in_a_row = 0
        self._narrow_failures = 0
        self._out_of_sight = OutOfSight(client, plan.project, plan.record_id_field)
        self._sizes = AnswerSizes(plan, size)
        self._searches = Searches()
        self._held: list[OpenChunk] = []
        """Narrow chunks whose answers have all arrived, and those of the searches have not."""

    def fetch(
        self,
        records: Sequence[str],
        scope_masks: Mapping[str, int] | None = None,
        *,
        searched: bool = False,
        at_hand: AtHand | None = None,
    ) -> Iterator[Fetched]:
        """Every record once, in verified chunks; those that cannot be fetched are named.

        `scope_masks` has a bit for each narrow scope in which a record is known to have rows; a record without any is
        asked for whole, and so is one with values that narrow requests do not show, which are searched for unless they
        were before (`searched`). An error that no smaller request can avoid (token, rights, server down) is raised.
        """
        at_hand = at_hand if at_hand and at_hand.record in records and at_hand.path.exists() else None
        queue = RequestQueue(
            self.plan,
            records,
            scope_masks,
            staging=self.staging,
            prefix=self.prefix,
            size=self.size,
            at_hand=None if at_hand is None else at_hand.record,
        )
        self._sizes = queue.sizes
        if queue.unverified and not searched:
            self._searches = Searches(deque(searches_of(self.plan, self.staging, self.prefix)))
        running: dict[Future[Received], Search | Asked] = {}
        with workers(self.concurrency) as pool:
            while queue or running or self._searches.waiting or at_hand is not None:
                free = self.concurrency + AHEAD
                while len(running) < free and (asked := self._next(queue, busy=bool(running))) is not None:
                    running[pool.submit(self._send, asked)] = asked
                if at_hand is not None:
                    if chunk := verify_at_hand(self.verifier, self.plan, at_hand, queue.scopes):
                        yield chunk
                    else:
                        queue.ask_apart((at_hand.record,))
                    at_hand = None
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    yield from self._arrived(queue, running.pop(future), future)

    @property
    def speed(self) -> ServerSpeed:
        """How fast the server was."""
        return self._sizes.speed

    def _next(self, queue: RequestQueue, *, busy: bool) -> Search | Asked | None:
        """What to send next: the searches, which are small, after the records of the first chunk."""
        if self._searches.waiting and queue.is_between_chunks:
            return self._searches.next()
        return queue.next(busy=busy)

    def _send(self, asked: Search | Asked) -> Received:
        if isinstance(asked, Search):
            return asked.send(self.client)
        _, request = asked
        return self.client.export_records_to(
            request.part.path,
            format=request.part.format,
            records=request.named,
            **self.plan.scope(request.part).options(),
        )

    def _arrived(self, queue: RequestQueue, asked: Search | Asked, future: Future[Received]) -> Iterator[Fetched]:
        """One request has ended; if it was the last that a chunk needs, the chunk's result follows."""
        if isinstance(asked, Search):
            yield from self._searched(queue, asked, future)
            return
        chunk, request = asked
        try:
            received = future.result()
        except ABOUT_THE_REQUEST as problem:
            remove_files([request.part])
            queue.failed(chunk, request)
            self._count_too_long(problem)
            if not chunk.narrow:
                yield from self._failed(queue, chunk.records, problem)
                return
            self._narrow_failures += 1
            if self._narrow_failures >= NARROW_FAILURES_IN_A_ROW and not chunk.abandoned:
                queue.abandon_narrow([chunk])
        else:
            queue.answered(chunk, request, received)
            self._too_long_in_a_row = self._narrow_failures = 0
        if chunk.is_complete and chunk.narrow and not self._searches.is_complete:
            self._held.append(chunk)
        elif chunk.is_complete:
            yield from self._result(queue, chunk)

    def _searched(self, queue: RequestQueue, search: Search, future: Future[Received]) -> Iterator[Fetched]:
        """A search has ended; after the last one, the results of the chunks follow that arrived before."""
        try:
            future.result()
            self._searches.answered(search.read(self.verifier))
        except SEARCH_FAILED as problem:
            self._searches.failed()
            if not all(chunk.abandoned for chunk in queue.unverified):
                log.warning("%s: every record is requested whole, because %s", self.plan.project, describe(problem))
            queue.abandon_narrow(queue.unverified)
        while self._held and self._searches.is_complete:
            yield from self._result(queue, self._held.pop(0))

    def _result(self, queue: RequestQueue, asked: OpenChunk) -> Iterator[Fetched]:
        """What the chunk's answers hold; what they lack is put back into the queue."""
        parts = [request.part for request, _ in asked.answers]
        if asked.narrow:
            queue.unverified.remove(asked)
            asked.lost.update(self._searches.found.intersection(asked.records))
        if asked.abandoned or not parts:
            remove_files(parts)
            queue.ask_whole(() if asked.abandoned else asked.records)
            return
        try:
            chunk, times = verify_chunk(self.verifier, self.plan, asked, queue.scopes)
        except VerificationFailed as problem:
            remove_files(parts)
            if asked.narrow:
                queue.abandon_narrow([asked])
            else:
                yield from self._failed(queue, asked.records, problem)
            return
        for (request, _), answer in zip(asked.answers, times, strict=True):
            queue.sizes.measured(request.part.scope, len(request.named), answer)
        if chunk.records:
            self._lost_in_a_row = 0
            yield chunk
        else:
            remove_files(parts)
        if asked.narrow:
            verified = set(chunk.records)
            queue.ask_whole([record for record in asked.records if record not in verified])
        else:
            own = set(asked.records)
            queue.ask_first([record for record in chunk.excluded if record in own])
            yield from self._account_for_missing(queue, asked, chunk)

    def _account_for_missing(self, queue: RequestQueue, asked: OpenChunk, chunk: Chunk) -> Iterator[Fetched]:
        """Records that were asked for and not returned: deleted meanwhile, or left out by the server."""
        returned = {*chunk.records, *chunk.excluded}
        missing = tuple(record for record in asked.records if record not in returned)
        if not missing:
            return
        there = set(found_by_name(self.client, self.plan.record_id_field, missing))
        unavailable = tuple(record for record in missing if record not in there)
        if unavailable:
            yield from self._out_of_sight.account_for(unavailable)
        left_out = tuple(record for record in missing if record in there)
        if left_out and len(left_out) < len(asked.records):
            queue.ask_apart(left_out)
        elif left_out:
            reason = f"{len(left_out):,} of {counted(len(asked.records), 'record')} were left out of it"
            yield from self._failed(queue, left_out, VerificationFailed(reason=reason))

    def _count_too_long(self, problem: Exception) -> None:
        if isinstance(problem, errors.AnswerTooLong):
            self._too_long_in_a_row += 1
            if self._too_long_in_a_row >= FAILURES_IN_A_ROW:
                raise problem

    def _failed(self, queue: RequestQueue, records: tuple[str, ...], problem: Exception) -> Iterator[Fetched]:
        """Request less if the request was too large; a single record that still fails is quarantined."""
        if queue.ask_less(records):
            return
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= FAILURES_IN_A_ROW:
            raise problem
        yield Quarantined(records[0], str(problem))
