"""How many records the next request names, learned from the answers of this load. Pure.

Not here: which records these are (extract/request_queue.py), how long requests take together (schedule.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from pipelines.extract.chunks import AIM_BYTES, CHUNK_BYTES, FIRST_RECORDS, JSON_RECORDS, ChunkSize, FetchPlan
from pipelines.extract.speed.schedule import FIRST_CELLS, Capacity
from pipelines.extract.speed.server_speed import AnswerTime, ServerSpeed, fitted

# The most cells of a chunk, as long as it is not known how many bytes they take: five each in sparse studies. Every
# further chunk costs a request for each scope.
FIRST_CHUNK_CELLS = 8_000_000
# An answer of fewer cells does not tell how many bytes a cell takes, nor one of fewer records how many cells a record.
_TELLING_CELLS = 1_000
_TELLING_RECORDS = 10
# Growth is limited, so that one fast answer does not lead to a request that overloads the server.
_GROWTH = 4
# How many answers are remembered.
_REMEMBERED = 60


class AnswerSizes:
    """The sizes of requests and chunks, which follow what the server manages."""

    def __init__(self, plan: FetchPlan, size: ChunkSize | None = None) -> None:
        """`size` is what the previous load learned of requests for whole records."""
        self._plan = plan
        self._cells = {scope: plan.cells_a_record(scope) for scope in (None, *range(len(plan.narrow)))}
        self._whole = size or ChunkSize(self._first_records())
        self._first = max(1.0, self._whole.records * self._cells[None]) if size else FIRST_CELLS
        self._answered = 0.0
        self._failed = float("inf")
        self._bytes_a_cell = 0.0
        self._times: deque[AnswerTime] = deque(maxlen=_REMEMBERED)

    def _first_records(self) -> int:
        cells = self._cells[None]
        most = min(FIRST_CELLS, self._plan.capacity.most_cells)
        return max(1, int(most / cells)) if cells else FIRST_RECORDS

    # -- what the next request should be ----------------------------------------------------------------------

    @property
    def few(self) -> int:
        """Up to how many whole records are better requested as JSON, which needs no second request for the last one."""
        cells = self._cells[None]
        return max(JSON_RECORDS, int(self._plan.capacity.json_cells / cells)) if cells else JSON_RECORDS

    def whole_piece(self, records: int) -> float:
        """The cells into which the answers with all cells of these records are best cut."""
        return self.capacity.piece([self.cells(None, records)], self.capacity.most_cells)

    def whole_records(self, waiting: int, piece: float) -> int:
        """How many of the waiting records the next request for whole records names."""
        parts = max(-(-waiting // self._whole.records), -int(-self.cells(None, waiting) // piece), 1)
        return -(-waiting // parts)

    def chunk_records(self, waiting: int) -> int:
        """How many of the waiting records make the next chunk that is requested scope by scope."""
        cells = sum(self._cells[scope] for scope in range(len(self._plan.narrow))) * waiting
        most = CHUNK_BYTES / self._bytes_a_cell if self._bytes_a_cell else FIRST_CHUNK_CELLS
        return _share(waiting, cells, most)

    def piece(self, shares: Sequence[tuple[int, int]], beside: Sequence[float] = ()) -> float:
        """The cells into which a chunk's answers are best cut; `shares` are scopes and how many records are in each.

        Answers `beside` them, in cells, come as they are.
        """
        cells = [self.cells(scope, records) for scope, records in shares]
        return self.capacity.piece(cells, self._most_in_time, beside)

    def part_records(self, scope: int, waiting: int, piece: float) -> int:
        """How many of a chunk's records that wait in a narrow scope the next request names."""
        return _share(waiting, self.cells(scope, waiting), min(piece, self._most_cells))

    def cells(self, scope: int | None, records: int) -> float:
        """About how many cells so many records have."""
        return self._cells[scope] * records

    @property
    def _most_cells(self) -> float:
        """The most cells of the next answer, which grow with what was answered."""
        return max(1.0, min(max(self._first, _GROWTH * self._answered), self._most_in_time))

    @property
    def _most_in_time(self) -> float:
        fits = AIM_BYTES / self._bytes_a_cell if self._bytes_a_cell else float("inf")
        return max(1.0, min(fits, self._failed, self.capacity.most_cells))

    # -- what answers show ------------------------------------------------------------------------------------

    def answered(self, scope: int | None, records: int, seconds: float, size: int) -> None:
        """A CSV with so many records took this many seconds and bytes."""
        if scope is None:
            self._whole = self._whole.after(records, seconds, size)
            return
        cells = self.cells(scope, records)
        self._answered = max(self._answered, cells)
        if cells >= self._failed / 2:
            self._failed *= _GROWTH
        if cells >= _TELLING_CELLS:
            self._bytes_a_cell = max(self._bytes_a_cell, size / cells)

    def failed(self, scope: int | None, records: int) -> None:
        """A request for so many records failed, perhaps because it was too large."""
        if scope is None:
            self._whole = self._whole.halved()
        else:
            self._failed = max(1.0, self.cells(scope, records) / 2)

    def measured(self, scope: int | None, records: int, answer: AnswerTime) -> None:
        """A verified answer with so many records had these cells."""
        if records >= _TELLING_RECORDS:
            self._cells[scope] = answer.cells / records
        self._times.append(answer)
        self.__dict__.pop("capacity", None)

    @cached_property
    def capacity(self) -> Capacity:
        """What the server answers, as far as this load has seen."""
        return replace(self._plan.capacity, speed=self.speed)

    @property
    def speed(self) -> ServerSpeed:
        """How fast the server was in this load; at its beginning, how fast it was in earlier ones."""
        known = self._plan.capacity.speed
        return fitted(tuple(self._times), known) if self._times else known


def _share(waiting: int, cells: float, most: float) -> int:
    """How many of the waiting records make one of equal parts, each with at most so many cells."""
    parts = max(1, -int(-cells // most)) if most > 0 else 1
    return -(-waiting // parts)
