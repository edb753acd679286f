"""REDCap's log in a working file: for auditors as it came, and for signing what it says of records.

Reading it from REDCap is pipelines.log_reading's business.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.sql import statements
from redcap_source.log.clock import ServerClock


def keep_log(
    connection: Connection,
    files: Sequence[Path],
    stamps: Collection[datetime],
    begin: datetime,
    clock: ServerClock,
    *,
    project: str,
    run_id: str,
) -> None:
    """Put the log from `begin` (the server's wall clock) on in the place of what was kept of that time.

    `stamps` are the moments that stand in the files; `clock` tells their UTC. Runs inside a transaction.
    """
    sql = statements("audit_log")
    connection.execute(sql["drop_since"], {"begin": begin})
    connection.execute(sql["forget_changes"])
    filled = [str(path) for path in files if path.stat().st_size]
    if not filled:
        return
    walls = sorted(stamps)
    connection.execute(sql["name_times"], {"walls": walls, "utcs": [clock.to_utc(wall) for wall in walls]})
    values = {"files": filled, "begin": begin}
    connection.execute(sql["keep_rows"], {**values, "project": project, "run_id": run_id})
    connection.execute(sql["keep_changes"], values)
    connection.execute(sql["forget_times"])
