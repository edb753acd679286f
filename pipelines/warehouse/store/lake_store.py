"""The store that several machines share: a DuckLake, a PostgreSQL, and a place for the mirrors.

What is published is in the lake (lake/), versions of the mirrors are beside its data (shared/), and who may load what,
which loads wait and how fast is in PostgreSQL (pipelines.coordination).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pipelines.coordination import Coordination, WorkingVersion
from pipelines.errors import NotLoadedYet, WarehouseError
from pipelines.project_names import may_be_a_project
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.lake.address import PUBLISHED_LAKE, Lake
from pipelines.warehouse.shared.adoption import AdoptingCopies
from pipelines.warehouse.shared.forgotten import copies_here, remove_forgotten
from pipelines.warehouse.shared.place import open_place
from pipelines.warehouse.shared.store_sign import FOLDER, check_sign
from pipelines.warehouse.shared.working_copies import WorkingCopies
from pipelines.warehouse.store.published_lake import PublishedLake
from pipelines.warehouse.store.results import ProjectStatus, Traces
from pipelines.warehouse.store.start_checks import judged

if TYPE_CHECKING:
    from pipelines.warehouse.database.connection import Connection
    from redcap_source import RateLimiter

_TIMES = ("last_started", "last_good", "watermark")


class LakeStore:
    """A store for several machines; every method is described in protocol.py."""

    def __init__(
        self,
        folder: WarehouseFolder,
        *,
        catalog: str,
        data: str,
        memory_limit: str | None = None,
        configured: Collection[str] | None = None,
    ) -> None:
        """`catalog` is the URL of PostgreSQL, `data` the folder or s3:// URL of everything else.

        `configured` names the projects that a publish may take up (None: all that are marked), `memory_limit` is
        DuckDB's while publishing and reading.
        """
        self.folder = folder
        self._lake = Lake(catalog, data)
        self.data = data
        """Where its data are."""
        self.coordination, self.copies = _of_this_process(folder, self._lake)
        self.published = PublishedLake(self._lake, folder, self.coordination, self.copies, configured, memory_limit)
        self.mirrors = SharedMirrors(self.coordination, self.copies, data)
        self.marks = SharedMarks(self.coordination)
        self.hash_key = SharedHashKey(self.coordination)
        self.rounds = SharedRounds(self.coordination)

    def check(self) -> list[str]:
        """PostgreSQL can be written and locks hold, the clocks agree, and the place of the data can be written."""
        refused: list[str] = []
        warned: list[str] = []
        try:
            refused, warned = judged(self.coordination.checks())
            if not refused:
                self.coordination.check_location()
        except WarehouseError as problem:
            refused.append(str(problem))
        try:
            with closing(open_place(self._lake.data)) as place:
                if refused:
                    # Without PostgreSQL, nobody knows which place it should be: nothing is made there.
                    place.names(FOLDER)
                else:
                    check_sign(place, self._lake.data, self.coordination)
                    place.check_writable()
        except WarehouseError as problem:
            refused.append(str(problem))
        if refused:
            raise WarehouseError("\n".join(refused))
        return warned

    def remove_forgotten(self) -> list[str]:
        """By what PostgreSQL remembers of `forget`."""
        return remove_forgotten(self.folder, self.coordination)

    def has_begun(self) -> bool:
        """Whether any mirror was checked in."""
        return bool(self.coordination.all_working())

    def rate_limiter(
        self, url: str, requests_per_minute: float | None, concurrency: int | None, sleep: Callable[[float], object]
    ) -> RateLimiter:
        """A limit that all machines share that use this PostgreSQL."""
        from redcap_source import RateLimiter

        shared = self.coordination.server_limit(url)
        return RateLimiter(requests_per_minute, concurrency, shared=shared, name=url, sleep=sleep)

    def statuses(self, projects: Sequence[str], *, others: bool = False) -> list[ProjectStatus]:
        """What the check-ins said of the mirrors; no mirror is read."""
        found, waiting = self.coordination.all_working(), self.coordination.unpublished()
        held = self.coordination.held_projects()
        known = {*found, *waiting}
        if not known:
            raise NotLoadedYet(path=PUBLISHED_LAKE)
        names = [*projects, *(sorted(known.difference(projects)) if others else ())]
        return [
            replace(
                _status(name, found.get(name)),
                loading=name in held,
                waiting=name in waiting,
                configured=name in projects,
            )
            for name in names
        ]

    def find_traces(self, project: str) -> Traces:
        """What the lake, PostgreSQL and the shared place have of it."""
        if not may_be_a_project(project):
            return Traces(project)
        schemas, rows, unfinished = self.published.traces(project)
        known = self.coordination.working(project)
        files = (*([self.mirrors.place(project)] if known is not None else ()), *copies_here(self.folder, project))
        recorded = project in self.published.projects() or project in self.coordination.unpublished()
        if unfinished and not recorded:
            # The same command, interrupted, has left it in earlier snapshots.
            recorded = project in self.coordination.forgotten()
        return Traces(project, schemas, rows, files, recorded)

    def forget(self, project: str) -> Traces:
        """Its mirror first: then nothing of it can be published any more, and the lake is freed of it."""
        found = self.find_traces(project)
        if may_be_a_project(project):
            self.folder.make()
            self.copies.forget(project, f"forget-{secrets.token_hex(3)}")
            self.folder.clear_staging(project)
            self.published.forget(project)
        return found

    def close(self) -> None:
        """Close connections; what a run that goes on holds is kept."""
        self.published.close()
        self.coordination.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@cache
def _of_this_process(folder: WarehouseFolder, lake: Lake) -> tuple[Coordination, AdoptingCopies]:
    """What all stores of one place share in this process: a run keeps its project from one step to the next."""
    coordination = Coordination(lake.catalog)
    place = open_place(lake.data)
    return coordination, AdoptingCopies(folder, place, coordination, status=_status_of_mirror)


def _status_of_mirror(project: str, path: Path) -> Mapping[str, object] | None:
    from pipelines.warehouse.published.status import status_in

    status = status_in(path, project)
    return None if status is None else asdict(status)


def _status(project: str, version: WorkingVersion | None) -> ProjectStatus:
    if version is None or version.status is None:
        return ProjectStatus(project)
    values: dict[str, Any] = dict(version.status)
    values |= {name: datetime.fromisoformat(values[name]) for name in _TIMES if values[name] is not None}
    return ProjectStatus(**{**values, "not_readable": tuple(values["not_readable"])})


class SharedMirrors:
    """The mirrors: versions in the shared place, and this machine's working copies."""

    def __init__(self, coordination: Coordination, copies: WorkingCopies, data: str) -> None:
        self._coordination = coordination
        self._copies = copies
        self._data = data.rstrip("/")

    @contextmanager
    def working(self, project: str, run_id: str, *, goes_on: bool = False) -> Iterator[Path]:
        """Locked on all machines, checked out before, and checked in afterwards."""
        self._copies.folder.make()
        with self._copies.working(project, run_id, finish=not goes_on) as path:
            yield path

    def end_run(self, run_id: str) -> None:
        """Checked in and freed."""
        self._copies.end_run(run_id)

    def keep(self, project: str, connection: Connection) -> None:
        """Checked in while it is open."""
        connection.execute("CHECKPOINT")
        self._copies.check_in_now(project)

    @contextmanager
    def to_read(self, project: str) -> Iterator[Path]:
        """The newest version that was checked in."""
        # A machine that has loaded nothing yet has no folder.
        self._copies.folder.make()
        with self._copies.to_read(project) as path:
            yield path

    def exists(self, project: str) -> bool:
        """Whether a version was checked in."""
        return self._coordination.working(project) is not None

    def projects(self) -> frozenset[str]:
        """Those of which a version was checked in."""
        return frozenset(self._coordination.all_working())

    def place(self, project: str) -> str:
        """The folder of the project's versions."""
        return f"{self._data}/mirrors/{project}"


