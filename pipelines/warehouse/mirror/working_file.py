"""A project's working file that is gone, empty, damaged or another's is never taken for a first load.

It holds what cannot be had again: the history, and the journal of write-backs with their undo. So where anything of the
project was published, or waits for that, a load goes on from its file or is refused; `--start-over` gives up what was
there. Where nothing was, a first load that died while it made its file, or met a full disk, simply begins again.
Opening the file is mirror.py's business.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from pathlib import Path

from pipelines.errors import MirrorLost, WarehouseDamaged, WarehouseError, WarehouseUnreadable
from pipelines.warehouse.database.connection import HEADER_BYTES, Connection, open_reader, remove_database
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import FORMAT, OTHER_FORMAT

NOT_THERE, EMPTY, NO_LOAD = "is not there", "is empty", "holds no load"

# From what was found of a working file to the error to raise; None where there is nothing to lose.
Refuse = Callable[[str], WarehouseError | None]


def nothing_to_lose(found: str) -> None:
    """For files that belong to no warehouse, as a test makes them."""


def published_projects(folder: WarehouseFolder) -> frozenset[str]:
    """The projects of which readers find anything."""
    if not folder.database.exists() or not folder.database.stat().st_size:
        return frozenset()
    with open_published(folder) as connection:
        found = connection.execute(statements("reading")["published_projects"]).fetchall()
    return frozenset(project for (project,) in found)


def refusal(
    folder: WarehouseFolder, project: str, found: str, *, published: Collection[str] | None = None
) -> MirrorLost | None:
    """What to raise where a load finds a project's working file so; None where nothing of the project is known.

    `published` are the published projects, where they have been asked for already.
    """
    if published is None:
        published = published_projects(folder)
    if project not in published and project not in folder.unpublished():
        return None
    return what_was_lost(folder, project, found, published)


def what_was_lost(folder: WarehouseFolder, project: str, found: str, published: Collection[str]) -> MirrorLost:
    """The refusal of a load whose project's working file is not what it should be."""
    known = "the project was loaded into it"
    if project in published:
        known = "the published database holds the project"
    elif project in folder.unpublished():
        known = "a load of it waits to be published"
    return MirrorLost(project=project, path=folder.mirror(project), found=found, known=known)


def clear_what_never_was(path: Path, refuse: Refuse) -> None:
    """Remove an empty file, or a header without a database, that a first load left; refuse where it was none."""
    if not path.exists():
        found = NOT_THERE
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
    """What was found of a file that is no whole database."""
    return f"is damaged ({problem.found})"


def refuse_the_published_file(connection: Connection, path: Path, project: str, refuse: Refuse) -> None:
    """A copy of the published database under a working file's name is never written into."""
    row = connection.execute(statements("reading")["is_published"]).fetchone()
    if row and row[0]:
        known = "it goes by this project's name"
        raise refuse(NO_LOAD) or MirrorLost(project=project, path=path, found=NO_LOAD, known=known)


def published_source(folder: WarehouseFolder, project: str) -> str | None:
    """The identity of the working file that the project was published from; None where none was published."""
    if not folder.database.exists():
        return None
    with open_published(folder) as connection:
        row = connection.execute(statements("reading")["published_source"], {"project": project}).fetchone()
    return str(row[0]) if row else None


def check_identity(
    connection: Connection, path: Path, project: str, refuse: Refuse, *, start_over: bool, replaces: str | None = None
) -> None:
    """Name a new file; refuse one that is another project's, or that an earlier version of the warehouse made.

    A file without a name is no first load's where the project is known: whatever it held is gone, if only just now.
    """
    state = statements("state")
    made = connection.execute(state["is_made"]).fetchone()
    old = connection.execute(state["is_old"]).fetchone()
    if made is None and not (old and old[0]):
        if not start_over and (problem := refuse(NO_LOAD)) is not None:
            raise problem
        identity = uuid.uuid4().hex
        connection.execute("BEGIN TRANSACTION")
        if replaces is not None:
            connection.execute(state["note_started_over"], {"identity": replaces})
        connection.execute(state["make_identity"], {"identity": identity, "format": FORMAT})
        connection.execute("COMMIT")
    elif made is None or made[1] != FORMAT:
        raise WarehouseUnreadable(
            path=path,
            reason=OTHER_FORMAT,
            remedy=f"`redcap-warehouse sync {project} --start-over` reads everything anew with this version; what is "
            "published of the project, its history included, is replaced then.",
        )
    elif (owner := owner_of(connection)) not in (None, project):
        found = f"is that of the project {owner}"
        known = "it goes by this one's name"
        raise refuse(found) or MirrorLost(project=project, path=path, found=found, known=known)


def is_named(connection: Connection) -> bool:
    """Whether a load has begun with this working file."""
    return connection.execute(statements("state")["is_made"]).fetchone() is not None


def owner_of(connection: Connection) -> str | None:
    """The project whose loads a working file holds; None before the first."""
    row = connection.execute(statements("state")["owner"]).fetchone()
    return row[0] if row else None


def start_over(folder: WarehouseFolder, project: str) -> None:
    """Give up a project's working file, with what lies beside it; only while the project's lock is held.

    The mark goes too: a load of the file that waits to be published is not there any more.
    """
    folder.unmark(project)
    folder.clear_staging(project)
    remove_database(folder.mirror(project))
