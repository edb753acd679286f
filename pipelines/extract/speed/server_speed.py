"""How many seconds a server takes for a request and for each cell of its answer, fitted to its answers. Pure.

Not here: keeping the figures between loads (speed_file.py), what follows from them (schedule.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

# Answers of the servers that were measured: 20 to 50 thousand cells a second.
USUAL_SECONDS_A_REQUEST = 0.3
USUAL_SECONDS_A_CELL = 30e-6

# Earlier figures stand for two answers of so many cells.
_EARLIER = (0, 100_000)
# What the usual figures weigh beside one answer of this server.
_WEIGHT_OF_USUAL = 0.05
# What the figures of earlier loads weigh.
_WEIGHT_OF_EARLIER = 0.5
# An answer of fewer cells says nothing about the time for one.
_TELLING_CELLS = 1_000
# No clock and no network is as regular as shorter times would say.
_SHORTEST = 0.001
# If an answer takes this much longer or shorter than the earlier figures say, it is another server, or another year.
_OUT_OF_DATE = 4.0


@dataclass(frozen=True, slots=True)
class AnswerTime:
    """The cells of one answer (its rows times its columns), and the seconds from sending the request to its end."""

    cells: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ServerSpeed:
    """The seconds that a server takes for any request, and the seconds for each cell of its answer."""

    request: float = USUAL_SECONDS_A_REQUEST
    cell: float = USUAL_SECONDS_A_CELL

    def seconds(self, cells: float) -> float:
        """How long an answer of so many cells takes."""
        return self.request + self.cell * cells

    def explains(self, answer: AnswerTime) -> bool:
        """Whether an answer took about as long as these figures say."""
        ratio = max(answer.seconds, _SHORTEST) / max(self.seconds(answer.cells), _SHORTEST)
        return 1 / _OUT_OF_DATE < ratio < _OUT_OF_DATE


def first_guess(small: float, answers: Iterable[AnswerTime]) -> ServerSpeed:
    """The speed of a server of which little is known yet.

    `small` is the mean time of requests with small answers. Every answer gives an upper bound for the time of a cell,
    because a row and a larger form cost something, too; the least of them counts.
    """
    told = [answer for answer in answers if answer.cells >= _TELLING_CELLS]
    if not told:
        return ServerSpeed(max(small, _SHORTEST))
    cell = min(max(0.0, answer.seconds - small) / answer.cells for answer in told)
    least = min(told, key=lambda answer: answer.cells)
    return ServerSpeed(max(small, least.seconds - cell * least.cells, _SHORTEST), cell)


def fitted(answers: Sequence[AnswerTime], known: ServerSpeed | None) -> ServerSpeed:
    """The figures that are nearest to these answers, and to those that an earlier load found.

    Nearest by relative error: an answer that was held up by something else counts little, because it is a large one.
    """
    base, weight = (ServerSpeed(), _WEIGHT_OF_USUAL) if known is None else (known, _WEIGHT_OF_EARLIER)
    points = [(1.0, max(answer.seconds, _SHORTEST), answer) for answer in answers]
    for cells in _EARLIER:
        answer = AnswerTime(cells, base.seconds(cells))
        # Relative to what an answer of that size takes now, so that figures that were too low do not outweigh all.
        now = min(answers, key=partial(_distance, answer), default=answer)
        points.append((weight, max(answer.seconds, now.seconds, _SHORTEST), answer))
    ones = slopes = squares = left = right = 0.0
    for weight, seconds, answer in points:
        # The least squares of (request + cell × cells - seconds) / seconds.
        one, slope, target = 1 / seconds, answer.cells / seconds, answer.seconds / seconds
        ones += weight * one * one
        slopes += weight * one * slope
        squares += weight * slope * slope
        left += weight * one * target
        right += weight * slope * target
    spread = ones * squares - slopes * slopes
    request = (left * squares - right * slopes) / spread
    cell = (right * ones - left * slopes) / spread
    if cell < 0:
        # Large answers that were quicker than small ones say nothing about the time for a cell.
        return ServerSpeed(max(0.0, (left - base.cell * slopes) / ones), base.cell)
    if request < 0:
        return ServerSpeed(0.0, right / squares)
    return ServerSpeed(request, cell)


def _distance(one: AnswerTime, other: AnswerTime) -> float:
    return abs(one.cells - other.cells)
