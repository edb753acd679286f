"""A mirror that is missing, empty, damaged or another project's is never treated as a first load.

A mirror holds what cannot be fetched again: the history, and the journal of write-backs that undoing needs. So where
anything of the project is published, or waits to be, a load continues its mirror or is refused; `--start-over` discards
it. Where nothing is, a first load that died while creating the file, or that ran out of disk space, begins again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from pathlib import Path

from pipelines.errors import MirrorLost, WarehouseDamaged, WarehouseError, WarehouseUnreadable
from pipelines.warehouse.database.connection import (
    HEADER_BYTES,
    Connection,
    open_reader,
    remove_database,
    transaction,
)
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import FORMAT, OTHER_FORMAT

MISSING_FILE, EMPTY, NO_LOAD = "is missing", "is empty", "holds no load"

# Maps what was found of a mirror to the error to raise; None if there is nothing to lose.
Refuse = Callable[[str], WarehouseError | None]


def never_refuse(found: str) -> None:
    """For mirrors that belong to no warehouse, as tests make them."""


def refusal(
    project: str, place: str, found: str, *, published: Collection[str], waiting: Collection[str]
) -> MirrorLost | None:
    """The error for a mirror found like this; None if nothing else is known of the project.

    `place` is where the mirror is; `published` and `waiting` are the projects that are published or wait to be.
    """
    if project not in published and project not in waiting:
        return None
    return mirror_lost(project, place, found, published=published, waiting=waiting)


def mirror_lost(
    project: str, place: str, found: str, *, published: Collection[str], waiting: Collection[str]
) -> MirrorLost:
    """The error for a mirror that is not what it should be."""
    known = "the project was loaded into it"
    if project in published:
        known = "the published database holds the project"
    elif project in waiting:
        known = "a load of it waits to be published"
    return MirrorLost(project=project, path=place, found=found, known=known)


def remove_empty(path: Path, refuse: Refuse) -> None:
    """Remove an empty file, or a header without a database, that a first load left; refuse any other."""
    if not path.exists():
        found = MISSING_FILE
    elif path.stat().st_size == 0:
        found = EMPTY
    elif path.stat().st_size <= HEADER_BYTES and (damage := _damage(path)):
        found = damage
    else:
        return
    if (problem := refuse(found)) is not None:
        raise problem
    remove_database(path)


def _damage(path: Path) -> str | None:
    try:
        with open_reader(path):
            return None
    except WarehouseDamaged as problem:
        return damaged(problem)


def damaged(problem: WarehouseDamaged) -> str:
    """What was found of a file that is no complete database."""
    return f"is damaged ({problem.found})"


def refuse_published_file(connection: Connection, path: Path, project: str, refuse: Refuse) -> None:
    """Refuse to write into a copy of the published database that has the name of a mirror."""
    if count(connection, statements("reading")["is_published"]):
        known = "it has this project's name"
        raise refuse(NO_LOAD) or MirrorLost(project=project, path=path, found=NO_LOAD, known=known)


def check_identity(
    connection: Connection, path: Path, project: str, refuse: Refuse, *, start_over: bool, replaces: str | None = None
) -> None:
    """Give a new mirror its identity; refuse one of another project, or of an earlier version of the warehouse.

    If the project is known, a file without an identity was not left by a first load: what it held is lost.
    """
    state = statements("state")
    made = one(connection, state["is_made"])
    if made is None and not count(connection, state["is_old"]):
        if not start_over and (problem := refuse(NO_LOAD)) is not None:
            raise problem
        _make_identity(connection, replaces)
    elif made is None or made[1] != FORMAT:
        raise WarehouseUnreadable(
            path=path,
            reason=OTHER_FORMAT,
            remedy=f"`redcap-warehouse sync {project} --start-over` reads everything again with this version and "
            "replaces all published data of the project, including its history.",
        )
    elif (owner := owner_of(connection)) not in (None, project):
        found = f"is that of the project {owner}"
        raise refuse(found) or MirrorLost(project=project, path=path, found=found, known="it has this project's name")


def _make_identity(connection: Connection, replaces: str | None) -> None:
    state = statements("state")
    with transaction(connection):
        if replaces is not None:
            connection.execute(state["note_started_over"], {"identity": replaces})
        connection.execute(state["make_identity"], {"identity": uuid.uuid4().hex, "format": FORMAT})


def has_identity(connection: Connection) -> bool:
    """Whether a load has begun with this mirror."""
    return one(connection, statements("state")["is_made"]) is not None


def owner_of(connection: Connection) -> str | None:
    """The project whose loads a mirror holds; None before the first."""
    row = one(connection, statements("state")["owner"])
    return row[0] if row else None
