"""How fast one server may be asked: a rate and a number of requests at once, kept by all who share a pace.

REDCap bans an address that asks too often (600 a minute by default) until an administrator lifts it, and the whole
site behind that address goes with it. So the pace is the server's, not the project's: shared by threads through the
object, and by processes through small files in a private folder. What to do after a failure is retry.py's business.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

# A stored schedule further ahead than this is not a queue but a clock that was set back.
_LONGEST_QUEUE = 600.0
_LOOK_AGAIN = 0.05


def reserve(next_free: float, now: float, interval: float, burst: int) -> tuple[float, float]:
    """The rule: seconds this request waits, and the schedule's new end.

    Requests are laid `interval` apart on the schedule; one may run ahead of it by `burst` intervals, so that an
    idle client's first few calls do not wait.
    """
    if next_free - now > _LONGEST_QUEUE:
        next_free = now
    scheduled = max(next_free, now)
    wait = max(0.0, scheduled - now - interval * burst)
    return wait, scheduled + interval


class RateLimiter:
    """At most `requests_per_minute`, and `concurrency` at a time; None for no limit.

    With a `folder` the pace holds across processes: all that give the same folder and name share it, and the wall
    clock is used because processes share no other. The folder is created for the owner only.
    """

    def __init__(
        self,
        requests_per_minute: float | None = 120,
        concurrency: int | None = 4,
        *,
        burst: int = 10,
        folder: Path | None = None,
        name: str = "redcap",
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`name` tells servers apart in the folder: give the server's URL."""
        if (requests_per_minute is not None and requests_per_minute <= 0) or (
            concurrency is not None and concurrency < 1
        ):
            raise ValueError("A pace needs a positive number of requests per minute and at least one at a time.")
        self.requests_per_minute = requests_per_minute
        self.concurrency = concurrency
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._next_free = 0.0
        self._schedule_lock = threading.Lock()
        self._slots = None if concurrency is None else threading.BoundedSemaphore(concurrency)
        self._path = None if folder is None else _private(folder) / _file_name(name)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a free slot and for the schedule; the slot is held until the block is left."""
        with ExitStack() as held:
            if self._slots is not None:
                held.enter_context(self._slots)
                if self._path is not None:
                    held.enter_context(self._slot_across_processes(self._path))
            wait = self._reserve()
            if wait > 0:
                self._sleep(wait)
            yield

    def _reserve(self) -> float:
        if self.requests_per_minute is None:
            return 0.0
        interval = 60.0 / self.requests_per_minute
        if self._path is None:
            with self._schedule_lock:
                wait, self._next_free = reserve(self._next_free, self._clock(), interval, self._burst)
                return wait
        schedule = self._path.with_suffix(".next")
        with FileLock(self._path.with_suffix(".lock"), mode=0o600, thread_local=False):
            wait, next_free = reserve(_read(schedule), self._clock(), interval, self._burst)
            schedule.write_text(repr(next_free), encoding="ascii")
        return wait

    @contextmanager
    def _slot_across_processes(self, path: Path) -> Iterator[None]:
        slots = [
            FileLock(path.with_suffix(f".slot{number}"), mode=0o600, thread_local=False)
            for number in range(self.concurrency or 0)
        ]
        slot = self._free_slot(slots)
        try:
            yield
        finally:
            # Leaving the process for any reason frees the slot too: the operating system drops its lock.
            slot.release()

    def _free_slot(self, slots: list[FileLock]) -> FileLock:
        while True:
            for slot in slots:
                try:
                    slot.acquire(blocking=False)
                except Timeout:
                    continue
                return slot
            self._sleep(_LOOK_AGAIN)


_default_limiters: dict[str, RateLimiter] = {}
_default_lock = threading.Lock()


def default_rate_limiter(server: str) -> RateLimiter:
    """The pace all clients of this process share for a server when none was given."""
    with _default_lock:
        return _default_limiters.setdefault(server, RateLimiter())


def unlimited_rate_limiter() -> RateLimiter:
    """No limit at all: for a simulated REDCap on this machine."""
    return RateLimiter(requests_per_minute=None, concurrency=None)


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _file_name(name: str) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"pace-{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _read(schedule: Path) -> float:
    try:
        return float(schedule.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0
