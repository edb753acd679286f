"""Opens the store of a configuration: the one place that knows which stores there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.warehouse.folder import WarehouseFolder

if TYPE_CHECKING:
    from pipelines.config.settings import Config
    from pipelines.warehouse.store.protocol import Store


def open_store(config: Config) -> Store:
    """The store that projects.yaml describes; close it when it is no longer needed.

    Opening it connects to nothing, and creates nothing.
    """
    from pipelines.warehouse.store.file_store import FileStore

    return FileStore(
        WarehouseFolder(config.warehouse),
        memory_limit=config.memory_limit,
        configured=config.projects,
        sharing=config.published,
    )
