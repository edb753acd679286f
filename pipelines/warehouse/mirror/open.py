"""Opens a project's mirror, and compacts it when it has grown."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import WarehouseError
from pipelines.warehouse.database.compaction import compact, compacted_size, needs_compaction, save_compacted_size
from pipelines.warehouse.database.connection import Attach, DatabaseError, open_writer, sync_to_disk
from pipelines.warehouse.database.file_errors import reason_of
from pipelines.warehouse.mirror.identity import (
    Refuse,
    check_identity,
    never_refuse,
    refuse_published_file,
    remove_empty,
)
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.ddl import create_schema
from pipelines.warehouse.tables.layout import NOW, PAST

log = logging.getLogger(__name__)


# Where a mirror keeps its size at its last compaction.
COMPACTED_SIZE = "state.fresh"


@contextmanager
def open_mirror(
    path: Path,
    project: str,
    *,
    staging: Path | None = None,
    memory_limit: str | None = None,
    refuse: Refuse = never_refuse,
    start_over: bool = False,
    replaces: str | None = None,
    published: Attach | None = None,
    readable: Sequence[Path] = (),
) -> Iterator[Mirror]:
    """The project's mirror, created if it does not exist, locked against every other process.

    `refuse` gives the error to raise if the file cannot be continued; `start_over` says that it was discarded, and
    `replaces` which published mirror the new one may then replace. The database that `published` attaches and the
    `readable` files can be read from SQL beside it. On closing, the file is compacted if it is much larger than its
    content needs, or if values were removed that must not remain in its free blocks.
    """
    if not start_over:
        remove_empty(path, refuse)
    compacted = path.with_name(f".{path.name}.fresh")
    # What a process that was killed while compacting left.
    for leftover in path.parent.glob(f"{compacted.name}*"):
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink()
    with open_writer(
        path, staging=staging, memory_limit=memory_limit, published=published, readable=readable
    ) as connection:
        refuse_published_file(connection, path, project, refuse)
        connection.execute(statements("catalog")["create_catalog"])
        connection.execute(statements("catalog")["create_record_changes"])
        connection.execute(statements("state")["create_state"])
        check_identity(connection, path, project, refuse, start_over=start_over, replaces=replaces)
        for ending in (NOW, PAST):
            connection.execute(create_schema(project + ending))
        mirror = Mirror(connection, project, path, memory_limit)
        if (known := compacted_size(connection, COMPACTED_SIZE)) is None and mirror.state.previous().ended:
            save_compacted_size(connection, COMPACTED_SIZE, path.stat().st_size)
        try:
            yield mirror
        except DatabaseError as problem:
            raise mirror.explained(problem) from None
    if mirror.removed_values or needs_compaction(path.stat().st_size, known):
        _compact(path, compacted, project, memory_limit)


def _compact(path: Path, compacted: Path, project: str, memory_limit: str | None) -> None:
    """Replace the mirror by a smaller file with the same content; where that fails, the mirror is used as it is."""
    try:
        compact(path, compacted, memory_limit=memory_limit)
        with open_writer(compacted) as connection:
            save_compacted_size(connection, COMPACTED_SIZE, compacted.stat().st_size)
        compacted.replace(path)
        sync_to_disk(path.parent)
    except (DatabaseError, OSError, WarehouseError) as problem:
        compacted.unlink(missing_ok=True)
        log.warning("%s: the mirror could not be compacted, and is used as it is: %s", project, reason_of(problem))
