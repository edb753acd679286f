"""The lock of a project's mirror: one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from pipelines.errors import WarehouseBusy
from pipelines.warehouse.folder import WarehouseFolder


@contextmanager
def project_locked(folder: WarehouseFolder, project: str) -> Iterator[None]:
    """Hold the project's lock; raises WarehouseBusy at once where another process holds it."""
    lock = FileLock(folder.project_lock(project), mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise WarehouseBusy(path=folder.mirror(project)) from None
    try:
        yield
    finally:
        lock.release()
