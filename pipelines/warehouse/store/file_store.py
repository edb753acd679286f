"""The store of files: one folder on one machine, with warehouse.duckdb and the projects' mirrors in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pipelines.sharing import PRIVATE, Sharing
from pipelines.warehouse.folder import WarehouseFolder, projects_in
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.manifest import PublishedProject, last_published
from pipelines.warehouse.published_file import open_published, published_projects, published_source
from pipelines.warehouse.store.hash_key_file import HashKeyFile
from pipelines.warehouse.store.moved import refuse_if_moved

if TYPE_CHECKING:
    from pipelines.warehouse.database.connection import Connection
    from pipelines.warehouse.store.results import Condition, ProjectStatus, Published, Traces
    from redcap_source import RateLimiter

# What a command or a load may not need is imported where it is used: a quiet night is short.


class FileStore:
    """A warehouse folder as a store; every method is described in protocol.py."""

    def __init__(
        self,
        folder: WarehouseFolder,
        *,
        memory_limit: str | None = None,
        configured: Collection[str] | None = None,
        sharing: Sharing = PRIVATE,
    ) -> None:
        """`configured` names the projects that a publish may take up (None: all that are marked).

        `memory_limit` is DuckDB's while publishing; `sharing` is the mode and the group of the published file.
        """
        self.folder = folder
        self.published = PublishedFile(folder, memory_limit, configured, sharing)
        self.mirrors = MirrorFiles(folder)
        self.marks = MarkFiles(folder)
        self.hash_key = HashKeyFile(folder.hash_key)
        self.rounds = NoRounds()
        self._memory_limit = memory_limit
        self._sharing = sharing

    def check(self) -> list[str]:
        """Files are checked when they are opened; here only, whether the warehouse is still in them."""
        refuse_if_moved(self.folder)
        return []

    def remove_forgotten(self) -> list[str]:
        """There is no other machine."""
        return []

    def has_begun(self) -> bool:
        """Whether the folder is there."""
        return self.folder.work.exists()

    def rate_limiter(
        self, url: str, requests_per_minute: float | None, concurrency: int | None, sleep: Callable[[float], object]
    ) -> RateLimiter:
        """A limit that all processes share that use this folder."""
        from redcap_source import RateLimiter

        return RateLimiter(requests_per_minute, concurrency, folder=self.folder.pace, name=url, sleep=sleep)

    def statuses(self, projects: Sequence[str], *, others: bool = False) -> list[ProjectStatus]:
        """Read from the ledgers of the mirrors."""
        from pipelines.warehouse.published.status import statuses

        return statuses(self.folder, projects, others=others)

    def find_traces(self, project: str) -> Traces:
        """What the folder and the published file have of it."""
        from pipelines.warehouse.forget import find_traces

        return find_traces(self.folder, project)

    def forget(self, project: str) -> Traces:
        """Remove it from the folder and from the published file."""
        from pipelines.warehouse.forget import forget

        refuse_if_moved(self.folder)
        return forget(self.folder, project, memory_limit=self._memory_limit, sharing=self._sharing)

    def close(self) -> None:
        """Nothing stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PublishedFile:
    """The published file, warehouse.duckdb."""

    def __init__(
        self, folder: WarehouseFolder, memory_limit: str | None, configured: Collection[str] | None, sharing: Sharing
    ) -> None:
        self._folder = folder
        self._memory_limit = memory_limit
        self._configured = configured
        self._sharing = sharing

    @property
    def name(self) -> str:
        """The file's name."""
        return self._folder.database.name

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self._folder.database)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._folder.database.exists()

    @contextmanager
    def open(self) -> Iterator[Connection]:
        """Raises WarehouseDamaged for another database under its name."""
        with open_published(self._folder) as connection:
            yield connection

    def check_query(self, connection: Connection, text: str) -> None:
        """Nothing else can be reached from a connection to the file."""

    def attach(self, connection: Connection) -> Sequence[str]:
        """An attached file can be read without being listed."""
        from pipelines.warehouse.database.connection import attach_published

        attach_published(connection, self._folder.database)
        return ()

    def last(self) -> Mapping[str, PublishedProject]:
        """What the manifest says."""
        last = last_published(self._folder)
        return last.projects if last else {}

    def projects(self) -> frozenset[str]:
        """By the manifest, or without one by the file."""
        return published_projects(self._folder)

    def source(self, project: str) -> str | None:
        """By the manifest, or without one by the file."""
        return published_source(self._folder, project)

    def condition(self) -> Condition:
        """Found by comparing the file with the manifest."""
        from pipelines.warehouse.published.file_state import published_file

        return published_file(self._folder)

    def size(self) -> int:
        """The size of the file."""
        return self._folder.database.stat().st_size

    def publish(self, *, rebuild: bool = False) -> Published:
        """Replace the file by a new version, where readers would see anything new."""
        from pipelines.warehouse.publishing.publish import publish

        refuse_if_moved(self._folder)
        return publish(
            self._folder,
            memory_limit=self._memory_limit,
            configured=self._configured,
            sharing=self._sharing,
            rebuild=rebuild,
        )


class MirrorFiles:
    """The mirrors, each a file in the folder that is changed in its place."""

    def __init__(self, folder: WarehouseFolder) -> None:
        self._folder = folder

    @contextmanager
    def working(self, project: str, run_id: str, *, goes_on: bool = False) -> Iterator[Path]:
        """Locked each time: where all steps of a run find the same file, a load in between is noticed by its own."""
        self._folder.make()
        with project_locked(self._folder, project):
            refuse_if_moved(self._folder)
            yield self._folder.mirror(project)

    def end_run(self, run_id: str) -> None:
        """Nothing is held between two blocks."""

    def keep(self, project: str, connection: Connection) -> None:
        """The file is where it stays; DuckDB has written what was committed to the disk."""

    @contextmanager
    def to_read(self, project: str) -> Iterator[Path]:
        """The file itself."""
        yield self._folder.mirror(project)

    def exists(self, project: str) -> bool:
        """Whether the file is there."""
        return self._folder.mirror(project).exists()

    def projects(self) -> frozenset[str]:
        """Those whose file is there."""
        return projects_in(self._folder)

    def place(self, project: str) -> str:
        """The file's path."""
        return str(self._folder.mirror(project))


class MarkFiles:
    """The marks, each a file in the folder that names the run."""

    def __init__(self, folder: WarehouseFolder) -> None:
        self._folder = folder

    def mark_loaded(self, project: str, run_id: str) -> None:
        """Write the project's mark."""
        self._folder.mark_loaded(project, run_id)

    def unmark(self, project: str) -> None:
        """Remove the project's mark."""
        self._folder.unmark(project)

    def waiting(self) -> dict[str, str]:
        """The marks that are there."""
        return self._folder.unpublished()

    def since(self, project: str) -> float:
        """When the mark was written."""
        try:
            return self._folder.mark(project).stat().st_mtime
        except FileNotFoundError:
            # Published, or loaded again, since the marks were read.
            return time.time()


class NoRounds:
    """A folder is one machine's, and a command that finds a project in use says so."""

    def joined(self) -> AbstractContextManager[None]:
        """Nobody to share with."""
        return nullcontext()

    def loaded(self, since: datetime) -> Mapping[str, str]:
        """Nothing by others."""
        return {}

    def held(self) -> Mapping[str, str]:
        """Nothing by others."""
        return {}
