"""Moves the files of a warehouse folder into a store for several machines.

Each step can be repeated, and is undone by moving back: the folder says first that nothing more is loaded into it, and
the store that nothing is loaded into it yet; then the key; then each mirror, as it is, becomes the newest version of
its project; then all is published from the mirrors; then the store may be used. The folder's files stay: the mirrors
become this machine's working copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

from filelock import FileLock

from pipelines.coordination.location import MOVING_IN as INTO
from pipelines.errors import MovedAway, NotAllPublished
from pipelines.store_errors import MoveRefused
from pipelines.warehouse.database.connection import open_reader
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.manifest import last_published
from pipelines.warehouse.moving.plan import (
    BEGUN,
    FORGOTTEN,
    LATER_THERE,
    TO_MOVE,
    Ends,
    Plan,
    PlannedProject,
    check_place,
)
from pipelines.warehouse.publishing.candidates import Candidates, sort_source
from pipelines.warehouse.publishing.source import read_source
from pipelines.warehouse.shared.local_copy import DISCARDED, NONE
from pipelines.warehouse.store.moved import HERE, MOVED, MOVING_IN, write_note
from pipelines.warehouse.store.results import Published

Step = Callable[[str], None]
"""Called with a name after each action: what is shown to a person, and where tests end a process."""


def no_step(name: str) -> None:
    """Does nothing."""


def move_into_store(ends: Ends, plan: Plan, *, step: Step = no_step) -> Published:
    """Do what was planned. Raises NotAllPublished in the end if a project could not be published: it is moved."""
    store, folder = ends.store, ends.folder
    note, _ = check_place(ends)
    folder_id = note.folder_id if note else ""
    with store.coordination.moving(folder_id):
        # While it still says that the warehouse is in the files: it cannot be told afterwards what was forgotten there.
        for item in plan.projects:
            if item.state == FORGOTTEN:
                store.forget(item.project)
                step(f"removed {item.project}")
    with nothing_runs(folder, [item.project for item in plan.projects]):
        note = write_note(folder, MOVING_IN, store.data)
    step("noted in the folder")
    try:
        store.coordination.set_location(INTO, note.folder_id, ends.place)
    except MovedAway:
        write_note(folder, HERE, store.data)
        raise
    step("noted in the store")
    _move_key(ends)
    step("key")
    with store.coordination.moving(note.folder_id):
        for item in plan.projects:
            if item.state != FORGOTTEN:
                _move(ends, item)
                step(f"moved {item.project}")
                _mark(ends, item.project)
                step(f"marked {item.project}")
    problem: NotAllPublished | None = None
    done = Published()
    try:
        done = store.published.publish()
    except NotAllPublished as some:
        # They are in the store nevertheless, and are published from there.
        problem = some
    step("published")
    store.coordination.clear_location(note.folder_id)
    step("free")
    write_note(folder, MOVED, store.data)
    if problem is not None:
        raise problem
    return done


@contextmanager
def nothing_runs(folder: WarehouseFolder, projects: Sequence[str]) -> Iterator[None]:
    """Inside, no load and no publish of this folder runs; WarehouseBusy, at once, if a load does."""
    folder.make()
    with ExitStack() as locks:
        for project in projects:
            locks.enter_context(project_locked(folder, project))
        locks.enter_context(FileLock(folder.publish_lock, mode=0o600))
        yield


def _move_key(ends: Ends) -> None:
    key = ends.files.hash_key.read()
    if key is not None and ends.store.coordination.make_hash_key(key) != key:
        raise MoveRefused(reasons={"": "Another machine has just made a key for hashed identifiers in the store."})


def _move(ends: Ends, item: PlannedProject) -> None:
    copy = ends.copy(item.project)
    if item.state == TO_MOVE:
        ends.store.copies.adopt(item.project, item.last_run or "move-store", after=item.after)
    elif item.state == LATER_THERE:
        with project_locked(ends.folder, item.project):
            copy.save(DISCARDED, clean=False)
    elif item.state == BEGUN:
        with project_locked(ends.folder, item.project):
            copy.save(NONE, clean=False)


def _mark(ends: Ends, project: str) -> None:
    """Let the project be published, in the state its mirror is in, unless it is published so.

    Where its mirror must not be published as it is, the store is told what the files had published.
    """
    coordination, before = ends.store.coordination, last_published(ends.folder)
    if (version := coordination.working(project)) is None:
        return
    with ends.store.copies.to_read(project) as path, open_reader(path) as connection:
        source = read_source(connection, project)
    marked = ends.folder.unpublished().get(project)
    found = Candidates()
    sort_source(found, source, before, is_marked=marked is not None, anew=True)
    entry = before.projects.get(project) if before else None
    known = version.published
    if found.sources and (known is None or (known["identity"], known["content"]) != (source.identity, source.content)):
        run = marked if marked is not None and source.has_run(marked) else source.last_load
        coordination.mark_loaded(project, run)
    elif not found.sources and entry is not None and known is None:
        coordination.mark_published(project, "", version.version, asdict(entry))
