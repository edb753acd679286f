"""What to ask REDCap for next: which records, and in which cells. Pure.

Not here: sending the requests (fetcher.py), verifying the answers (chunk_verification.py), how large answers should be
(answer_sizes.py).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from pipelines.extract.chunks import JSON_RECORDS, ChunkSize, FetchPlan, Part
from pipelines.extract.speed.answer_sizes import AnswerSizes
from pipelines.warehouse.staging.answers import Format
from redcap_source import Received


@dataclass(frozen=True, slots=True)
class PartRequest:
    """One request: records, in one scope."""

    part: Part
    records: tuple[str, ...] = field(repr=False)
    end: str | None = field(repr=False, default=None)
    """A record that is requested elsewhere, too. It comes last, so the last record of the answer is not one of these,
    whose rows could be incomplete without notice."""

    @property
    def named(self) -> tuple[str, ...]:
        """The records that the request names."""
        return self.records if self.end is None else (*self.records, self.end)


@dataclass(eq=False)
class OpenChunk:
    """Records whose answers have not all arrived: one answer with everything, or some for each narrow scope."""

    records: tuple[str, ...] = field(repr=False)
    number: int
    narrow: bool
    form: Format
    waiting: deque[tuple[int | None, tuple[str, ...]]] = field(repr=False)
    """What is to be requested yet: scopes, and records in them."""
    piece: float = 0.0
    """The cells into which its answers are cut."""
    under_way: int = 0
    answers: list[tuple[PartRequest, Received]] = field(repr=False, default_factory=list)
    lost: set[str] = field(repr=False, default_factory=set)
    """Records that could not be fetched in some narrow scope."""
    abandoned: bool = False
    """Whether its answers are of no use any more."""
    made: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing of it is still to come."""
        return not self.waiting and not self.under_way

    def ask_in_halves(self, request: PartRequest) -> None:
        """Ask for the records of a narrow request that failed in two; a single one is lost to the chunk."""
        half = len(request.records) // 2
        if half:
            halves = ((request.part.scope, request.records[half:]), (request.part.scope, request.records[:half]))
            self.waiting.extendleft(halves)
        else:
            self.lost.update(request.records)

    def abandon(self) -> None:
        """Use none of its answers, and ask for no more."""
        self.waiting.clear()
        self.abandoned = True


Asked = tuple[OpenChunk, PartRequest]


