"""Opens the store of a configuration: the one place that knows which stores there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.errors import ConfigError
from pipelines.warehouse.folder import WarehouseFolder

if TYPE_CHECKING:
    from pipelines.config.settings import Config
    from pipelines.config.store import StoreConfig
    from pipelines.coordination import Coordination
    from pipelines.warehouse.moving.plan import Ends
    from pipelines.warehouse.store.file_store import FileStore
    from pipelines.warehouse.store.lake_store import LakeStore
    from pipelines.warehouse.store.protocol import Store


@contextmanager
def open_ends(config: Config) -> Iterator[Ends]:
    """The files of the warehouse folder, and the store of projects.yaml, for moving from one to the other.

    Raises ConfigError if the file has no `store:`.
    """
    if config.store is None:
        raise ConfigError(
            "there is no `store:`, which names the store to move into or out of.",
            where=str(config.path),
            remedy="Nothing was moved. docs/howto/several-machines.md says how to set one up.",
        )
    from pipelines.warehouse.moving.plan import Ends
    from pipelines.warehouse.store.moved import read_note

    files = open_files(config)
    # What was published of a project that is no longer in projects.yaml stays published.
    store = open_lake(config, config.store, {*config.projects, *files.published.projects()})
    note = read_note(files.folder)
    with files, store, store.coordination.moving(note.folder_id if note else ""):
        yield Ends(files, store)


def open_store(config: Config) -> Store:
    """The store that projects.yaml describes; close it when it is no longer needed.

    Opening it connects to nothing, and creates nothing. Raises ConfigError if what the store needs is not installed, or
    if the URL of its catalog is not where the file says.
    """
    if config.store is not None:
        return open_lake(config, config.store, config.projects)
    return open_files(config)


def open_lake(config: Config, store: StoreConfig, projects: Collection[str]) -> LakeStore:
    """The store of several machines; `projects` are those that a publish may take up."""
    from pipelines.warehouse.database.extensions import check_extras

    check_extras(in_bucket=store.in_bucket)
    from pipelines.warehouse.store.lake_store import LakeStore

    return LakeStore(
        WarehouseFolder(config.warehouse),
        catalog=store.catalog.read(),
        data=store.data,
        memory_limit=config.memory_limit,
        configured=projects,
    )


def open_files(config: Config) -> FileStore:
    """The store of files."""
    from pipelines.warehouse.store.file_store import FileStore

    return FileStore(
        WarehouseFolder(config.warehouse),
        memory_limit=config.memory_limit,
        configured=config.projects,
        sharing=config.published,
    )


def open_coordination(store: StoreConfig) -> Coordination:
    """What the machines that share a store agree on, for what is asked without a store; close it afterwards.

    Opening it connects to nothing.
    """
    from pipelines.coordination import Coordination

    return Coordination(store.catalog.read())
