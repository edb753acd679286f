"""The status of each project: from its mirror, or from the published file while a load has the mirror locked.

Nothing here writes, and nothing is verified: only the ledger of a mirror is read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.errors import NotLoadedYet, WarehouseBusy, WarehouseDamaged
from pipelines.project_names import may_be_a_project
from pipelines.warehouse.database.connection import Connection, open_reader
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.mirror.identity import (
    EMPTY,
    MISSING_FILE,
    NO_LOAD,
    damaged,
    has_identity,
    mirror_lost,
    owner_of,
    published_projects,
    refusal,
)
from pipelines.warehouse.published.query import DAMAGED, MISSING
from pipelines.warehouse.published_file import has_ledger, open_published
from pipelines.warehouse.sql import statements


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """The status of one project: its last load, its last good one, and what the warehouse holds of it."""

    project: str
    last_run: str | None = None
    last_outcome: str | None = None
    last_started: datetime | None = None
    message: str | None = None
    last_good: datetime | None = None
    watermark: datetime | None = None
    records: int | None = None
    rows: int | None = None
    changes: int | None = None
    invalid_values: int | None = None
    quarantined: int | None = None
    drift: int | None = None
    hidden_fields: int | None = None
    not_readable: tuple[str, ...] = ()
    loading: bool = False
    configured: bool = True
    """Whether projects.yaml still has the project."""

    @property
    def lost(self) -> bool:
        """Whether its next load will be refused, because there is no mirror to continue."""
        return self.last_outcome in (DAMAGED, MISSING)


def statuses(folder: WarehouseFolder, projects: Sequence[str], *, others: bool = False) -> list[ProjectStatus]:
    """The status of each of these projects; with `others`, also of those that are not in projects.yaml."""
    published = published_projects(folder)
    found = {project: _status(folder, project, published) for project in projects}
    if others:
        found |= {
            project: replace(_status(folder, project, published) or ProjectStatus(project), configured=False)
            for project in sorted(known_projects(folder, published).difference(projects))
        }
    if not any(found.values()) and not published:
        raise NotLoadedYet(path=folder.database)
    return [status or ProjectStatus(project) for project, status in found.items()]


def known_projects(folder: WarehouseFolder, published: Collection[str]) -> frozenset[str]:
    """Every project that is published, waits to be published, or has a mirror."""
    files = (path.stem for path in folder.work.glob("*.duckdb") if may_be_a_project(path.stem))
    return frozenset({*published, *folder.unpublished(), *files})


def _status(folder: WarehouseFolder, project: str, published: Collection[str]) -> ProjectStatus | None:
    path = folder.mirror(project)
    if not path.exists():
        return _lost(folder, project, published, MISSING_FILE, MISSING)
    if not path.stat().st_size:
        return _lost(folder, project, published, EMPTY, MISSING)
    try:
        with open_reader(path) as connection:
            # A first load that was killed may have ended before there was a ledger.
            if not has_ledger(connection) or not has_identity(connection):
                return _lost(folder, project, published, NO_LOAD, MISSING) or ProjectStatus(project)
            if (owner := owner_of(connection)) not in (None, project):
                return _without_file(folder, project, published, f"is that of the project {owner}", DAMAGED)
            status = status_in(connection, project)
        if status is None and project in published:
            return _published(folder, project)
        return status or ProjectStatus(project)
    except WarehouseDamaged as problem:
        return _without_file(folder, project, published, damaged(problem), DAMAGED)
    except WarehouseBusy:
        status = _published(folder, project) if project in published else None
        return replace(status or ProjectStatus(project), loading=True)


def _lost(
    folder: WarehouseFolder, project: str, published: Collection[str], found: str, outcome: str
) -> ProjectStatus | None:
    """The status of a project whose mirror holds nothing; None if nothing else is known of it."""
    if refusal(folder, project, found, published=published) is None:
        return None
    return _without_file(folder, project, published, found, outcome)


def _without_file(
    folder: WarehouseFolder, project: str, published: Collection[str], found: str, outcome: str
) -> ProjectStatus:
    """What is published of the project, with the reason why its next load will be refused."""
    status = (_published(folder, project) if project in published else None) or ProjectStatus(project)
    return replace(status, last_outcome=outcome, message=str(mirror_lost(folder, project, found, published)))


def _published(folder: WarehouseFolder, project: str) -> ProjectStatus | None:
    with open_published(folder) as connection:
        return status_in(connection, project)


def status_in(connection: Connection, project: str) -> ProjectStatus | None:
    """The status of a project according to a mirror or the published file; None if it has no load."""
    row = one(connection, statements("reading")["status"], {"project": project})
    if row is None:
        return None
    names = [column[0] for column in connection.description or ()]
    values = dict(zip(names, row, strict=True))
    values["not_readable"] = tuple(values["not_readable"] or ())
    return ProjectStatus(project=project, **values)
