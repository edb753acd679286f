"""What machines that load side by side agree on, over one PostgreSQL."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import AbstractContextManager, closing
from datetime import datetime
from types import TracebackType
from typing import Self

from pipelines.coordination.address import Address
from pipelines.coordination.checks import Checks, check
from pipelines.coordination.connection import Row, Session, Values
from pipelines.coordination.lake import LakeRecords
from pipelines.coordination.location import Locations
from pipelines.coordination.locks import PROJECT, Held, HeldProject, Holder, hold_project, hold_publisher
from pipelines.coordination.marks import Marks
from pipelines.coordination.pace import PACE_OPTIONS, ServerLimit
from pipelines.coordination.rounds import round_of
from pipelines.coordination.runs import LostRun, RunLock, forget_run, lost_runs
from pipelines.coordination.schema import ensure_schema
from pipelines.coordination.sql import statements
from pipelines.coordination.versions import Versions


class Coordination(Versions, Marks, Locations, LakeRecords):
    """Working versions, marks, locks, the pace, the hash key, the location and the lake; for any number of threads.

    It connects when it is first asked something. While PostgreSQL does not answer, what can be asked again is, for
    `patience` seconds; then CoordinationUnavailable. The schema is made, or brought to this version's format, at the
    first question.
    """

    def __init__(self, url: str, *, loader: str | None = None, patience: float = 30.0) -> None:
        """`loader` names this process to others: host and process by default. ConfigError if `url` cannot be one."""
        self.loader = loader or f"{socket.gethostname()}:{os.getpid()}"
        self._address = Address(url)
        self._patience = patience
        self._session = Session(self._address, patience)
        # Slots are locks of a session, which must not end when another statement's does.
        self._pace_session = Session(self._address, patience, options=PACE_OPTIONS)
        self._limits: dict[str, ServerLimit] = {}
        self._ready = False
        self._lock = threading.Lock()

    def close(self) -> None:
        """End this object's own sessions; locks that were handed out stay until they are released."""
        self._session.close()
        self._pace_session.close()

    def hold_project(self, project: str, run_id: str) -> HeldProject:
        """Hold the project for a run at once; ProjectHeld, which names the holder, if another does.

        Raises MovedAway if the warehouse is not, or not yet, in this store.
        """
        held = hold_project(self._own_session(), self._project_id(project), project, run_id, self.loader)
        try:
            # Only now: whoever moves the warehouse says so first, and then holds each project.
            self.check_location()
        except BaseException:
            held.release()
            raise
        return held

    def held_projects(self) -> dict[str, Holder]:
        """The projects that are held now, and by whom."""
        rows = self._run(statements("locks")["holders"], {"kind": PROJECT})
        return {row[0]: Holder(*row) for row in rows}

    def lock_run(self, run_id: str) -> RunLock:
        """Say that a run is under way in this process, until the lock is released or the process ends."""
        self._prepare()
        return RunLock(self._own_session(), run_id, self.loader)

    def lost_runs(self) -> dict[str, LostRun]:
        """Runs that were under way and whose process has died, or cannot reach PostgreSQL at the moment."""
        self._prepare()
        return lost_runs(self._session)

    def forget_run(self, run_id: str) -> None:
        """Remove what is known of a lost run."""
        self._prepare()
        forget_run(self._session, run_id)

    def round(self) -> AbstractContextManager[datetime]:
        """Take part in what several machines load at the same time; since when the first of them does."""
        self._prepare()
        return round_of(self._own_session())

    def publisher(self) -> Held:
        """Wait until nobody else publishes; for a `with` block, whose `check()` tells whether it is still so."""
        self._prepare()
        return hold_publisher(self._own_session())

    def server_limit(self, url: str) -> ServerLimit:
        """The limit that all machines share for a REDCap server, for RateLimiter's `shared`."""
        self._prepare()
        with self._lock:
            return self._limits.setdefault(url, ServerLimit(self._pace_session, url))

    def checks(self) -> Checks:
        """What can be said about this PostgreSQL before loads rely on it; makes nothing."""
        with closing(self._own_session()) as one, closing(self._own_session()) as other:
            return check(one, other)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, statement: str, values: Values | None = None) -> list[Row]:
        self._prepare()
        return self._session.run(statement, values)

    def _prepare(self) -> None:
        with self._lock:
            if not self._ready:
                ensure_schema(self._session)
                self._ready = True

    def _own_session(self) -> Session:
        return Session(self._address, self._patience)
