"""What a move would do, found before anything is changed, and what there is in its way.

Into the store, each project of the folder is one of these: to be moved; in the store already, in the same or a later
state; or begun by a first load that never ended, so that there is nothing of it. Everything else is refused: a mirror
that is damaged, missing or being loaded, and one that is neither contained in the store's nor contains it.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from typing import NamedTuple

from pipelines.coordination import Forgotten, WorkingVersion
from pipelines.coordination.location import MOVED_OUT, Location, moved_away
from pipelines.errors import WarehouseBusy, WarehouseError
from pipelines.store_errors import MoveRefused
from pipelines.warehouse.database.connection import HEADER_BYTES
from pipelines.warehouse.folder import WarehouseFolder, projects_in
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.manifest import Publication, last_published
from pipelines.warehouse.moving.contents import Contents, read_contents
from pipelines.warehouse.publishing.candidates import Candidates, sort_source, why_unreadable
from pipelines.warehouse.shared.digest import Digest
from pipelines.warehouse.shared.local_copy import LocalCopy
from pipelines.warehouse.store.file_store import FileStore
from pipelines.warehouse.store.lake_store import LakeStore
from pipelines.warehouse.store.moved import HERE, MOVED, Note, read_note

TO_MOVE, THERE, LATER_THERE, BEGUN = "to move", "there", "later there", "begun"
FORGOTTEN = "forgotten"


class Ends(NamedTuple):
    """The two places of a move."""

    files: FileStore
    store: LakeStore

    @property
    def folder(self) -> WarehouseFolder:
        """The warehouse folder."""
        return self.files.folder

    @property
    def place(self) -> str:
        """The folder, for people on other machines."""
        return f"{socket.gethostname()}:{os.path.abspath(self.folder.path)}"  # noqa: PTH100 - links are kept

    def copy(self, project: str) -> LocalCopy:
        """The project's mirror in the folder."""
        return LocalCopy(self.folder, project, self.store.coordination.store_id())


@dataclass(frozen=True, slots=True)
class PlannedProject:
    """One project of a move."""

    project: str
    state: str
    """TO_MOVE; THERE or LATER_THERE if the other place has it already; BEGUN; or FORGOTTEN, if it is to be removed."""
    bytes: int = 0
    """How large its mirror is."""
    last_run: str = ""
    """The last run in its ledger."""
    after: int = 0
    """The version in the store that it continues; 0 for none."""
    remark: str = ""
    """What a person should know about it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a move would do."""

    projects: tuple[PlannedProject, ...]
    finished: bool
    """Whether the warehouse is in the other place already."""

    @property
    def to_move(self) -> tuple[PlannedProject, ...]:
        """Those whose mirrors are to be transferred."""
        return tuple(item for item in self.projects if item.state == TO_MOVE)


@dataclass(slots=True)
class _Findings:
    """What was found so far."""

    projects: list[PlannedProject] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def check_place(ends: Ends) -> tuple[Note | None, Location | None]:
    """The folder's note and the store's location, if they belong together; MovedAway or MoveRefused if not."""
    note, location = read_note(ends.folder), ends.store.coordination.location()
    if location is not None and location.folder_id != (note.folder_id if note else None):
        raise moved_away(location)
    if note is not None and note.state != HERE and note.store != ends.store.data:
        reason = (
            f"{ends.folder.path} was moved to {note.store}, and store.data in projects.yaml is {ends.store.data}. "
            "Name the same place there."
        )
        raise MoveRefused(reasons={"": reason})
    return note, location


def plan_into_store(ends: Ends) -> Plan:
    """What moving the folder's files into the store would do; MoveRefused if anything is in its way."""
    note, location = check_place(ends)
    found, folder = _Findings(), ends.folder
    before, versions = last_published(folder), ends.store.coordination.all_working()
    known = frozenset({*ends.files.published.projects(), *folder.unpublished()})
    if not (known or projects_in(folder)):
        raise MoveRefused(reasons={"": f"{folder.path} holds no project."})
    _compare_keys(ends, found)
    for project in sorted({*known, *projects_in(folder)}):
        _sort(ends, project, versions.get(project), before, found, known=project in known)
    if location is not None and location.state == MOVED_OUT:
        gone = sorted(versions.keys() - projects_in(folder) - known)
        found.projects += [
            PlannedProject(project, FORGOTTEN, remark="it is no longer in the files") for project in gone
        ]
    if found.refused:
        raise MoveRefused(reasons=found.refused)
    finished = note is not None and note.state == MOVED and location is None
    finished = finished and all(item.state in (THERE, FORGOTTEN) for item in found.projects)
    return Plan(tuple(found.projects), finished)


def _compare_keys(ends: Ends, found: _Findings) -> None:
    here, there = ends.files.hash_key.read(), ends.store.hash_key.read()
    if here is not None and there is not None and here != there:
        found.refused[""] = (
            f"{ends.files.hash_key.place} is another key than {ends.store.hash_key.place}: the same identifier would "
            "have two hashes. A warehouse with hashed identifiers can be moved only into a store whose projects were "
            "hashed with the same key, or never."
        )


