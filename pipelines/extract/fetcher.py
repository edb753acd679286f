"""Fetches records in chunks, a few requests at a time; yields only what was verified.

Not here: what to ask for next (request_queue.py), verifying the answers (chunk_verification.py), retries of a request
(redcap_source), the mirror (sync/apply.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from pipelines.errors import LoadRefused, VerificationFailed
from pipelines.extract.chunk_verification import remove_files, verify_chunk
from pipelines.extract.chunks import ABOUT_THE_REQUEST, Chunk, ChunkSize, Fetched, FetchPlan, Quarantined, Vanished
from pipelines.extract.missing_records import MOST_ALONE, found_by_name, lately_deleted
from pipelines.extract.request_queue import OpenChunk, PartRequest, RequestQueue
from pipelines.extract.speed.answer_sizes import AnswerSizes
from pipelines.extract.speed.server_speed import ServerSpeed
from pipelines.interrupts import workers
from pipelines.warehouse.database.connection import Connection
from pipelines.wording import counted
from redcap_source import Received, RedcapClient, errors

OUT_OF_SIGHT = "Listed by REDCap when the load began, no longer returned, and not logged as deleted."

# After this many single records in a row that cannot be fetched, the server is failing, not the records. The same holds
# after this many answers in a row beyond the size limit: each may have cost a disk's worth of bytes. After this many
# failures in a row of narrow requests (the second constant), records are requested whole.
FAILURES_IN_A_ROW = 5
NARROW_FAILURES_IN_A_ROW = 10


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
        self._out_of_sight = 0
        self._sizes = AnswerSizes(plan, size)

    def fetch(self, records: Sequence[str], scope_masks: Mapping[str, int] | None = None) -> Iterator[Fetched]:
        """Every record once, in verified chunks; those that cannot be fetched are named.

        `scope_masks` has a bit for each narrow scope in which a record is known to have rows; a record without any is
        asked for whole. An error that no smaller request can avoid (token, rights, server down) is raised.
        """
        queue = RequestQueue(self.plan, records, scope_masks, staging=self.staging, prefix=self.prefix, size=self.size)
        self._sizes = queue.sizes
        running: dict[Future[Received], tuple[OpenChunk, PartRequest]] = {}
        with workers(self.concurrency) as pool:
            while queue or running:
                while len(running) < self.concurrency and (asked := queue.next(busy=bool(running))) is not None:
                    running[pool.submit(self._send, asked[1])] = asked
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield from self._arrived(queue, *running.pop(future), future)

    @property
    def speed(self) -> ServerSpeed:
        """How fast the server was."""
        return self._sizes.speed

    def _send(self, request: PartRequest) -> Received:
        return self.client.export_records_to(
            request.part.path,
            format=request.part.format,
            records=request.named,
            **self.plan.scope(request.part).options(),
        )

    def _arrived(
        self, queue: RequestQueue, chunk: OpenChunk, request: PartRequest, future: Future[Received]
    ) -> Iterator[Fetched]:
        """One request has ended; if it was the last of its chunk, the chunk's result follows."""
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
                queue.abandon_narrow(chunk)
        else:
            queue.answered(chunk, request, received)
            self._too_long_in_a_row = self._narrow_failures = 0
        if chunk.is_complete:
            yield from self._result(queue, chunk)

    def _result(self, queue: RequestQueue, asked: OpenChunk) -> Iterator[Fetched]:
        """What the chunk's answers hold; what they lack is put back into the queue."""
        parts = [request.part for request, _ in asked.answers]
        if asked.abandoned or not parts:
            remove_files(parts)
            queue.ask_whole(() if asked.abandoned else asked.records)
            return
        try:
            chunk, times = verify_chunk(self.verifier, self.plan, asked, queue.scopes)
        except VerificationFailed as problem:
            remove_files(parts)
            if asked.narrow:
                queue.abandon_narrow(asked)
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
            yield from self._account_for_unavailable(unavailable)
        left_out = tuple(record for record in missing if record in there)
        if left_out and len(left_out) < len(asked.records):
            queue.ask_apart(left_out)
        elif left_out:
            reason = f"{len(left_out):,} of {counted(len(asked.records), 'record')} were left out of it"
            yield from self._failed(queue, left_out, VerificationFailed(reason=reason))

    def _account_for_unavailable(self, records: tuple[str, ...]) -> Iterator[Fetched]:
        """Records that REDCap does not return to any request: only its log shows whether they were deleted."""
        self._out_of_sight += len(records)
        if self._out_of_sight > MOST_ALONE:
            raise LoadRefused(
                project=self.plan.project,
                problem=f"{counted(self._out_of_sight, 'record')} that REDCap listed when the load began are no longer "
                "in its answers. Somebody is deleting many, the token was put into a data access group, or the server "
                "is failing.",
                kept="No record was deleted here, and the published data is unchanged.",
                remedy="Load again: a load lists all records first, and names the option that allows many deletions.",
            )
        deleted = lately_deleted(self.client, self.plan.record_id_field)
        vanished = tuple(record for record in records if record in deleted)
        if vanished:
            yield Vanished(vanished)
        for record in records:
            if record not in deleted:
                yield Quarantined(record, OUT_OF_SIGHT)

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
