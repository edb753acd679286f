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
from pipelines.extract.request_queue import ChunkRequest, RequestQueue
from pipelines.interrupts import workers
from pipelines.warehouse.database.connection import Connection
from pipelines.wording import counted
from redcap_source import Received, RedcapClient, errors

OUT_OF_SIGHT = "Listed by REDCap when the load began, no longer returned, and not logged as deleted."

# After this many single records in a row that cannot be fetched, the server is failing, not the records. The same holds
# after this many answers in a row beyond the size limit: each may have cost a disk's worth of bytes.
FAILURES_IN_A_ROW = 5


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
        self._out_of_sight = 0

    def fetch(self, records: Sequence[str], scope_masks: Mapping[str, int] | None = None) -> Iterator[Fetched]:
        """Every record once, in verified chunks; those that cannot be fetched are named.

        `scope_masks` has a bit for each narrow scope in which a record is known to have rows; a record without any is
        asked for whole. An error that no smaller request can avoid (token, rights, server down) is raised.
        """
        queue = RequestQueue(self.plan, records, scope_masks, staging=self.staging, prefix=self.prefix, size=self.size)
        running: dict[Future[list[Received]], ChunkRequest] = {}
        with workers(self.concurrency) as pool:
            while queue or running:
                while len(running) < self.concurrency and (request := queue.next(busy=bool(running))) is not None:
                    running[pool.submit(self._send, request)] = request
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield from self._result(queue, running.pop(future), future)

    def _send(self, request: ChunkRequest) -> list[Received]:
        return [
            self.client.export_records_to(
                part.path,
                format=part.format,
                records=share,
                **self.plan.scope(part).options(),
            )
            for part, share in zip(request.parts, request.shares, strict=True)
        ]

    def _result(self, queue: RequestQueue, request: ChunkRequest, future: Future[list[Received]]) -> Iterator[Fetched]:
        """What the request returned; what it did not return is put back into the queue."""
        try:
            received = future.result()
            chunk = verify_chunk(self.verifier, self.plan, request, received, queue.scopes)
        except ABOUT_THE_REQUEST as problem:
            remove_files(request.parts)
            yield from self._failed(queue, request, request.records, problem)
            return
        self._too_long_in_a_row = 0
        if chunk.records:
            self._lost_in_a_row = 0
            queue.learn(request, max(a.seconds for a in received), max(a.bytes for a in received))
            yield chunk
        else:
            remove_files(request.parts)
        if request.narrow:
            verified = set(chunk.records)
            queue.ask_whole([record for record in request.records if record not in verified])
        else:
            queue.ask_first(chunk.excluded)
            yield from self._account_for_missing(queue, request, chunk)

    def _account_for_missing(self, queue: RequestQueue, request: ChunkRequest, chunk: Chunk) -> Iterator[Fetched]:
        """Records that were asked for and not returned: deleted meanwhile, or left out by the server."""
        returned = {*chunk.records, *chunk.excluded}
        missing = tuple(record for record in request.records if record not in returned)
        if not missing:
            return
        there = set(found_by_name(self.client, self.plan.record_id_field, missing))
        unavailable = tuple(record for record in missing if record not in there)
        if unavailable:
            yield from self._account_for_unavailable(unavailable)
        left_out = tuple(record for record in missing if record in there)
        if left_out and len(left_out) < len(request.records):
            queue.ask_apart(left_out)
        elif left_out:
            reason = f"{len(left_out):,} of {counted(len(request.records), 'record')} were left out of it"
            yield from self._failed(queue, request, left_out, VerificationFailed(reason=reason))

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

    def _failed(
        self, queue: RequestQueue, request: ChunkRequest, records: tuple[str, ...], problem: Exception
    ) -> Iterator[Fetched]:
        """Request less if the request was too large; a single record that still fails is quarantined."""
        if request.narrow and isinstance(problem, VerificationFailed):
            queue.abandon_narrow(request)
            return
        if isinstance(problem, errors.AnswerTooLong):
            self._too_long_in_a_row += 1
            if self._too_long_in_a_row >= FAILURES_IN_A_ROW:
                raise problem
        if queue.ask_less(request, records):
            return
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= FAILURES_IN_A_ROW:
            raise problem
        yield Quarantined(records[0], str(problem))
