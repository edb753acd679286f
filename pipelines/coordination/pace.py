"""How many requests a minute, and how many at once, a REDCap server receives from all machines together.

It is a SharedLimit of redcap_source.http.rate_limit, which says what the numbers mean. While PostgreSQL does not
answer, requests wait for it, and fail when the patience ends; none is sent unpaced.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.coordination.connection import Session, SessionLost
from pipelines.coordination.locks import SLOT
from pipelines.coordination.sql import statements
from pipelines.errors import WarehouseError

# The schedule is written for each request, and need not survive a crash of PostgreSQL: starting again takes longer than
# what of it would be lost. So no request waits for the disk.
PACE_OPTIONS = "-c synchronous_commit=off"
# As in a folder: a stored schedule further ahead than this is not a queue.
_LONGEST_QUEUE = 600.0
_POLL_SECONDS = 0.05
# A slot's lock is named by the server's number times this and the slot's own number.
_MOST_SLOTS = 1_000


class ServerLimit:
    """The limit of one REDCap server, for all threads of this process; there is one object for a server and session."""

    def __init__(self, session: Session, url: str) -> None:
        """`session` holds the slots' locks; it may serve several servers."""
        self._session = session
        self._url = url
        self._number: int | None = None
        # A session that has a lock gets it again, so the threads' slots are told apart here.
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def reserve(self, interval: float, burst: int) -> float:
        """Schedule a request, and return the seconds that it waits; PostgreSQL's clock is the only clock."""
        values = {"id": self._server(), "interval": interval, "burst": burst, "longest": _LONGEST_QUEUE}
        return float(self._session.run(statements("pace")["reserve"], values)[0][0])

    @contextmanager
    def slot(self, concurrency: int) -> Iterator[None]:
        """Wait for one of the slots, and hold it until the block is left."""
        first = self._server() * _MOST_SLOTS
        slot = self._taken_of(range(first, first + min(concurrency, _MOST_SLOTS)))
        try:
            yield
        finally:
            # If the process or the machine ends, PostgreSQL ends the session, and the lock with it.
            self._free(slot)

    def _taken_of(self, slots: range) -> int:
        while True:
            with self._lock:
                for slot in slots:
                    if slot not in self._taken and self._try(slot):
                        self._taken.add(slot)
                        return slot
            # Not all at the same moment.
            time.sleep(_POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311

    def _try(self, slot: int) -> bool:
        return bool(self._session.run(statements("locks")["try"], {"kind": SLOT, "id": slot})[0][0])

    def _free(self, slot: int) -> None:
        with self._lock:
            try:
                self._session.once(statements("locks")["free"], {"kind": SLOT, "id": slot}, reopen=False)
            except (SessionLost, WarehouseError):
                # The lock ended with the session.
                pass
            finally:
                self._taken.discard(slot)

    def _server(self) -> int:
        if self._number is None:
            sql, values = statements("pace"), {"url": self._url}
            found = self._session.run(sql["server_id"], values)
            if not found:
                self._session.run(sql["add_server"], values)
                found = self._session.run(sql["server_id"], values)
            self._number = int(found[0][0])
        return self._number