class SharedMarks:
    """The marks, in PostgreSQL."""

    def __init__(self, coordination: Coordination) -> None:
        self._coordination = coordination

    def mark_loaded(self, project: str, run_id: str) -> None:
        """The mark counts when the mirror that has this run is checked in."""
        self._coordination.mark_loaded(project, run_id)

    def unmark(self, project: str) -> None:
        """Remove the project's mark."""
        self._coordination.unmark(project)

    def waiting(self) -> dict[str, str]:
        """The marks that are there."""
        return self._coordination.unpublished()

    def since(self, project: str) -> float:
        """When the mirror was checked in."""
        found = self._coordination.working(project)
        return time.time() if found is None else found.checked_in_at.timestamp()


class SharedHashKey:
    """The key, in PostgreSQL."""

    def __init__(self, coordination: Coordination) -> None:
        self._coordination = coordination

    @property
    def place(self) -> str:
        """Not a file."""
        return "the key in the store's PostgreSQL"

    def read(self) -> str | None:
        """The one key."""
        return self._coordination.hash_key()

    def make(self) -> str:
        """The first that was made holds."""
        return self._coordination.make_hash_key(secrets.token_hex(32))


class SharedRounds:
    """Who loads and has loaded what, by PostgreSQL and its clock."""

    def __init__(self, coordination: Coordination) -> None:
        self._coordination = coordination

    def joined(self) -> AbstractContextManager[datetime]:
        """A lock that the commands of a round have together."""
        return self._coordination.round()

    def loaded(self, since: datetime) -> Mapping[str, str]:
        """By what was checked in; a write-back checks in a mirror as well, which is no load."""
        return {
            name: version.loader
            for name, version in self._coordination.all_working().items()
            if version.checked_in_at >= since and _is_complete_load(version)
        }

    def held(self) -> Mapping[str, str]:
        """By the locks."""
        return {name: holder.loader for name, holder in self._coordination.held_projects().items()}


def _is_complete_load(version: WorkingVersion) -> bool:
    status = version.status or {}
    return status.get("last_run") == version.run_id and status.get("last_outcome") == "ok"
