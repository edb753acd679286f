"""REDCap's log in a mirror: its rows for auditors, and what they say of records, which names who made a change.

Not here: reading the log from REDCap (pipelines/extract/log_reading.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from pipelines.warehouse.database.connection import Connection, transaction
from pipelines.warehouse.database.file_errors import doing
from pipelines.warehouse.sql import statements
from redcap_source.log.clock import ServerClock


class AuditLog:
    """redcap.audit_log of one project."""

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self._project = project
        self._sql = statements("audit_log")

    @doing("storing REDCap's log")
    def save(
        self, files: Sequence[Path], stamps: Collection[datetime], begin: datetime, clock: ServerClock, run_id: str
    ) -> None:
        """Replace the stored log from `begin` on, by the server's wall clock, with the rows of some staged files.

        `stamps` are the times that occur in the files; `clock` gives their UTC.
        """
        with transaction(self._connection):
            self._connection.execute(self._sql["delete_rows"], {"begin": begin})
            self._connection.execute(self._sql["delete_changes"])
            filled = [str(path) for path in files if path.stat().st_size]
            if not filled:
                return
            walls = sorted(stamps)
            times = {"walls": walls, "utcs": [clock.to_utc(wall) for wall in walls]}
            self._connection.execute(self._sql["make_times"], times)
            values = {"files": filled, "begin": begin}
            self._connection.execute(self._sql["save_rows"], {**values, "project": self._project, "run_id": run_id})
            self._connection.execute(self._sql["save_changes"], values)
            self._connection.execute(self._sql["drop_times"])

    def sign_changes(self, run_id: str) -> None:
        """Enter in redcap.record_changes who made the run's changes and when, where the log shows it."""
        self._connection.execute(self._sql["sign_changes"], {"run_id": run_id})
