"""Fetching records in chunks that fit the server, each proven whole before it counts.

Whole records by id; the size follows what the server manages. What "proven" means is warehouse.proof's
business, putting the chunks into the mirror is warehouse.apply's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.errors import LoadRefused, VerificationFailed
from pipelines.extract.chunks import (
    ABOUT_THE_REQUEST,
    JSON_RECORDS,
    Chunk,
    ChunkSize,
    Fetched,
    FetchPlan,
    Part,
    Quarantined,
    Vanished,
)
from pipelines.extract.missing_records import MOST_ALONE, found_by_name, lately_deleted
from pipelines.interrupts import workers
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.staging.answers import Format
from pipelines.warehouse.staging.split_json import split_json
from pipelines.warehouse.staging.verify import Verified, verify
from pipelines.wording import counted
from redcap_source import Received, RedcapClient, errors

OUT_OF_SIGHT = "REDCap listed these records when the load began, no longer returns them, and has logged no deletion."


# So many records in a row that cannot be had are not poison: the server is failing. So are so many answers beyond all
# measure: each may have cost a disk's worth of bytes.
PATIENCE = 5


@dataclass(frozen=True, slots=True)
class _Ask:
    """One chunk's worth of records."""

    records: tuple[str, ...] = field(repr=False)
    number: int
    parts: tuple[Part, ...]
    shares: tuple[tuple[str, ...], ...] = field(repr=False)
    """For each part the records it is asked for."""

    @property
    def narrow(self) -> bool:
        return self.parts[0].scope is not None

    def discard(self) -> None:
        """Remove what came."""
        for part in self.parts:
            part.path.unlink(missing_ok=True)


