"""Keeps a lake small: merges files, ends old snapshots, and deletes what nothing needs any more.

Every publish adds files: rows that were inserted, and which rows of earlier files were deleted. Snapshots keep what was
replaced readable, until they expire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.lake import lake_sql
from pipelines.warehouse.lake.commits import committed_as
from pipelines.warehouse.sql import statements

# How long what was replaced can still be read.
KEEP = timedelta(days=30)
# Longer than any reader takes over files that no snapshot needs any more, and than any publish: a younger file may
# be of a transaction that is not committed yet.
LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Maintained:
    """What maintenance did, in counts."""

    snapshots_before: int
    snapshots: int
    files_before: int
    files: int
    """Data files that some snapshot reads."""
    deleted: int
    """Files that were deleted: of expired snapshots, and of publishers that died."""


def maintain(
    connection: Connection,
    *,
    keep: timedelta = KEEP,
    longest: timedelta = LONGEST,
    now: Callable[[], datetime] | None = None,
    token: str | None = None,
) -> Maintained:
    """Maintain the lake that is attached for writing; the caller is the only publisher.

    What was replaced longer ago than `keep` can no longer be read afterwards. It can be interrupted and repeated.
    """
    sql, moment = statements("lake"), now() if now else datetime.now(UTC)
    snapshots, files = count(connection, sql["snapshots"]), count(connection, lake_sql.data_files())
    for name in ("rewrite", "merge"):
        with committed_as(connection, token):
            connection.execute(sql[name])
    connection.execute(sql["expire"], {"before": moment - keep})
    before = {"before": moment - longest}
    deleted = len(connection.execute(sql["clean_up"], before).fetchall())
    deleted += len(connection.execute(sql["delete_orphans"], before).fetchall())
    return Maintained(
        snapshots, count(connection, sql["snapshots"]), files, count(connection, lake_sql.data_files()), deleted
    )
