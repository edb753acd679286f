"""Locks that end with the process or the machine that holds them: one for each project, and the publisher's.

Each is held by a session that nothing else uses, and that is never opened again: a lock that was lost is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from pipelines.coordination.connection import LockNotFree, Session, SessionLost
from pipelines.coordination.sql import statements
from pipelines.errors import HoldLost, ProjectHeld, WarehouseError

# The first number of every advisory lock, which keeps kinds of locks apart; the second is the id of a row. Any program
# that uses the same database could use the same numbers, so these are unlikely ones.
SCHEMA = 1_919_247_361
PUBLISHER = SCHEMA + 1
PROJECT = SCHEMA + 2
SLOT = SCHEMA + 3
RUN = SCHEMA + 4
ROUND = SCHEMA + 5


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a project, for which run and since when."""

    project: str
    loader: str
    """Host and process."""
    run: str
    since: datetime


class Held:
    """A lock that this process holds until `release`, or until PostgreSQL ends its session."""

    def __init__(self, session: Session, kind: int, number: int, *, what: str) -> None:
        """`session` already has the lock; `what` names it in messages."""
        self.what = what
        self._session = session
        self._lock = {"kind": kind, "id": number}
        self._released = False

    def check(self) -> None:
        """HoldLost unless this process still holds the lock; it is never taken again."""
        held = False
        if not self._released:
            try:
                held = bool(self._session.once(statements("locks")["is_held"], self._lock, reopen=False)[0][0])
            except SessionLost:
                held = False
        if not held:
            raise HoldLost(what=self.what)

    def release(self) -> None:
        """Free the lock; nothing is raised if it was lost or released before."""
        if self._released:
            return
        self._released = True
        try:
            self._before_release()
            self._session.once(statements("locks")["free"], self._lock, reopen=False)
        except (SessionLost, WarehouseError):
            pass
        finally:
            # PostgreSQL frees what the session holds, whatever came of the statements.
            self._session.close()

    def _before_release(self) -> None:
        """What is written while the lock is still held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class HeldProject(Held):
    """A project that this process alone may load."""

    def __init__(self, session: Session, number: int, project: str, run_id: str) -> None:
        super().__init__(session, PROJECT, number, what=project)
        self.project = project
        self.run_id = run_id

    def _before_release(self) -> None:
        self._session.once(statements("locks")["clear_holder"], {"id": self._lock["id"]}, reopen=False)


def hold_project(session: Session, number: int, project: str, run_id: str, loader: str) -> HeldProject:
    """Hold the project at once, or raise ProjectHeld; `session` is for the lock alone."""
    sql = statements("locks")

    def take() -> Holder | None:
        if not session.once(sql["try"], {"kind": PROJECT, "id": number})[0][0]:
            return Holder(*session.once(sql["holder"], {"id": number})[0])
        session.once(sql["set_holder"], {"id": number, "loader": loader, "run": run_id}, reopen=False)
        return None

    try:
        other = session.patiently(take)
    except BaseException:
        session.close()
        raise
    if other is None:
        return HeldProject(session, number, project, run_id)
    session.close()
    raise ProjectHeld(project=project, loader=other.loader, run=other.run, since=other.since)


def hold_publisher(session: Session) -> Held:
    """Wait until nobody else publishes; `session` is for the lock alone."""
    lock = {"kind": PUBLISHER, "id": 0}
    try:
        while True:
            try:
                session.run(statements("locks")["wait"], lock)
            except LockNotFree:
                continue
            return Held(session, PUBLISHER, 0, what="publishing")
    except BaseException:
        session.close()
        raise
