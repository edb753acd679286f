"""Moves a store for several machines into the files of a warehouse folder.

Each step can be repeated, and is undone by moving into the store: both places say first that nothing is loaded; then
the key; then the newest version of each mirror is checked out into the folder; then warehouse.duckdb is made anew from
them; then the store says that the warehouse is in the folder, and last the mirrors become the folder's own. What is in
the store stays there.
"""

from __future__ import annotations

from pipelines.coordination.location import MOVED_OUT
from pipelines.coordination.location import MOVING_OUT as OUT_OF
from pipelines.errors import MovedAway, NotAllPublished
from pipelines.sharing import Sharing
from pipelines.store_errors import MoveRefused
from pipelines.warehouse.folder import projects_in
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.manifest import NO_FILE, Manifest, Publication, last_published, save_manifest
from pipelines.warehouse.moving.into_store import Step, no_step, nothing_runs
from pipelines.warehouse.moving.plan import FORGOTTEN, TO_MOVE, Ends, Plan, PlannedProject, check_place
from pipelines.warehouse.publishing.publish import publish
from pipelines.warehouse.shared.local_copy import DISCARDED
from pipelines.warehouse.store.moved import HERE, MOVING_OUT, write_note
from pipelines.warehouse.store.results import Published


def move_into_files(
    ends: Ends, plan: Plan, *, sharing: Sharing, memory_limit: str | None = None, step: Step = no_step
) -> Published:
    """Do what was planned. Raises NotAllPublished in the end if a project could not be published: it is moved.

    `sharing` is the mode and the group of warehouse.duckdb, `memory_limit` DuckDB's while it is made.
    """
    store, folder = ends.store, ends.folder
    before, location = check_place(ends)
    if location is not None and location.state == MOVED_OUT:
        _finish(ends, step)
        return Published()
    with nothing_runs(folder, [item.project for item in plan.projects]):
        note = write_note(folder, MOVING_OUT, store.data)
    step("noted in the folder")
    try:
        store.coordination.set_location(OUT_OF, note.folder_id, ends.place)
    except MovedAway:
        write_note(folder, before.state if before else HERE, store.data)
        raise
    step("noted in the store")
    _move_key(ends)
    step("key")
    with store.coordination.moving(note.folder_id):
        for item in plan.projects:
            _move(ends, item)
            step(f"moved {item.project}")
    _carry_marks(ends)
    step("marks")
    problem: NotAllPublished | None = None
    done = Published()
    try:
        done = publish(folder, memory_limit=memory_limit, sharing=sharing, rebuild=True)
    except NotAllPublished as some:
        problem = some
    step("published")
    store.coordination.set_location(MOVED_OUT, note.folder_id, ends.place)
    step("left")
    _finish(ends, step)
    if problem is not None:
        raise problem
    return done


def _move_key(ends: Ends) -> None:
    key = ends.store.hash_key.read()
    if key is not None and ends.files.hash_key.keep(key) != key:
        raise MoveRefused(reasons={"": f"{ends.files.hash_key.place} is another key than the store's."})


def _move(ends: Ends, item: PlannedProject) -> None:
    """Bring the newest version into the folder, or remove what the store no longer has."""
    copy = ends.copy(item.project)
    if item.state == FORGOTTEN:
        with project_locked(ends.folder, item.project):
            copy.remove()
            ends.folder.clear_staging(item.project)
    elif item.state == TO_MOVE:
        if copy.exists() and copy.known() is None:
            with project_locked(ends.folder, item.project):
                copy.save(DISCARDED, clean=False)
        with ends.store.copies.working(item.project, item.last_run):
            pass


def _carry_marks(ends: Ends) -> None:
    """Let the folder know what is published and what waits to be, as the store does; of projects that never came into
    the store it knows that itself."""
    folder, versions = ends.folder, ends.store.coordination.all_working()
    waiting, entries = ends.store.marks.waiting(), dict(ends.store.published.last())
    if (before := last_published(folder)) is not None:
        present = projects_in(folder)
        own = {name: entry for name, entry in before.projects.items() if name in present}
        entries = {**{name: entry for name, entry in own.items() if name not in versions}, **entries}
        # Moved, and not published there yet.
        entries = {**{name: own[name] for name in versions.keys() & own.keys()}, **entries}
    for project in versions:
        if project in waiting:
            folder.mark_loaded(project, waiting[project])
        else:
            folder.unmark(project)
    for project in folder.unpublished().keys() - projects_in(folder):
        folder.unmark(project)
    save_manifest(folder, Manifest((Publication(NO_FILE, entries),)))


def _finish(ends: Ends, step: Step) -> None:
    """Make the mirrors the folder's own, now that the store says that they are."""
    for project in sorted(projects_in(ends.folder)):
        ends.copy(project).release()
    step("released")
    write_note(ends.folder, HERE, ends.store.data)
