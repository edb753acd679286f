"""What to ask REDCap for next: which records, how many of them, and in which answers. Pure.

Not here: sending the requests (fetcher.py), verifying the answers (chunk_verification.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.extract.chunks import JSON_RECORDS, ChunkSize, FetchPlan, Part
from pipelines.warehouse.staging.answers import Format


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """A chunk to ask for: its records, in one answer or in one for each narrow scope."""

    records: tuple[str, ...] = field(repr=False)
    number: int
    parts: tuple[Part, ...]
    shares: tuple[tuple[str, ...], ...] = field(repr=False)
    """For each part, the records to request in it."""

    @property
    def narrow(self) -> bool:
        """Whether it is asked for scope by scope."""
        return self.parts[0].scope is not None


class RequestQueue:
    """The records still to ask for, and how many of them make a chunk.

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
    ) -> None:
        """`scope_masks` has a bit for each narrow scope in which a record has rows; without any it is asked for whole.

        `prefix` begins the names of the answers' files in the `staging` folder; `size` is what the previous load
        learned.
        """
        self._plan = plan
        self._masks = scope_masks or {}
        self._staging = staging
        self._prefix = prefix
        whole = size or ChunkSize()
        # Keyed by whether the request is narrow: answers of the two kinds differ in size.
        self._sizes = {False: whole, True: ChunkSize(plan.alike(whole.records))}
        self._narrow = deque(record for record in records if self._masks.get(record))
        self._whole = deque(record for record in records if not self._masks.get(record))
        self._split: deque[tuple[tuple[str, ...], bool]] = deque()
        """Chunks that were asked for before, and whether they are narrow."""
        self._made = 0
        self.scopes: Sequence[int | None] = range(len(plan.narrow)) if any(self._masks.values()) else (None,)
        """The scopes of all answers; an answer to a request for everything is split to be read beside the others."""

    def __bool__(self) -> bool:
        """Whether any record is left to ask for."""
        return bool(self._narrow or self._whole or self._split)

    def next(self, *, busy: bool) -> ChunkRequest | None:
        """What to ask for next; None if nothing is left, or only a remainder that is worth filling up first.

        While requests are under way (`busy`), a remainder waits: their answers will return records to the queue that
        can be asked for together with it.
        """
        if self._split:
            records, narrow = self._split.popleft()
            return self._request(records, narrow=narrow)
        if self._narrow:
            return self._request(self._take(self._narrow, narrow=True), narrow=True)
        few = self._sizes[False].records if self._plan.narrow else JSON_RECORDS
        if not self._whole or (busy and len(self._whole) <= few):
            return None
        return self._request(self._take(self._whole, narrow=False), narrow=False)

    # -- the results of requests ------------------------------------------------------------------------------

    def learn(self, request: ChunkRequest, seconds: float, size: int) -> None:
        """The request was answered in this many seconds and bytes."""
        self._sizes[request.narrow] = self._sizes[request.narrow].after(len(request.records), seconds, size)

    def ask_whole(self, records: Sequence[str]) -> None:
        """Narrow answers left these records in doubt."""
        self._whole.extend(records)

    def ask_first(self, records: Sequence[str]) -> None:
        """The end of an answer left these records in doubt: they are requested again with the next ones."""
        self._whole.extendleft(records)

    def ask_apart(self, records: tuple[str, ...]) -> None:
        """An answer lacked these records; a request for them alone may return them."""
        self._split.append((records, False))

    def ask_less(self, request: ChunkRequest, records: tuple[str, ...] | None = None) -> bool:
        """The request was too large: ask for its records, or for these, in halves; False if there is only one."""
        records = request.records if records is None else records
        self._sizes[request.narrow] = self._sizes[request.narrow].halved()
        half = len(records) // 2
        if half:
            self._split.extend(((records[:half], request.narrow), (records[half:], request.narrow)))
        return bool(half)

    def abandon_narrow(self, request: ChunkRequest) -> None:
        """The server does not answer narrow requests as expected: request every record whole from now on."""
        self._whole.extend((*request.records, *self._narrow))
        self._narrow.clear()

    # -- making a request -------------------------------------------------------------------------------------

    def _take(self, waiting: deque[str], *, narrow: bool) -> tuple[str, ...]:
        return tuple(waiting.popleft() for _ in range(min(self._sizes[narrow].records, len(waiting))))

    def _request(self, records: tuple[str, ...], *, narrow: bool) -> ChunkRequest:
        self._made += 1
        name = f"{self._prefix}-{self._made:05d}"
        few = len(records) <= JSON_RECORDS
        if few or not narrow:
            form: Format = "json" if few else "csv"
            return ChunkRequest(records, self._made, (Part(self._staging / f"{name}.{form}", form),), (records,))
        shares = {at: self._in_scope(at, records) for at in range(len(self._plan.narrow))}
        asked = [at for at, share in shares.items() if share]
        parts = tuple(Part(self._staging / f"{name}-{at}.csv", "csv", at) for at in asked)
        return ChunkRequest(records, self._made, parts, tuple(shares[at] for at in asked))

    def _in_scope(self, scope: int, records: Sequence[str]) -> tuple[str, ...]:
        bit, masks = 1 << scope, self._masks
        return tuple([record for record in records if masks[record] & bit])
