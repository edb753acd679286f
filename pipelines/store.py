"""Opens the store of a configuration: the one place that knows which stores there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.warehouse.folder import WarehouseFolder

if TYPE_CHECKING:
    from pipelines.config.settings import Config
    from pipelines.config.store import StoreConfig
    from pipelines.coordination import Coordination
    from pipelines.warehouse.store.protocol import Store


def open_store(config: Config) -> Store:
    """The store that projects.yaml describes; close it when it is no longer needed.

    Opening it connects to nothing, and creates nothing. Raises ConfigError if what the store needs is not installed, or
    if the URL of its catalog is not where the file says.
    """
    if config.store is not None:
        from pipelines.warehouse.database.extensions import check_extras

        check_extras(in_bucket=config.store.in_bucket)
        from pipelines.warehouse.store.lake_store import LakeStore

        return LakeStore(
            WarehouseFolder(config.warehouse),
            catalog=config.store.catalog.read(),
            data=config.store.data,
            memory_limit=config.memory_limit,
            configured=config.projects,
        )
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
