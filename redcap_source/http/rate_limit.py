"""How many requests a minute, and how many at once, one server receives from all clients that share a RateLimiter.

REDCap bans an address that sends too many requests (600 a minute by default) until an administrator lifts the ban,
and with it every user behind that address. So the limit is the server's, not the project's: shared by threads through
the object, and by processes through a SharedLimit, such as small files in a private folder.

Not here: what happens after a failure (retry.py).
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

# A stored schedule further ahead than this is not a queue: the clock was set back.
_LONGEST_QUEUE = 600.0
_POLL_SECONDS = 0.05


def reserve(next_free: float, now: float, interval: float, burst: int) -> tuple[float, float]:
    """The seconds that this request waits, and the new end of the schedule.

    Requests are scheduled `interval` seconds apart; one may run ahead of its schedule by `burst` intervals, so that the
    first calls of an idle client do not wait.
    """
    if next_free - now > _LONGEST_QUEUE:
        next_free = now
    scheduled = max(next_free, now)
    wait = max(0.0, scheduled - now - interval * burst)
    return wait, scheduled + interval


class SharedLimit(Protocol):
    """What all processes share that send requests to one server: its schedule, and how many requests are under way."""

    def slot(self, concurrency: int) -> AbstractContextManager[object]:
        """Wait until fewer than `concurrency` slots are held, and hold one until the block or the process ends."""

    def reserve(self, interval: float, burst: int) -> float:
        """Schedule a request as `reserve` does, by one clock for all, and return the seconds that it waits."""


class RateLimiter:
    """At most `requests_per_minute`, and `concurrency` at a time; None for no limit.

    With a `folder` the limit holds across processes: all that use the same folder and name share it. They share the
    wall clock, as processes have no other clock in common. The folder is created for its owner only. Across machines
    it holds with a `shared` limit that they have in common; there is none in this library.
    """

    def __init__(
        self,
        requests_per_minute: float | None = 120,
        concurrency: int | None = 4,
        *,
        burst: int = 10,
        folder: Path | None = None,
        name: str = "redcap",
        shared: SharedLimit | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`name` distinguishes servers in the folder: use the server's URL. Give a `folder` or `shared`, not both."""
        if (requests_per_minute is not None and requests_per_minute <= 0) or (
            concurrency is not None and concurrency < 1
        ):
            raise ValueError("A rate limit needs a positive number of requests per minute and at least one at a time.")
        if folder is not None and shared is not None:
            raise ValueError("A rate limit is shared in a folder or in another place, not in both.")
        self.requests_per_minute = requests_per_minute
        self.concurrency = concurrency
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._next_free = 0.0
        self._schedule_lock = threading.Lock()
        self._slots = None if concurrency is None else threading.BoundedSemaphore(concurrency)
        self._shared = shared if folder is None else FolderLimit(folder, name, clock=clock, sleep=sleep)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a free slot and for the schedule; the slot is held until the block is left."""
        with ExitStack() as held:
            if self.concurrency is not None and self._slots is not None:
                held.enter_context(self._slots)
                if self._shared is not None:
                    held.enter_context(self._shared.slot(self.concurrency))
            wait = self._reserve()
            if wait > 0:
                self._sleep(wait)
            yield

    def _reserve(self) -> float:
        if self.requests_per_minute is None:
            return 0.0
        interval = 60.0 / self.requests_per_minute
        if self._shared is not None:
            return self._shared.reserve(interval, self._burst)
        with self._schedule_lock:
            wait, self._next_free = reserve(self._next_free, self._clock(), interval, self._burst)
            return wait


class FolderLimit:
    """A limit that the processes of one machine share through small files in a private folder."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`name` distinguishes servers in the folder: use the server's URL. The folder is made for its owner only."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / _file_name(name)
        self._clock = clock
        self._sleep = sleep

    def reserve(self, interval: float, burst: int) -> float:
        """Schedule a request, and return the seconds that it waits."""
        schedule = self._path.with_suffix(".next")
        with FileLock(self._path.with_suffix(".lock"), mode=0o600, thread_local=False):
            wait, next_free = reserve(_read(schedule), self._clock(), interval, burst)
            schedule.write_text(repr(next_free), encoding="ascii")
        return wait

    @contextmanager
    def slot(self, concurrency: int) -> Iterator[None]:
        """Wait for one of the slots, and hold it until the block is left."""
        slots = [
            FileLock(self._path.with_suffix(f".slot{number}"), mode=0o600, thread_local=False)
            for number in range(concurrency)
        ]
        slot = self._free_slot(slots)
        try:
            yield
        finally:
            # If the process ends for any reason, the operating system releases the lock.
            slot.release()

    def _free_slot(self, slots: list[FileLock]) -> FileLock:
        while True:
            for slot in slots:
                try:
                    slot.acquire(blocking=False)
                except Timeout:
                    continue
                return slot
            self._sleep(_POLL_SECONDS)


_default_limiters: dict[str, RateLimiter] = {}
_default_lock = threading.Lock()


def default_rate_limiter(server: str) -> RateLimiter:
    """The limit that all clients of this process share for a server when none is given."""
    with _default_lock:
        return _default_limiters.setdefault(server, RateLimiter())


def unlimited_rate_limiter() -> RateLimiter:
    """No limit at all: for a server on this machine, such as the simulator."""
    return RateLimiter(requests_per_minute=None, concurrency=None)


def _file_name(name: str) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"pace-{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _read(schedule: Path) -> float:
    try:
        return float(schedule.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0
