"""Locks of runs: a run's process holds one from its beginning to its end, so that others can tell when it has died.

The lock gives no right to anything, so it is taken again after its session was lost. Not here: the right to load a
project, which is lost for good with its session (locks.py).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from pipelines.coordination.connection import Session, SessionLost
from pipelines.coordination.locks import RUN
from pipelines.coordination.sql import statements
from pipelines.errors import WarehouseError

# A quarter of the time after which a lock that is not held is believed, so that a restart of PostgreSQL goes unnoticed.
SECONDS_BETWEEN_CHECKS = 5.0


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run whose process has not said that it ended, and holds no lock: it died, or cannot reach PostgreSQL."""

    run: str
    loader: str
    """Host and process."""
    since: datetime
    """When the run began."""


class RunLock:
    """Held until `release`, or until this process ends; a thread takes it again after its session was lost."""

    def __init__(self, session: Session, run_id: str, loader: str, *, seconds: float = SECONDS_BETWEEN_CHECKS) -> None:
        """Take the lock; CoordinationUnavailable if PostgreSQL does not answer. `session` is for the lock alone."""
        self.run_id = run_id
        self._session = session
        self._values = {"kind": RUN, "run": run_id, "loader": loader}
        self._seconds = seconds
        self._ended = threading.Event()
        self._session.patiently(self._take)
        self._thread = threading.Thread(target=self._keep, name=f"lock of run {run_id}", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Say that the run has ended; nothing is raised if PostgreSQL does not answer."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        try:
            self._session.once(statements("runs")["end"], self._values)
        except (SessionLost, WarehouseError):
            # The row stays. Whoever finds it sees that the run has ended, and removes it.
            pass
        finally:
            self._session.close()

    def _take(self) -> None:
        # A session that PostgreSQL has not given up yet may still hold it; that is as good.
        self._session.once(statements("runs")["begin"], self._values)

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds):
            try:
                if not self._session.once(statements("runs")["is_held"], self._values)[0][0]:
                    self._take()
            except (SessionLost, WarehouseError):
                # PostgreSQL does not answer, or its administrator changed something: it is asked again.
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lost_runs(session: Session) -> dict[str, LostRun]:
    """The runs that nobody executes any more, as far as PostgreSQL knows."""
    rows = session.run(statements("runs")["lost"], {"kind": RUN})
    return {row[0]: LostRun(*row) for row in rows}


def forget_run(session: Session, run_id: str) -> None:
    """Remove what is known of a lost run; one that is under way again stays."""
    session.run(statements("runs")["forget"], {"kind": RUN, "run": run_id})
