"""Rounds: the commands that load all projects at the same time, on whatever machines, and share the work.

A round begins with its first command and ends with its last. Nothing is stored: each command has one lock together with
the others, and PostgreSQL knows since when each of their sessions exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from pipelines.coordination.connection import Session
from pipelines.coordination.locks import ROUND
from pipelines.coordination.sql import statements


@contextmanager
def round_of(session: Session) -> Iterator[datetime]:
    """Take part in the round that is under way, or begin one; since when it is, by PostgreSQL's clock.

    `session` is for the lock alone. If it is lost, this command goes on by what it knows, and only those that begin
    later do not see it.
    """
    sql, kind = statements("rounds"), {"kind": ROUND}

    def join() -> datetime:
        session.once(sql["join"], kind)
        began: datetime = session.once(sql["began"], kind, reopen=False)[0][0]
        return began

    try:
        yield session.patiently(join)
    finally:
        session.close()
