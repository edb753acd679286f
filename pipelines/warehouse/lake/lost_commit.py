"""Takes back a commit that DuckLake believes to have failed, while PostgreSQL carried it out.

If the answer to a commit is lost, DuckLake deletes the files that it wrote for it, and the catalog names files that do
not exist: nobody could read the tables that all projects share. Such a commit is always the last one, because nobody
else publishes meanwhile; so the catalog is brought to the snapshot before it, and the publish is repeated.

Files are missing as well where a drive is not mounted. Then those of earlier snapshots are missing, too, and nothing is
taken back: that would remove what was published well, one snapshot with each attempt.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pipelines.store_errors import SharedPlaceUnusable
from pipelines.warehouse.database.connection import Connection, transaction
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.lake import lake_sql
from pipelines.warehouse.lake.address import Lake

log = logging.getLogger("redcap_warehouse")


def take_back(connection: Connection, lake: Lake, settled: int | None = None) -> bool:
    """Take the last commit back if files of it are missing; returns whether that was so.

    Not one that is `settled`: the answer to it, or to a later one, did arrive. The caller is the only publisher, and
    attaches the lake anew afterwards: what the connection knows of it is wrong.
    """
    row = one(connection, lake_sql.last_snapshot())
    if row is None or (settled is not None and row[0] <= settled):
        return False
    files = connection.execute(lake_sql.files_of(), {"snapshot": row[0]}).fetchall()
    if all(_exists(connection, lake, path) for (path,) in files):
        return False
    _check_there(connection, lake, row[0])
    with transaction(connection):
        for statement in lake_sql.take_back(row[0]):
            connection.execute(statement)
    log.warning("A publish into the lake was taken back: its answer was lost, and DuckLake had deleted its files.")
    return True


def _check_there(connection: Connection, lake: Lake, snapshot: int) -> None:
    """SharedPlaceUnusable if none of the files of earlier snapshots is where the catalog says."""
    earlier = connection.execute(lake_sql.files_before(), {"snapshot": snapshot}).fetchall()
    if earlier and not any(_exists(connection, lake, path) for (path,) in earlier):
        raise SharedPlaceUnusable(
            place=lake.data_path,
            reason="the published files that the catalog names are not there",
            remedy="Make sure that the drive is mounted and that store.data names the right place; restore the files "
            "from a backup if they were deleted.",
        )


def _exists(connection: Connection, lake: Lake, path: str) -> bool:
    if lake.in_bucket:
        return count(connection, "SELECT count(*) FROM glob($path)", {"path": path}) > 0
    return Path(path).exists()
