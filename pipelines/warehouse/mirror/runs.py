"""The ledger of a project's runs and chunks: redcap.sync_runs and redcap.sync_chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from pipelines.warehouse.database.connection import Connection, transaction
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.sql import statements


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """One chunk in the ledger: what was requested, what was returned, and how it ended."""

    chunk: int
    asked: int
    returned: int
    rows: int
    bytes: int
    seconds: float
    attempts: int
    outcome: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class LastLoad:
    """How the project's last load ended, and when the last good one did (UTC)."""

    run_id: str
    outcome: str
    last_good: datetime | None


class Runs:
    """The runs of one project, loads and write-backs alike."""

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self._project = project
        self._sql = statements("runs")

    def begin(self, run_id: str, mode: str, now: datetime) -> datetime:
        """Record that a run begins, and mark an earlier run that never ended as killed.

        Returns the time the run is stamped with: `now`, or just after the last run's end where this machine's clock was
        set back, so that runs keep the order in which they were made and never overlap.
        """
        with transaction(self._connection):
            self._connection.execute(self._sql["delete_run"], {"run_id": run_id})
            last = one(self._connection, self._sql["last_time"])
            if last is not None and last[0] is not None:
                now = max(now, last[0] + timedelta(microseconds=1))
            self._connection.execute(self._sql["mark_killed"], {"now": now, "run_id": run_id})
            self._connection.execute(
                self._sql["begin_run"], {"project": self._project, "run_id": run_id, "mode": mode, "now": now}
            )
        return now

    def set_mode(self, run_id: str, mode: str) -> None:
        """Record what kind of load the run turned out to be."""
        self._connection.execute(self._sql["set_mode"], {"mode": mode, "run_id": run_id})

    def end(
        self,
        run_id: str,
        *,
        outcome: str,
        message: str | None,
        now: datetime,
        seconds: float,
        requests: int,
        bytes_received: int,
    ) -> None:
        """Record how the run ended."""
        self._connection.execute(
            self._sql["end_run"],
            {
                "run_id": run_id,
                "outcome": outcome,
                "message": message,
                "finished_at": now,
                "seconds": seconds,
                "requests": requests,
                "bytes": bytes_received,
            },
        )

    def add_chunks(self, entries: Sequence[ChunkEntry], run_id: str) -> None:
        """Record chunks of the run."""
        for entry in entries:
            values = {"project": self._project, "run_id": run_id, **asdict(entry)}
            self._connection.execute(self._sql["add_chunk"], values)

    def delete_chunk_entries(self, run_id: str) -> None:
        """Delete what the ledger has of the run's chunks: they are about to be applied again."""
        self._connection.execute(self._sql["delete_chunk_entries"], {"run_id": run_id})

    def last_load(self) -> LastLoad | None:
        """Return how the last load ended, write-backs aside; None if there has been none."""
        row = one(self._connection, self._sql["last_load"])
        if row is None:
            return None
        good = one(self._connection, self._sql["last_good_load"])
        return LastLoad(row[0], row[1], good[0] if good else None)

    def count_records(self, now: datetime) -> tuple[int, int]:
        """How many records the run with this time added, and how many that were known it changed."""
        row = one(self._connection, self._sql["count_records"], {"now": now})
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def write_totals(self, run_id: str, now: datetime, totals: Mapping[str, object], *, rows: int) -> None:
        """Record what the run did, and what the project holds after it; `rows` is the number of all its rows."""
        self._connection.execute(self._sql["total_run"], {"run_id": run_id, **totals})
        self._connection.execute(self._sql["total_project"], {"run_id": run_id, "now": now, "rows": rows})
