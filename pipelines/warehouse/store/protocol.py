"""What a store offers: the seam between the work (loads, write-back, commands, Dagster) and where the data is kept.

A store has parts, one for each kind of question:

    published   the published warehouse, which readers open
    mirrors     the projects' private databases, and who may change one now
    marks       which loads wait to be published
    hash_key    the key that identifiers are hashed with
    rounds      what machines that load at the same time know of each other's loads

Whoever asks does not know whether the store is a folder of files (file_store.py) or a place that several machines
share. What is this machine's own in every case is the store's `folder`: staging, spilled memory, this machine's copies
of mirrors. `pipelines.store.open_store` opens the store of a configuration. Not here: the values that a store returns
(results.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from pipelines.warehouse.database.connection import Connection
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.manifest import PublishedProject
    from pipelines.warehouse.store.results import Condition, ProjectStatus, Published, Traces
    from redcap_source import RateLimiter


class PublishedStore(Protocol):
    """The published warehouse: what readers open."""

    @property
    def name(self) -> str:
        """What messages call it, in a few words: `warehouse.duckdb`."""

    @property
    def place(self) -> str:
        """Where it is, whole, for messages and for a person who wants to open it; never with a password."""

    def exists(self) -> bool:
        """Whether there is anything to open: something was published, and is still there."""

    def open(self) -> AbstractContextManager[Connection]:
        """A read-only connection whose default catalog it is; every name in SQL is one that readers use.

        Raises NotLoadedYet if nothing was published, and WarehouseUnreadable if it cannot be read.
        """

    def check_query(self, connection: Connection, text: str) -> None:
        """Raise QueryRefused for SQL of a person that does more than read what is published; before it is executed."""

    def attach(self, connection: Connection) -> Sequence[str]:
        """Attach it read-only, under the name `connection.PUBLISHED`, to a connection to a mirror.

        Called before the connection is hardened. Returns the folders and URLs that SQL must then still be able to read.
        """

    def last(self) -> Mapping[str, PublishedProject]:
        """What was published last of each project, whatever has become of it since; empty if that is not known."""

    def projects(self) -> frozenset[str]:
        """The projects of which anything is published, or was before the published warehouse was lost."""

    def source(self, project: str) -> str | None:
        """The identity of the mirror that the project was published from; None if nothing of it is published."""

    def condition(self) -> Condition:
        """Whether readers find what was published last, and what a person should know and do about it."""

    def size(self) -> int:
        """How many bytes it takes."""

    def publish(self, *, rebuild: bool = False) -> Published:
        """Publish every marked load of a configured project of which readers would see anything new.

        One process publishes at a time, on whatever machine; one that had to wait usually finds its own work done. With
        `rebuild` everything is written again from the mirrors. Raises NotAllPublished, after the others are published,
        if a project could not be.
        """


class MirrorStore(Protocol):
    """The projects' mirrors: who may change one, and where it is now."""

    def working(self, project: str, run_id: str, *, goes_on: bool = False) -> AbstractContextManager[Path]:
        """The path of the project's mirror, to be changed by this run alone: the project is locked inside.

        The path is on this machine, and nothing is there if the project was never loaded. Raises WarehouseBusy at once
        if another run has the project, on whatever machine.

        The load has ended when the block is left: what the mirror holds is then in the store, and the project is free.
        `goes_on` says that a later step of the same run, in this process, calls this again with the same `run_id`. A
        store that several machines share then keeps the lock, and stores the mirror when the last step has left its
        block; a store of files locks each time. An error that leaves the block ends the load all the same.
        """

    def end_run(self, run_id: str) -> None:
        """The run has ended: if `goes_on` still holds a project for it, that is stored and free."""

    def keep(self, project: str, connection: Connection) -> None:
        """Make what the mirror holds now safe outside this machine; only inside `working`.

        Called before something that cannot be undone, which the mirror must account for afterwards even if this machine
        is lost: before REDCap is changed, and after the outcome was recorded. `connection` is the open one to the
        mirror, outside a transaction. Where the mirror's place is this machine's folder, there is nothing to do.
        Raises WarehouseError if it is not safe; then the action must not follow.
        """

    def to_read(self, project: str) -> AbstractContextManager[Path]:
        """The path of a file with what the project's last load left, to be read only; nothing is locked.

        The path exists if `exists` says so. Opening it raises WarehouseBusy where a load changes that very file.
        """

    def exists(self, project: str) -> bool:
        """Whether the project was ever loaded: there is a mirror."""

    def projects(self) -> frozenset[str]:
        """The projects that have a mirror."""

    def place(self, project: str) -> str:
        """Where the project's mirror is, for messages; never with a password."""