class RequestQueue:
    """The records still to ask for, in chunks, and the requests of each chunk.

    With narrow scopes in the plan, a record is asked for scope by scope, once. Records that this does not verify are
    requested whole, as they would be without narrow scopes: scopes only save cells and never change the result.
    """

    def __init__(
        self,
        plan: FetchPlan,
        records: Sequence[str],
        scope_masks: Mapping[str, int] | None = None,
        *,
        staging: Path,
        prefix: str = "chunk",
        size: ChunkSize | None = None,
        at_hand: str | None = None,
    ) -> None:
        """`scope_masks` has a bit for each narrow scope in which a record has rows; without any it is asked for whole.

        `at_hand` is a record that is not asked for again, unless to mark the end of answers. `prefix` begins the names
        of the answers' files in the `staging` folder; `size` is what the previous load learned.
        """
        self._plan = plan
        self._masks = scope_masks or {}
        self._staging = staging
        self._prefix = prefix
        self.sizes = AnswerSizes(plan, size)
        self._ends = _ends(records, self._masks, len(plan.narrow)) if any(self._masks.values()) else {}
        apart = set(self._ends.values())
        left = [record for record in records if record != at_hand]
        self._narrow = deque(r for r in left if self._masks.get(r) and r not in apart)
        self._whole = deque(r for r in left if not self._masks.get(r) or r in apart)
        self._end = at_hand if records and records[-1] == at_hand else None
        """The record that marks the end of answers with everything."""
        self._again: deque[str] = deque()
        """Records that answers left in doubt."""
        self._split: deque[tuple[str, ...]] = deque()
        """Records to be requested whole, by themselves, before anything else."""
        self._open: deque[OpenChunk] = deque()
        """Chunks of which some requests wait to be sent."""
        self.unverified: list[OpenChunk] = []
        """Narrow chunks of which no record was returned yet."""
        self._made = 0
        self.scopes: Sequence[int | None] = range(len(plan.narrow)) if self._narrow else (None,)
        """The scopes of all answers; an answer to a request for everything is split to be read beside the others."""
        self._apart = self._taken_apart()
        """Records to be requested whole, by themselves, as soon as no larger request waits."""
        self._piece = self.sizes.whole_piece(len(self._whole))
        """The cells into which answers with everything are cut."""
        if self._narrow:
            self._narrow_chunk()

    def __bool__(self) -> bool:
        """Whether anything is left to ask for."""
        return bool(self._narrow or self._whole or self._again or self._split or self._apart or self._open)

    @property
    def is_between_chunks(self) -> bool:
        """Whether all requests of a chunk were sent and none of the next."""
        return self._made > 0 and not self._open and not self._apart

    def next(self, *, busy: bool) -> Asked | None:
        """What to ask for next; None if nothing is left, or only a remainder that is worth filling up first.

        While requests are under way (`busy`), a remainder waits: their answers may return records to ask for with it.
        """
        if (chunk := self._next_chunk(busy=busy)) is None:
            return None
        request = self._next_part(chunk)
        chunk.under_way += 1
        if not chunk.waiting and chunk in self._open:
            self._open.remove(chunk)
        return chunk, request

    # -- the results of requests ------------------------------------------------------------------------------

    def answered(self, chunk: OpenChunk, request: PartRequest, received: Received) -> None:
        """The request's answer arrived."""
        chunk.under_way -= 1
        chunk.answers.append((request, received))
        if request.part.format == "csv":
            self.sizes.answered(request.part.scope, len(request.named), received.seconds, received.bytes)

    def failed(self, chunk: OpenChunk, request: PartRequest) -> None:
        """The request's answer did not arrive; in a narrow scope, halves of its records are asked for in its place."""
        chunk.under_way -= 1
        self.sizes.failed(request.part.scope, len(request.named))
        if chunk.narrow and not chunk.abandoned:
            chunk.ask_in_halves(request)
            if chunk.waiting and chunk not in self._open:
                self._open.appendleft(chunk)

    def ask_whole(self, records: Iterable[str]) -> None:
        """Narrow answers left these records in doubt."""
        self._again.extend(records)

    def ask_first(self, records: Sequence[str]) -> None:
        """The end of an answer left these records in doubt: they are requested again with the next ones."""
        (self._whole or self._again).extendleft(records)

    def ask_apart(self, records: tuple[str, ...]) -> None:
        """An answer lacked these records; a request for them alone may return them."""
        self._split.append(records)

    def ask_less(self, records: tuple[str, ...]) -> bool:
        """A request for these records was too large: ask for them in halves; False if there is only one."""
        if half := len(records) // 2:
            # Before the halves of others, so that a failing server is recognised by a few single records.
            self._split.extendleft((records[half:], records[:half]))
        return bool(half)

    def abandon_narrow(self, chunks: Iterable[OpenChunk]) -> None:
        """Narrow requests are of no use, neither those of these chunks nor others: request every record whole."""
        for chunk in chunks:
            self._whole.extend(() if chunk.abandoned else chunk.records)
            chunk.abandon()
        self._open = deque(chunk for chunk in self._open if not chunk.abandoned)
        self._whole.extend(self._narrow)
        self._narrow.clear()
        self._piece = self.sizes.whole_piece(len(self._whole))

    # -- making a request -------------------------------------------------------------------------------------

    def _taken_apart(self) -> tuple[str, ...]:
        """Take out what is requested whole beside all others: as JSON, which shows its end by itself.

        That is the record that marks the end of other answers, or all few records that are requested whole.
        """
        if len(self._whole) <= self.sizes.few:
            return _taken(self._whole, len(self._whole)) if self._narrow else ()
        if self._end is not None:
            return ()
        self._end = self._whole.pop()
        return (self._end,)

    def _apart_is_due(self) -> bool:
        """Whether the records apart come next: the largest requests are sent first, so that the last ones are small."""
        if not self._apart or not self._open:
            return bool(self._apart)
        scope, records = self._open[0].waiting[0]
        if scope is None:
            return False
        count = self.sizes.part_records(scope, len(records), self._open[0].piece)
        return self.sizes.cells(None, len(self._apart)) > self.sizes.cells(scope, count)

    def _next_chunk(self, *, busy: bool) -> OpenChunk | None:
        if self._apart_is_due():
            self._split.appendleft(self._apart)
            self._apart = ()
        elif self._open:
            return self._open[0]
        if self._split:
            records = self._split.popleft()
            return self._whole_chunk(records, as_json=len(records) <= self.sizes.few)
        if self._narrow:
            return self._narrow_chunk()
        if not self._whole and not (busy and len(self._again) <= self.sizes.few):
            self._whole, self._again = self._again, self._whole
            self._piece = self.sizes.whole_piece(len(self._whole))
        if not self._whole:
            return None
        count = self.sizes.whole_records(len(self._whole), self._piece)
        as_json = len(self._whole) <= self.sizes.few
        return self._whole_chunk(_taken(self._whole, count), as_json=as_json)

    def _whole_chunk(self, records: tuple[str, ...], *, as_json: bool) -> OpenChunk:
        form: Format = "json" if as_json or len(records) <= JSON_RECORDS else "csv"
        return self._opened(OpenChunk(records, self._made + 1, False, form, deque([(None, records)])))

    def _narrow_chunk(self) -> OpenChunk:
        records = _taken(self._narrow, self.sizes.chunk_records(len(self._narrow)))
        if len(records) <= JSON_RECORDS:
            return self._whole_chunk(records, as_json=True)
        shares = [(scope, _in_scope(scope, records, self._masks)) for scope in range(len(self._plan.narrow))]
        # The largest first, so that the last ones to arrive are small.
        shares = sorted(filter(itemgetter(1), shares), key=lambda share: -self.sizes.cells(share[0], len(share[1])))
        beside = [self.sizes.cells(None, len(self._apart))] if self._apart else []
        beside += [0.0] * (self._plan.searches if not self._made else 0)
        piece = self.sizes.piece([(scope, len(share)) for scope, share in shares], beside)
        self.unverified.append(OpenChunk(records, self._made + 1, True, "csv", deque(shares), piece))
        return self._opened(self.unverified[-1])

    def _opened(self, chunk: OpenChunk) -> OpenChunk:
        self._open.append(chunk)
        self._made = chunk.number
        return chunk

    def _next_part(self, chunk: OpenChunk) -> PartRequest:
        scope, records = chunk.waiting.popleft()
        name = f"{self._prefix}-{chunk.number:05d}"
        if scope is None:
            end = self._end if chunk.form == "csv" and self._end not in records else None
            return PartRequest(Part(self._staging / f"{name}.{chunk.form}", chunk.form), records, end)
        count = self.sizes.part_records(scope, len(records), chunk.piece)
        if count < len(records):
            chunk.waiting.appendleft((scope, records[count:]))
        chunk.made += 1
        part = Part(self._staging / f"{name}-{scope}-{chunk.made}.csv", "csv", scope)
        return PartRequest(part, records[:count], self._ends.get(scope))


def _in_scope(scope: int, records: Sequence[str], masks: Mapping[str, int]) -> tuple[str, ...]:
    bit = 1 << scope
    return tuple([record for record in records if masks[record] & bit])


def _taken(waiting: deque[str], count: int) -> tuple[str, ...]:
    return tuple(waiting.popleft() for _ in range(min(count, len(waiting))))


def _ends(records: Sequence[str], masks: Mapping[str, int], scopes: int) -> dict[int, str]:
    """For each narrow scope its last record, of three different ones at most: they are requested whole."""
    last: dict[int, str] = {}
    for record in reversed(records):
        mask = masks.get(record, 0)
        last |= {scope: record for scope in range(scopes) if scope not in last and mask >> scope & 1}
        if len(last) == scopes:
            break
    chosen = [record for record, _ in Counter(last.values()).most_common(JSON_RECORDS)]
    return {scope: record for scope, record in last.items() if record in chosen}
