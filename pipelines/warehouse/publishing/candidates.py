"""Which projects a publish takes up, and in what state their mirrors are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from pipelines.errors import ForeignMirror, LoadUnfinished, WarehouseBusy, WarehouseDamaged, WarehouseError
from pipelines.warehouse.database.connection import HEADER_BYTES, DatabaseError, open_in_turn, open_reader
from pipelines.warehouse.database.file_errors import reason_of
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.folder import WarehouseFolder, projects_in
from pipelines.warehouse.manifest import Publication
from pipelines.warehouse.published_file import has_ledger, published_projects
from pipelines.warehouse.publishing.source import ENDED_WELL, MirrorSource, read_source
from pipelines.warehouse.sql import statements
from pipelines.warehouse.store.protocol import Store
from pipelines.warehouse.tables.layout import OTHER_FORMAT

LOADING = "it is being loaded; it is published when that load has ended"
UNFINISHED = (
    "its last load did not end well after it had changed rows, and its earlier state was only in the published file; "
    "it is published again after its next good load"
)


@dataclass(slots=True)
class Candidates:
    """What a publish found of the projects it takes up."""

    sources: list[MirrorSource] = field(default_factory=list)
    """Those to write."""
    unchanged: list[MirrorSource] = field(default_factory=list)
    """Those of which readers would see nothing new."""
    failed: dict[str, str] = field(default_factory=dict)
    """Those whose mirrors cannot be published, with the reason."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Those that are not published now, though nothing is wrong with their files, with the reason."""

    def any_refreshed(self, before: Publication) -> bool:
        """Whether any project of which readers would see nothing new was read as a whole since it was published."""
        return any(source.was_refreshed_after(before.projects[source.project].run) for source in self.unchanged)

    def drop(self, project: str) -> None:
        """Leave a project out."""
        self.sources = [source for source in self.sources if source.project != project]
        self.unchanged = [source for source in self.unchanged if source.project != project]
        self.failed.pop(project, None)
        self.waiting.pop(project, None)


def release(store: Store, project: str) -> None:
    """Mark the project's last load for the next publish; raises LoadUnfinished if it did not end well."""
    run_id, outcome = _last_run(store, project)
    if outcome not in ENDED_WELL:
        raise LoadUnfinished(project=project, outcome=outcome)
    store.marks.mark_loaded(project, run_id)


def _last_run(store: Store, project: str) -> tuple[str, str]:
    if not store.mirrors.exists(project):
        return "", "never loaded"
    with store.mirrors.to_read(project) as path, open_reader(path) as connection:
        row = one(connection, statements("runs")["last_run"]) if has_ledger(connection) else None
    return (row[0], row[1]) if row else ("", "never loaded")


def marked(folder: WarehouseFolder, configured: Collection[str] | None) -> dict[str, str]:
    """Projects that wait to be published, with the run that loaded them; only configured ones, if that is given."""
    found = folder.unpublished()
    return {project: run for project, run in found.items() if configured is None or project in configured}


def every_project(folder: WarehouseFolder, before: Publication | None) -> set[str]:
    """Every project that the published file should have, marked or not."""
    if before is not None:
        return {*before.projects, *before.left_out}
    # An earlier version of the warehouse published it, or the manifest is lost: the mirrors say what there is.
    found = {project for project in projects_in(folder) if _may_be_published(folder, project)}
    with suppress(WarehouseError):
        found |= published_projects(folder)
    return found


def _may_be_published(folder: WarehouseFolder, project: str) -> bool:
    """Whether a load of the project ever ended well, as far as can be told."""
    path = folder.mirror(project)
    if path.stat().st_size <= HEADER_BYTES:
        return False
    try:
        with open_reader(path) as connection:
            return has_ledger(connection) and one(connection, statements("runs")["last_good_load"]) != (None,)
    except WarehouseBusy:
        # If this is its first load, there is nothing to publish yet; it is marked when it has ended.
        return False
    except (WarehouseError, OSError):
        return True


def find_candidates(
    folder: WarehouseFolder, waiting: Mapping[str, str], before: Publication | None, *, anew: bool
) -> Candidates:
    """Read the mirrors of the projects to publish; with `anew`, of all that the published file should have.

    `waiting` are the marked projects, with the run of each; `before` is what was published last.
    """
    found = Candidates()
    projects = {*waiting, *(before.left_out if before else ())}
    if anew:
        projects |= every_project(folder, before)
    with open_in_turn([folder.mirror(project) for project in projects]) as opened:
        for project in sorted(projects):
            entry = before.projects.get(project) if before and not anew else None
            try:
                with opened(folder.mirror(project)) as connection:
                    source = read_source(connection, project, published=entry)
            except WarehouseBusy:
                found.waiting[project] = LOADING
                continue
            except (DatabaseError, OSError, WarehouseError) as problem:
                found.failed[project] = why_unreadable(problem)
                continue
            # A load that began meanwhile has removed the mark before it wrote anything.
            sort_source(found, source, before, is_marked=project in folder.unpublished(), anew=anew)
    return found


def sort_source(
    found: Candidates, source: MirrorSource, before: Publication | None, *, is_marked: bool, anew: bool
) -> None:
    """Enter a project among those to write, or where else it belongs.

    `is_marked` says whether its last load waited to be published after its mirror was read.
    """
    project = source.project
    entry = before.projects.get(project) if before else None
    if not source.is_ours:
        found.failed[project] = OTHER_FORMAT
    elif entry and source.identity != entry.identity and entry.identity not in source.replaced:
        found.failed[project] = str(ForeignMirror(project=project))
    elif not is_marked and (reason := _held_back(source, before)):
        found.waiting[project] = reason
    elif not anew and source.is_as(entry):
        found.unchanged.append(source)
    else:
        found.sources.append(source)


def _held_back(source: MirrorSource, before: Publication | None) -> str | None:
    """Why a project that is not marked must not be published in the state its mirror is in; None if it may."""
    run = ""
    if before is not None:
        entry = before.projects.get(source.project)
        run = entry.run if entry else before.left_out.get(source.project, "")
    if not source.has_run(run):
        # Not known, or the mirror was restored from a backup that is older.
        run = source.last_good_load
    return UNFINISHED if not run or source.was_changed_after(run) else None


def why_unreadable(problem: BaseException) -> str:
    """Why a mirror cannot be published, in words that quote no data."""
    if isinstance(problem, WarehouseDamaged):
        return f"it is damaged: {problem.found}"
    if isinstance(problem, WarehouseError):
        return str(problem)
    return reason_of(problem)