class Marks(Protocol):
    """The loads that wait to be published."""

    def mark_loaded(self, project: str, run_id: str) -> None:
        """Mark the project's load as one that may be published."""

    def unmark(self, project: str) -> None:
        """Remove the mark: the project is being changed and cannot be published before its next good load."""

    def waiting(self) -> dict[str, str]:
        """Projects loaded since the last publish, with the run that loaded them."""

    def since(self, project: str) -> float:
        """When the project was marked, in seconds since 1970; now, if it is not marked any more."""


class HashKeyStore(Protocol):
    """The key with which identifiers are hashed: one for all projects, made once."""

    @property
    def place(self) -> str:
        """Where it is kept, for messages."""

    def read(self) -> str | None:
        """The key as it is kept, whether it can be used or not; None if none was made."""

    def make(self) -> str:
        """Make a key if there is none, and return the one that there is: of several that make one, the first wins."""


class Rounds(Protocol):
    """Commands that load all projects at the same time, on whatever machines, and share the work."""

    def joined(self) -> AbstractContextManager[datetime | None]:
        """Take part, inside the block; since when the first of the commands does.

        None for a store that is one machine's: then there is nobody to share with.
        """

    def loaded(self, since: datetime) -> Mapping[str, str]:
        """The projects whose newest version is a load that ended completely since then, and who loaded each."""

    def held(self) -> Mapping[str, str]:
        """The projects that a run has now, on whatever machine, and who it is."""


class Store(Protocol):
    """Where the warehouse is kept. Opening one connects to nothing; its parts connect when they are first used."""

    @property
    def folder(self) -> WarehouseFolder:
        """This machine's own folder: staging, spilled memory, how fast servers answered, its copies of mirrors."""

    @property
    def published(self) -> PublishedStore:
        """The published warehouse."""

    @property
    def mirrors(self) -> MirrorStore:
        """The projects' mirrors."""

    @property
    def marks(self) -> Marks:
        """The loads that wait to be published."""

    @property
    def hash_key(self) -> HashKeyStore:
        """The key that identifiers are hashed with."""

    @property
    def rounds(self) -> Rounds:
        """What machines that load at the same time know of each other's loads."""

    def check(self) -> list[str]:
        """Look whether loads can rely on the store, before the first one; returns what a person should know.

        Raises WarehouseError, with a line for everything that is wrong and what to do about it, if they cannot.
        """

    def remove_forgotten(self) -> list[str]:
        """Remove from this machine what another one has removed from the store; returns what a person should know.

        Only after `check`. A copy that is in use, or that has work which is nowhere else, stays.
        """

    def has_begun(self) -> bool:
        """Whether anything was ever loaded into it."""

    def rate_limiter(
        self, url: str, requests_per_minute: float | None, concurrency: int | None, sleep: Callable[[float], object]
    ) -> RateLimiter:
        """The limit on requests to the server at this URL, shared by everything that loads into this store."""

    def statuses(self, projects: Sequence[str], *, others: bool = False) -> list[ProjectStatus]:
        """The status of each of these projects; with `others`, also of those that are not in projects.yaml.

        Raises NotLoadedYet if none was ever loaded.
        """

    def find_traces(self, project: str) -> Traces:
        """Every trace of the project; changes nothing."""

    def forget(self, project: str) -> Traces:
        """Remove every trace of the project; returns what was removed.

        Raises WarehouseBusy while the project is being loaded. If it is interrupted, calling it again completes it.
        """

    def close(self) -> None:
        """Close the connections of this object; what `goes_on` holds for a later step of a run stays."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
