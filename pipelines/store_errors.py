"""Errors about the place where machines share their mirrors; see pipelines.errors for the others.

WarehouseError
├── UnknownCopy            a project's mirror on this machine was not checked out of the shared place
├── LostVersion            the store has nothing of a project of which this machine has a version
├── MoveRefused            it cannot be moved as it is; nothing was moved
└── SharedPlaceUnusable    the place that all machines share cannot be read or written
    ├── ObjectMissing      what should be there is not
    └── ObjectDamaged      it is there, and is not what was written
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import WarehouseError


class UnknownCopy(WarehouseError):
    """A project's mirror on this machine was not checked out of the shared place, so nobody knows what it holds."""

    def __init__(self, *, project: str, path: Path) -> None:
        super().__init__(
            f"{project}: {path} was not checked out of the store, most likely because this folder held a warehouse in "
            "files before. It was not changed, and nothing was loaded. Take it into the store with "
            "`redcap-warehouse move-store`, or move it out of the folder to load from the store's newest version."
        )


class LostVersion(WarehouseError):
    """This machine has a version of a project's mirror, and the store has none, though nobody removed the project."""

    def __init__(self, *, project: str, path: Path, version: int) -> None:
        super().__init__(
            f"{project}: the store's PostgreSQL has nothing of this project, and nobody removed it; this machine has "
            f"version {version} of its mirror. So the database is another one than before, or has lost what was in it. "
            f"{path} was kept, and nothing was loaded. Name the right database in store.catalog, or restore it from "
            "its backup. Only if the project is to begin anew, move the file out of the folder."
        )


class MoveRefused(WarehouseError):
    """The warehouse cannot be moved as it is."""

    def __init__(self, *, reasons: Mapping[str, str]) -> None:
        """`reasons` has a whole sentence for each project, or under "" one that concerns the whole."""
        listed = " ".join(f"{project}: {reason}" if project else reason for project, reason in reasons.items())
        super().__init__(f"the warehouse was not moved, and nothing was changed. {listed}")
        self.reasons = dict(reasons)


class SharedPlaceUnusable(WarehouseError):
    """The place that all machines share cannot be read or written."""

    def __init__(self, *, place: str, reason: str, remedy: str) -> None:
        super().__init__(f"{place} cannot be used: {reason}. What was there before is unchanged. {remedy}")


class ObjectMissing(SharedPlaceUnusable):
    """A file is not in the shared place."""

    def __init__(self, *, place: str) -> None:
        super().__init__(
            place=place,
            reason="it is not there",
            remedy="Check that the place exists; restore it from a backup if it was deleted.",
        )


class ObjectDamaged(SharedPlaceUnusable):
    """A file in the shared place is not what was written there."""

    def __init__(self, *, place: str, found: str) -> None:
        super().__init__(place=place, reason=found, remedy="Restore it from a backup.")
