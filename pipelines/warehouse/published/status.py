"""The status of each project: from its mirror, or from the published file while a load has the mirror locked.

Nothing here writes, and nothing is verified: only the ledger of a mirror is read. Whatever has become of the published
file, the mirrors are read all the same. Not here: the published file itself (file_state.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pipelines.errors import NotLoadedYet, WarehouseBusy, WarehouseDamaged, WarehouseError
from pipelines.warehouse.database.connection import Connection, open_in_turn, open_reader
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.folder import WarehouseFolder, projects_in
from pipelines.warehouse.mirror.identity import (
    EMPTY,
    MISSING_FILE,
    NO_LOAD,
    damaged,
    has_identity,
    mirror_lost,
    refusal,
)
from pipelines.warehouse.published_file import has_ledger, open_published, published_projects
from pipelines.warehouse.sql import statements
from pipelines.warehouse.store.results import DAMAGED, MISSING, ProjectStatus

Opened = Callable[..., AbstractContextManager[Connection]]


def statuses(folder: WarehouseFolder, projects: Sequence[str], *, others: bool = False) -> list[ProjectStatus]:
    """The status of each of these projects; with `others`, also of those that are not in projects.yaml."""
    published = _Published(folder)
    waiting = folder.unpublished()
    more = sorted(known_projects(folder, published.projects).difference(projects)) if others else []
    names = [*projects, *more]
    files = [path for name in names if (path := folder.mirror(name)).exists()]
    with open_in_turn(files) as opened:
        found = {name: _status(folder, name, published, opened) for name in names}
    if not any(found.values()) and not more and not published.projects:
        raise NotLoadedYet(path=folder.database)
    return [
        replace(status or ProjectStatus(name), configured=name in projects, waiting=name in waiting)
        for name, status in found.items()
    ]


def known_projects(folder: WarehouseFolder, published: Collection[str]) -> frozenset[str]:
    """Every project that is published, waits to be published, or has a mirror."""
    return frozenset({*published, *folder.unpublished(), *projects_in(folder)})


class _Published:
    """What is published, read only where a mirror cannot be."""

    def __init__(self, folder: WarehouseFolder) -> None:
        self._folder = folder

    @cached_property
    def projects(self) -> frozenset[str]:
        with suppress(WarehouseError):
            return published_projects(self._folder)
        return frozenset()

    @cached_property
    def _statuses(self) -> Mapping[str, ProjectStatus]:
        """The published status of every project; none where the file cannot be read."""
        with suppress(WarehouseError), open_published(self._folder) as connection:
            found = connection.execute(statements("reading")["published_statuses"])
            names = [column[0] for column in found.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            return {
                row["project"]: ProjectStatus(**{**row, "not_readable": tuple(row["not_readable"])}) for row in rows
            }
        return {}

    def status(self, project: str) -> ProjectStatus | None:
        """What is published of a project; None if nothing is, or it cannot be read."""
        return self._statuses.get(project) if project in self.projects else None


def _status(folder: WarehouseFolder, project: str, published: _Published, opened: Opened) -> ProjectStatus | None:
    path = folder.mirror(project)
    if not path.exists():
        return _lost(folder, project, published, MISSING_FILE, MISSING)
    if not path.stat().st_size:
        return _lost(folder, project, published, EMPTY, MISSING)
    try:
        with opened(path) as connection:
            found = _read(connection, project)
    except WarehouseDamaged as problem:
        return _without_file(folder, project, published, damaged(problem), DAMAGED)
    except WarehouseBusy:
        return replace(published.status(project) or ProjectStatus(project), loading=True)
    except WarehouseError:
        # A first load that was killed may have ended before there was a ledger.
        if _is_begun(folder, project):
            raise
        found = NO_LOAD
    if found == NO_LOAD:
        return _lost(folder, project, published, NO_LOAD, MISSING) or ProjectStatus(project)
    if isinstance(found, str):
        return _without_file(folder, project, published, found, DAMAGED)
    if found is None:
        return published.status(project) or ProjectStatus(project)
    return found


def status_in(path: Path, project: str) -> ProjectStatus | None:
    """The status of a project according to its mirror; None if nothing was loaded into it."""
    with open_reader(path) as connection:
        found = _read(connection, project)
    return found if isinstance(found, ProjectStatus) else None


def _read(mirror: Connection, project: str) -> ProjectStatus | str | None:
    """The status according to the mirror; what is wrong with it instead, or None if it has no load."""
    runs = mirror.execute(statements("reading")["mirror_runs"]).fetchall()
    loads = [run for run in map(_Run._make, runs) if run.mode != "writeback"]
    values = {"run": loads[0].run_id if loads else None}
    totals = one(mirror, statements("reading")["mirror_totals"], values)
    identities, records, rows, changes, invalid, drift, hidden, not_readable = totals or (0,) * 8
    if not identities:
        return NO_LOAD
    if runs and project not in {run[0] for run in runs}:
        return f"is that of the project {runs[0][0]}"
    if not loads:
        return None
    last, good = loads[0], next((run for run in loads if run.outcome == "ok"), None)
    return ProjectStatus(
        project=project,
        last_run=last.run_id,
        last_outcome=last.outcome,
        last_started=last.started_at,
        message=last.message,
        last_good=good.finished_at if good else None,
        watermark=good.watermark_to if good else None,
        records=records,
        rows=rows,
        changes=changes,
        invalid_values=invalid,
        quarantined=last.records_quarantined or 0,
        drift=drift,
        hidden_fields=hidden,
        not_readable=tuple(not_readable or ()),
    )


class _Run(NamedTuple):
    """A row of `mirror_runs`."""

    project: str
    run_id: str
    mode: str | None
    outcome: str | None
    started_at: datetime | None
    message: str | None
    finished_at: datetime | None
    watermark_to: datetime | None
    records_quarantined: int | None


def _is_begun(folder: WarehouseFolder, project: str) -> bool:
    with open_reader(folder.mirror(project)) as connection:
        return has_ledger(connection) and has_identity(connection)


def _lost(
    folder: WarehouseFolder, project: str, published: _Published, found: str, outcome: str
) -> ProjectStatus | None:
    """The status of a project whose mirror holds nothing; None if nothing else is known of it."""
    waiting, place = folder.unpublished(), str(folder.mirror(project))
    if refusal(project, place, found, published=published.projects, waiting=waiting) is None:
        return None
    return _without_file(folder, project, published, found, outcome)


def _without_file(
    folder: WarehouseFolder, project: str, published: _Published, found: str, outcome: str
) -> ProjectStatus:
    """What is published of the project, with the reason why its next load will be refused."""
    status = published.status(project) or ProjectStatus(project)
    waiting, place = folder.unpublished(), str(folder.mirror(project))
    lost = mirror_lost(project, place, found, published=published.projects, waiting=waiting)
    return replace(status, last_outcome=outcome, message=str(lost))