class Fetcher:
    """Fetches records, a few requests in flight, and yields what is proven.

    Where the plan has narrow scopes a record is asked for scope by scope, once. Whatever is not proven by that is
    asked for whole, as it would be without them, so that narrowing saves cells and decides nothing.
    """

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
        self.client = client
        self.plan = plan
        self.staging = staging
        self.verifier = verifier
        self.concurrency = concurrency
        self.prefix = prefix
        whole = size or ChunkSize()
        # By whether narrow: answers of the two kinds differ in size.
        self._sizes = {False: whole, True: ChunkSize(plan.alike(whole.records))}
        self._due: Mapping[str, int] = {}
        self._narrowly = False
        self._narrow: deque[str] = deque()
        self._whole: deque[str] = deque()
        self._again: deque[tuple[tuple[str, ...], bool]] = deque()
        self._asked = 0
        self._lost_in_a_row = 0
        self._too_long_in_a_row = 0
        self._out_of_sight = 0

    def fetch(self, records: Sequence[str], due: Mapping[str, int] | None = None) -> Iterator[Fetched]:
        """Every record once, in proven chunks; those that cannot be had are named.

        `due` has a bit for each narrow scope in which a record is known to have rows; a record without any is asked
        for whole. An error that no smaller request can mend (token, rights, server gone) is raised and ends it.
        """
        self._due = due or {}
        self._narrowly = any(self._due.values())
        for record in records:
            (self._narrow if self._due.get(record) else self._whole).append(record)
        flying: dict[Future[list[Received]], _Ask] = {}
        with workers(self.concurrency) as pool:
            while self._narrow or self._whole or self._again or flying:
                while len(flying) < self.concurrency and (ask := self._next(busy=bool(flying))) is not None:
                    flying[pool.submit(self._send, ask)] = ask
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    yield from self._settle(future, flying.pop(future))

    def _next(self, *, busy: bool) -> _Ask | None:
        """What to ask next; None when there is nothing, or only a remainder worth waiting to fill."""
        if self._again:
            records, narrow = self._again.popleft()
            return self._ask(records, narrow=narrow)
        if self._narrow:
            return self._ask(self._take(self._narrow, narrow=True), narrow=True)
        few = self._sizes[False].records if self.plan.narrow else JSON_RECORDS
        if not self._whole or (busy and len(self._whole) <= few):
            # The answers in flight will bring their last records back; they are asked for together.
            return None
        return self._ask(self._take(self._whole, narrow=False), narrow=False)

    def _ask(self, records: tuple[str, ...], *, narrow: bool) -> _Ask:
        self._asked += 1
        name = f"{self.prefix}-{self._asked:05d}"
        few = len(records) <= JSON_RECORDS
        if few or not narrow:
            form: Format = "json" if few else "csv"
            return _Ask(records, self._asked, (Part(self.staging / f"{name}.{form}", form),), (records,))
        shares = {at: self._due_in(at, records) for at in range(len(self.plan.narrow))}
        asked = [at for at, share in shares.items() if share]
        parts = tuple(Part(self.staging / f"{name}-{at}.csv", "csv", at) for at in asked)
        return _Ask(records, self._asked, parts, tuple(shares[at] for at in asked))

    def _due_in(self, scope: int, records: Sequence[str]) -> tuple[str, ...]:
        bit, due = 1 << scope, self._due
        return tuple([record for record in records if due[record] & bit])

    def _send(self, ask: _Ask) -> list[Received]:
        return [
            self.client.export_records_to(
                part.path,
                format=part.format,
                records=share,
                **self.plan.scope(part).options(),
            )
            for part, share in zip(ask.parts, ask.shares, strict=True)
        ]

    def _settle(self, future: Future[list[Received]], ask: _Ask) -> Iterator[Fetched]:
        try:
            received = future.result()
            chunk = self._prove(ask, received)
        except ABOUT_THE_REQUEST as problem:
            ask.discard()
            yield from self._ask_for_less(ask, problem)
            return
        self._too_long_in_a_row = 0
        if chunk.records:
            self._lost_in_a_row = 0
            self._learn(ask, received)
            yield chunk
        else:
            ask.discard()
        if ask.narrow:
            proven = set(chunk.records)
            self._whole.extend(record for record in ask.records if record not in proven)
        else:
            self._whole.extendleft(chunk.left)
            yield from self._account_for_missing(ask, chunk)

    def _learn(self, ask: _Ask, received: Sequence[Received]) -> None:
        seconds, size = max(answer.seconds for answer in received), max(answer.bytes for answer in received)
        self._sizes[ask.narrow] = self._sizes[ask.narrow].after(len(ask.records), seconds, size)

    def _prove(self, ask: _Ask, received: Sequence[Received]) -> Chunk:
        answers = [self.plan.answer(part) for part in ask.parts]
        proofs = [verify(self.verifier, answer, share) for answer, share in zip(answers, ask.shares, strict=True)]
        proven, left = self._proven_by_all(ask, proofs)
        return Chunk(
            parts=self._written_apart(ask) if proven and ask.parts[0].format == "json" else ask.parts,
            number=ask.number,
            asked=len(ask.records),
            records=proven,
            left=left,
            rows=sum(proof.rows for proof in proofs),
            cells=sum(proof.rows * len(answer.columns) for answer, proof in zip(answers, proofs, strict=True)),
            bytes=sum(answer.bytes for answer in received),
            seconds=sum(answer.seconds for answer in received),
            attempts=sum(answer.attempts for answer in received),
        )

    def _written_apart(self, ask: _Ask) -> tuple[Part, ...]:
        """A JSON answer as CSVs with the columns of those beside which it will be read."""
        (part,) = ask.parts
        scopes = range(len(self.plan.narrow)) if self._narrowly else (None,)
        parts = tuple(Part(part.path.with_name(f"{part.path.stem}-{at}.csv"), "csv", at) for at in scopes)
        split_json(self.plan.answer(part), [self.plan.answer(part) for part in parts])
        part.path.unlink()
        return parts

    def _proven_by_all(self, ask: _Ask, proofs: Sequence[Verified]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The records that no answer leaves in doubt, and those in the answers that one does."""
        if not ask.narrow:
            (proof,) = proofs
            return proof.records, () if proof.unverified is None else (proof.unverified,)
        doubtful = {proof.unverified for proof in proofs if proof.unverified is not None}
        for share, proof in zip(ask.shares, proofs, strict=True):
            doubtful.update(set(share).difference(proof.records))
        return (
            tuple(record for record in ask.records if record not in doubtful),
            tuple(record for record in ask.records if record in doubtful),
        )

    def _account_for_missing(self, ask: _Ask, chunk: Chunk) -> Iterator[Fetched]:
        """Records asked for that did not come: deleted meanwhile, or silently left out by the server."""
        came = {*chunk.records, *chunk.left}
        missing = tuple(record for record in ask.records if record not in came)
        if not missing:
            return
        there = set(found_by_name(self.client, self.plan.record_id_field, missing))
        gone = tuple(record for record in missing if record not in there)
        if gone:
            yield from self._account_for_gone(gone)
        left_out = tuple(record for record in missing if record in there)
        if left_out and len(left_out) < len(ask.records):
            # The others came: asked for without them, they may come as well.
            self._again.append((left_out, False))
        elif left_out:
            reason = f"{len(left_out):,} of {counted(len(ask.records), 'record')} were left out of it"
            yield from self._ask_for_less(replace(ask, records=left_out), VerificationFailed(reason=reason))

    def _account_for_gone(self, gone: tuple[str, ...]) -> Iterator[Fetched]:
        """Records that REDCap no longer gives, however it is asked: no answer proves that somebody deleted them."""
        self._out_of_sight += len(gone)
        if self._out_of_sight > MOST_ALONE:
            raise LoadRefused(
                project=self.plan.project,
                seen=f"{counted(self._out_of_sight, 'record')} that REDCap listed when the load began no longer appear "
                "in any answer. Somebody is deleting many, the token was put into a data access group, or the server "
                "is failing.",
                kept="No record was deleted here and the published data is as it was.",
                if_meant="Load again: a load begins with a list of all records, and says how to let go of many.",
            )
        told = lately_deleted(self.client, self.plan.record_id_field)
        vanished = tuple(record for record in gone if record in told)
        if vanished:
            yield Vanished(vanished)
        for record in gone:
            if record not in told:
                yield Quarantined(record, OUT_OF_SIGHT)

    def _ask_for_less(self, ask: _Ask, problem: Exception) -> Iterator[Fetched]:
        if ask.narrow and isinstance(problem, VerificationFailed):
            # Such a server answers narrow requests otherwise than we think: from here on everything is asked whole.
            self._whole.extend((*ask.records, *self._narrow))
            self._narrow.clear()
            return
        if isinstance(problem, errors.AnswerTooLong):
            self._too_long_in_a_row += 1
            if self._too_long_in_a_row >= PATIENCE:
                raise problem
        self._sizes[ask.narrow] = self._sizes[ask.narrow].halved()
        if len(ask.records) > 1:
            half = len(ask.records) // 2
            self._again.extend(((ask.records[:half], ask.narrow), (ask.records[half:], ask.narrow)))
            return
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= PATIENCE:
            raise problem
        yield Quarantined(ask.records[0], str(problem))

    def _take(self, waiting: deque[str], *, narrow: bool) -> tuple[str, ...]:
        return tuple(waiting.popleft() for _ in range(min(self._sizes[narrow].records, len(waiting))))
