"""How each project stands: by its working file where no load holds it, else by what is published of it.

Nothing here writes, and nothing is proven: a working file is opened and asked for its ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.errors import NotLoadedYet, WarehouseBusy, WarehouseDamaged
from pipelines.project_names import may_be_a_project
from pipelines.warehouse.database.connection import Connection, open_reader
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


def statuses(folder: WarehouseFolder, projects: Sequence[str], *, others: bool = False) -> list[ProjectStatus]:
    """How each of these projects stands; with `others`, also those the folder knows and projects.yaml does not."""
    published = published_projects(folder)
    found = {project: _standing(folder, project, published) for project in projects}
    if others:
        found |= {
            project: replace(_standing(folder, project, published) or ProjectStatus(project), configured=False)
            for project in sorted(known_projects(folder, published).difference(projects))
        }
    if not any(found.values()) and not published:
        raise NotLoadedYet(path=folder.database)
    return [standing or ProjectStatus(project) for project, standing in found.items()]


def known_projects(folder: WarehouseFolder, published: Collection[str]) -> frozenset[str]:
    """Every project of which anything is published, waits for that, or lies in a working file."""
    files = (path.stem for path in folder.work.glob("*.duckdb") if may_be_a_project(path.stem))
    return frozenset({*published, *folder.unpublished(), *files})


def _standing(folder: WarehouseFolder, project: str, published: Collection[str]) -> ProjectStatus | None:
    path = folder.mirror(project)
    if not path.exists():
        return _lost(folder, project, published, MISSING_FILE, MISSING)
    if not path.stat().st_size:
        return _lost(folder, project, published, EMPTY, MISSING)
    try:
        with open_reader(path) as connection:
            # A first load that was killed may have come to its end before there was a ledger.
            if not has_ledger(connection) or not has_identity(connection):
                return _lost(folder, project, published, NO_LOAD, MISSING) or ProjectStatus(project)
            if (owner := owner_of(connection)) not in (None, project):
                return _without_file(folder, project, published, f"is that of the project {owner}", DAMAGED)
            standing = status_in(connection, project)
        if standing is None and project in published:
            return _published(folder, project)
        return standing or ProjectStatus(project)
    except WarehouseDamaged as problem:
        return _without_file(folder, project, published, damaged(problem), DAMAGED)
    except WarehouseBusy:
        standing = _published(folder, project) if project in published else None
        return replace(standing or ProjectStatus(project), loading=True)


def _lost(
    folder: WarehouseFolder, project: str, published: Collection[str], found: str, outcome: str
) -> ProjectStatus | None:
    """A project whose working file holds nothing; None where nothing else is known of it either."""
    if refusal(folder, project, found, published=published) is None:
        return None
    return _without_file(folder, project, published, found, outcome)


def _without_file(
    folder: WarehouseFolder, project: str, published: Collection[str], found: str, outcome: str
) -> ProjectStatus:
    """What readers still find of the project, and what its next load will be refused for."""
    standing = (_published(folder, project) if project in published else None) or ProjectStatus(project)
    return replace(standing, last_outcome=outcome, message=str(mirror_lost(folder, project, found, published)))


def _published(folder: WarehouseFolder, project: str) -> ProjectStatus | None:
    with open_published(folder) as connection:
        return status_in(connection, project)


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """How one project stands: its last run, its last good one, and what the warehouse holds of it."""

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
        """Whether its next load is refused, as there is no working file to go on from."""
        return self.last_outcome in (DAMAGED, MISSING)


def status_in(connection: Connection, project: str, *, loading: bool = False) -> ProjectStatus | None:
    row = connection.execute(statements("reading")["status"], {"project": project}).fetchone()
    if row is None:
        return None
    names = [column[0] for column in connection.description or ()]
    values = dict(zip(names, row, strict=True))
    values["not_readable"] = tuple(values["not_readable"] or ())
    return ProjectStatus(project=project, loading=loading, **values)
