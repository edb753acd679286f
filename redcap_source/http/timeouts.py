"""How long an answer may take: each wait, the whole, and how much must arrive meanwhile.

The rule is here; connection.py applies it after every read from the network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

# REDCap may pause to compute in the middle of an answer, for as long as the read timeout allows; of such a pause only
# this many seconds count, so that an answer in bursts is not mistaken for a slow one.
_LONGEST_PAUSE = 30.0
# Status line and headers, and whatever precedes them, are a few hundred bytes.
_MOST_HEAD_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait: for a connection, for the next bytes, for a piece to be sent, and for an answer in all.

    Once it has begun, an answer is cancelled if fewer than `least_bytes` of it arrive within `window` seconds. REDCap
    may take minutes before it begins: that wait is `read`.
    """

    connect: float = 10
    read: float = 300
    write: float = 60
    total: float = 3600
    window: float = 60
    least_bytes: int = 4096


class Lateness(Enum):
    """Why an answer is cancelled."""

    TOTAL = "it took longer than an answer may take in all"
    SLOW = "it arrived too slowly"
    HEAD = "its headers do not end"


class Watch:
    """Checks the speed of one answer, after every read."""

    def __init__(self, timeouts: Timeouts, clock: Callable[[], float]) -> None:
        """The time for the whole answer begins now."""
        self._timeouts = timeouts
        self._clock = clock
        self.started = clock()
        self._last: float | None = None
        self._spent = 0.0
        self._size = 0
        self._head: int | None = 0
        self.late: Lateness | None = None
        """Why the answer was cancelled; None while it is in time."""

    def headers_arrived(self) -> None:
        """The headers have arrived."""
        self._head = None

    def is_in_time(self, size: int) -> bool:
        """Count this many bytes as read now; False if the answer must be cancelled."""
        now = self._clock()
        if self._last is not None:
            self._spent += min(now - self._last, _LONGEST_PAUSE)
        self._last = now
        self._size += size
        self.late = self._lateness(now, size)
        return self.late is None

    def _lateness(self, now: float, size: int) -> Lateness | None:
        if now - self.started > self._timeouts.total:
            return Lateness.TOTAL
        if self._head is not None:
            self._head += size
            if self._head > _MOST_HEAD_BYTES:
                return Lateness.HEAD
        if self._spent >= self._timeouts.window:
            if self._size < self._timeouts.least_bytes:
                return Lateness.SLOW
            self._spent, self._size = 0.0, 0
        return None
