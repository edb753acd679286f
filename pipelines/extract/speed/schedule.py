"""How long a set of requests takes, several at a time, and how large their answers should be. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pipelines.extract.speed.server_speed import ServerSpeed

T = TypeVar("T")

# The longest that an answer should take: overhead is negligible, a failure costs little, and no proxy times out.
AIM_SECONDS = 10.0
# The most cells in an answer; servers are known to fail at about a million.
ANSWER_CELLS = 1_000_000
# The most cells in the first answers of a load: as many as 50 records of a large trial have.
FIRST_CELLS = 500_000

# What a request costs here, whatever the server takes: sending it, verifying the answer, reading it into the mirror;
# and what a blank cell costs, as most of them are. In seconds of one processor, measured with 500 changed records of
# 50,000 that were requested whole and scope by scope.
OWN_SECONDS_A_REQUEST = 0.01
OWN_SECONDS_A_CELL = 8e-8
# What a cell costs more as JSON than as CSV.
JSON_SECONDS_A_CELL = 7e-7

# With this many requests the last ones to arrive hardly matter.
_MANY = 50
# Of ways to ask that hardly differ in time, the one with the fewest requests is taken.
_HARDLY = 1.05


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a server answers: how fast, how many requests at a time, and how many a minute."""

    speed: ServerSpeed = field(default_factory=ServerSpeed)
    concurrency: int = 2
    interval: float = 0.0
    """The least seconds from one request to the next, on average; 0 for no limit."""

    def wall(self, answers: Iterable[float]) -> float:
        """Seconds until the last of these answers (in cells) has arrived, the longest asked for first."""
        lanes = [0.0] * self.concurrency
        count = 0
        for cells in sorted(answers, reverse=True):
            heapq.heapreplace(lanes, lanes[0] + self.speed.seconds(cells))
            count += 1
        return max(*lanes, count * self.interval)

    def cost(self, answers: Sequence[float]) -> float:
        """Seconds for these answers (in cells), with the time of this computer."""
        own = len(answers) * OWN_SECONDS_A_REQUEST + sum(answers) * OWN_SECONDS_A_CELL
        return self.wall(answers) + own

    @property
    def most_cells(self) -> float:
        """The most cells in an answer that takes no longer than it should."""
        left = max(AIM_SECONDS - self.speed.request, AIM_SECONDS / 2)
        return ANSWER_CELLS if self.speed.cell * ANSWER_CELLS <= left else left / self.speed.cell

    @property
    def json_cells(self) -> float:
        """Up to how many cells JSON, which needs no second request for the last record, costs less than CSV."""
        spared = self.speed.request / self.concurrency + OWN_SECONDS_A_REQUEST
        return min(spared / JSON_SECONDS_A_CELL, 100_000)

    def piece(self, answers: Sequence[float], most: float, beside: Sequence[float] = ()) -> float:
        """The size, at most `most` cells, into whose pieces these answers (in cells) are best cut.

        The answers `beside` them come as they are.
        """
        total = sum(answers)
        if total > most * _MANY:
            return most
        # From one piece to four for each request at a time: with more, the last ones to arrive hardly differ.
        sizes = {total / (self.concurrency * parts) for parts in (1, 2, 4)}
        cuts = {size: pieces(answers, size) for size in (most, *sizes) if 0 < size <= most}
        return fewest([(len(cut), self.cost([*cut, *beside]), size) for size, cut in cuts.items()])


def pieces(answers: Iterable[float], size: float) -> list[float]:
    """The answers (in cells), those above this size cut into equal pieces."""
    found: list[float] = []
    for cells in answers:
        count = max(1, -int(-cells // size))
        found += [cells / count] * count
    return found


def fewest(ways: Sequence[tuple[int, float, T]], hardly: float = _HARDLY) -> T:
    """Of ways to ask, each with its number of requests and its cost, a nearly cheapest one with few requests.

    Those count as nearly cheapest that cost no more than `hardly` times the cheapest.
    """
    enough = min(cost for _, cost, _ in ways) * hardly
    return min((way for way in ways if way[1] <= enough), key=lambda way: way[:2])[2]
