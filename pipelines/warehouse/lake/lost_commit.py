"""Takes back a commit that DuckLake believes to have failed, while PostgreSQL carried it out.

If the answer to a commit is lost, DuckLake deletes the files that it wrote for it, and the catalog names files that do
not exist: nobody could read the tables that all projects share. Such a commit is always the last one, because nobody
else publishes meanwhile; so the catalog is brought to the snapshot before it, and the publish is repeated.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pipelines.warehouse.database.connection import Connection, transaction
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.lake import lake_sql
from pipelines.warehouse.lake.address import Lake

log = logging.getLogger("redcap_warehouse")


def take_back(connection: Connection, lake: Lake) -> bool:
    """Take the last commit back if files of it are missing; returns whether that was so.

    The caller is the only publisher, and attaches the lake anew afterwards: what the connection knows of it is wrong.
    """
    row = one(connection, lake_sql.last_snapshot())
    if row is None:
        return False
    files = connection.execute(lake_sql.files_of(), {"snapshot": row[0]}).fetchall()
    if all(_exists(connection, lake, path) for (path,) in files):
        return False
    with transaction(connection):
        for statement in lake_sql.take_back(row[0]):
            connection.execute(statement)
    log.warning("A publish into the lake was taken back: its answer was lost, and DuckLake had deleted its files.")
    return True


def _exists(connection: Connection, lake: Lake, path: str) -> bool:
    if lake.in_bucket:
        return count(connection, "SELECT count(*) FROM glob($path)", {"path": path}) > 0
    return Path(path).exists()
