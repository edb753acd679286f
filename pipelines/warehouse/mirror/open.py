"""Opening and locking a project's mirror, and rewriting it when it has grown."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import WarehouseError
from pipelines.warehouse.database.compaction import compact, compacted_size, needs_compaction, save_compacted_size
from pipelines.warehouse.database.connection import DatabaseError, open_writer, sync_to_disk
from pipelines.warehouse.database.file_errors import reason_of
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.working_file import (
    Refuse,
    check_identity,
    clear_what_never_was,
    nothing_to_lose,
    refuse_the_published_file,
)
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import NOW, PAST

log = logging.getLogger(__name__)


# Where it keeps how large it was when it was last written afresh.
COMPACTED_SIZE = "state.fresh"


@contextmanager
def open_mirror(
    path: Path,
    project: str,
    *,
    staging: Path | None = None,
    memory_limit: str | None = None,
    refuse: Refuse = nothing_to_lose,
    start_over: bool = False,
    replaces: str | None = None,
    published: Path | None = None,
    readable: Sequence[Path] = (),
) -> Iterator[Mirror]:
    """The project's working file, created if it is not there, locked against every other process.

    `refuse` says what to raise if the file cannot be continued; `start_over` says that it was discarded, and `replaces`
    which published working file may then be replaced. The `published` database and the `readable` files can be read
    from SQL beside it. On closing, the file is rewritten if it is much larger than its content needs, or if values were
    removed that must not remain in its free blocks.
    """
    if not start_over:
        clear_what_never_was(path, refuse)
    grown = path.with_name(f".{path.name}.fresh")
    # What a process that was killed while writing afresh left behind.
    for leftover in path.parent.glob(f"{grown.name}*"):
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink()
    with open_writer(
        path, staging=staging, memory_limit=memory_limit, published=published, readable=readable
    ) as connection:
        refuse_the_published_file(connection, path, project, refuse)
        connection.execute(statements("catalog")["create_catalog"])
        connection.execute(statements("catalog")["create_record_changes"])
        connection.execute(statements("state")["create_state"])
        check_identity(connection, path, project, refuse, start_over=start_over, replaces=replaces)
        for kind in (NOW, PAST):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(project + kind)}")
        mirror = Mirror(connection, project, path, memory_limit)
        if (known := compacted_size(connection, COMPACTED_SIZE)) is None and mirror.state.previous().ended:
            save_compacted_size(connection, COMPACTED_SIZE, path.stat().st_size)
        try:
            yield mirror
        except DatabaseError as problem:
            raise mirror.explained(problem) from None
    if mirror.removed_values or needs_compaction(path.stat().st_size, known):
        _compact(path, grown, project, memory_limit)


def _compact(path: Path, grown: Path, project: str, memory_limit: str | None) -> None:
    """Put a smaller file with the same content in the place of this one; where that fails, this one serves as well."""
    try:
        compact(path, grown, memory_limit=memory_limit)
        with open_writer(grown) as connection:
            save_compacted_size(connection, COMPACTED_SIZE, grown.stat().st_size)
        grown.replace(path)
        sync_to_disk(path.parent)
    except (DatabaseError, OSError, WarehouseError) as problem:
        grown.unlink(missing_ok=True)
        log.warning("%s: the working file could not be written afresh: %s", project, reason_of(problem))