def _sort(
    ends: Ends,
    project: str,
    version: WorkingVersion | None,
    before: Publication | None,
    found: _Findings,
    *,
    known: bool,
) -> None:
    """Find out what is to be done with one project of the folder."""
    copy = ends.copy(project)
    if copy.known() is not None:
        found.projects.append(PlannedProject(project, THERE, version.bytes if version else 0, _run(version)))
        return
    if not copy.exists():
        if version is None:
            found.refused[project] = _lost("its mirror is missing")
        else:
            found.projects.append(PlannedProject(project, THERE, version.bytes, version.run_id))
        return
    size = copy.path.stat().st_size
    try:
        with project_locked(ends.folder, project):
            contents = read_contents(copy.path, project)
    except WarehouseBusy as problem:
        found.refused[project] = str(problem)
        return
    except (WarehouseError, OSError) as problem:
        if size <= HEADER_BYTES and not known and version is None:
            found.projects.append(PlannedProject(project, BEGUN, size))
        else:
            found.refused[project] = _lost(f"its mirror cannot be read: {why_unreadable(problem).rstrip('.')}")
        return
    if not contents.source.identity and not known and version is None:
        found.projects.append(PlannedProject(project, BEGUN, size))
        return
    _compare(ends, contents, version, before, found, size)


def _compare(
    ends: Ends,
    contents: Contents,
    version: WorkingVersion | None,
    before: Publication | None,
    found: _Findings,
    size: int,
) -> None:
    """Compare a mirror in the folder with what is published of it, and with the store's version."""
    source, project = contents.source, contents.source.project
    candidates = Candidates()
    sort_source(candidates, source, before, is_marked=project in ends.folder.unpublished(), anew=True)
    if candidates.failed:
        found.refused[project] = _lost(candidates.failed[project])
        return
    last = source.runs[-1].run_id if source.runs else ""
    planned = PlannedProject(project, TO_MOVE, size, last, remark=candidates.waiting.get(project, ""))
    if version is not None:
        state, after = _against(ends, contents, version)
        if state is None:
            found.refused[project] = (
                "the store has another mirror of this name, which does not contain this one. They are two histories, "
                "and neither was changed. Move the project under another name, or remove one of the two with "
                f"`redcap-warehouse forget {project}`."
            )
            return
        planned = PlannedProject(project, state, size, last, after, planned.remark)
    found.projects.append(planned)


def _against(ends: Ends, contents: Contents, version: WorkingVersion) -> tuple[str | None, int]:
    """What a mirror of which nothing is known is, beside the store's newest version, and what it would replace."""
    project = version.project
    if ends.copy(project).holds(Digest(version.bytes, version.sha256)):
        return TO_MOVE, version.version
    with ends.store.copies.to_read(project) as path:
        there = read_contents(path, project)
    location = ends.store.coordination.location()
    # What was in the files all the time is the later one of two with the same runs.
    if location is None and contents.is_in(there):
        return LATER_THERE, 0
    if there.is_in(contents):
        return TO_MOVE, version.version
    return (LATER_THERE, 0) if contents.is_in(there) else (None, 0)


def plan_into_files(ends: Ends) -> Plan:
    """What moving the store into the folder's files would do; MoveRefused if anything is in its way."""
    note, location = check_place(ends)
    if location is not None and location.state == MOVED_OUT:
        return Plan((), finished=note is not None and note.state == HERE)
    found, versions = _Findings(), ends.store.coordination.all_working()
    if not versions and location is None and (note is None or note.state == HERE):
        raise MoveRefused(reasons={"": "The store holds no project."})
    _compare_keys(ends, found)
    for project, holder in ends.store.coordination.held_projects().items():
        found.refused[project] = f"it is in use by {holder.loader} (run {holder.run}). Try again when that has ended."
    for version in versions.values():
        _sort_for_files(ends, version, found)
    forgotten = ends.store.coordination.forgotten()
    for project in sorted(projects_in(ends.folder) - versions.keys()):
        _sort_what_is_here_alone(ends, project, forgotten.get(project), found)
    if found.refused:
        raise MoveRefused(reasons=found.refused)
    return Plan(tuple(found.projects), finished=False)


def _sort_for_files(ends: Ends, version: WorkingVersion, found: _Findings) -> None:
    project, copy = version.project, ends.copy(version.project)
    planned = PlannedProject(project, TO_MOVE, version.bytes, version.run_id)
    if copy.exists() and copy.known() is None:
        try:
            with ends.store.copies.to_read(project) as path:
                if not read_contents(copy.path, project).is_in(read_contents(path, project)):
                    found.refused[project] = (
                        f"{copy.path} is another mirror of this name, which the store's does not contain. Neither was "
                        "changed. Move the file out of the folder first if it is not needed."
                    )
                    return
        except WarehouseError as problem:
            found.refused[project] = str(problem)
            return
    found.projects.append(planned)


def _sort_what_is_here_alone(ends: Ends, project: str, forgotten: Forgotten | None, found: _Findings) -> None:
    """A copy in the folder, of a project that the store has not: removed only if the store says that it was."""
    copy = ends.copy(project)
    known, size = copy.known(), copy.path.stat().st_size
    if known is None or known.version == 0:
        found.projects.append(PlannedProject(project, THERE, size))
    elif forgotten is not None and known.version < forgotten.version:
        found.projects.append(PlannedProject(project, FORGOTTEN, size, remark="it is no longer in the store"))
    else:
        found.refused[project] = (
            "the store has nothing of this project, and nobody removed it; this machine has a version of its mirror. "
            f"So the database has lost what was in it, or is another one. {copy.path} was kept. Name the right "
            "database in store.catalog, or restore it from its backup; or remove the project with "
            f"`redcap-warehouse forget {project}`."
        )


def _run(version: WorkingVersion | None) -> str:
    return version.run_id if version else ""


def _lost(problem: str) -> str:
    return (
        f"{problem}. Nothing can be moved before this is mended, without `store:` in projects.yaml: restore the mirror "
        "from a backup; or read the project again with `redcap-warehouse sync PROJECT --start-over`; or, if it is no "
        "longer in projects.yaml, copy what is needed from warehouse.duckdb and remove the rest with "
        "`redcap-warehouse forget PROJECT`."
    )
