"""What the tests of shared places have in common: a database of a PostgreSQL, and machines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.coordination import Coordination
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.shared.adoption import AdoptingCopies
from pipelines.warehouse.shared.folder_place import FolderPlace
from tests.support.postgres import RunningPostgres

_numbers = itertools.count()


@pytest.fixture
def database(postgres: RunningPostgres) -> str:
    """The URL of a database that is empty."""
    return postgres.new_database(f"shared{next(_numbers)}")


@pytest.fixture
def machine(database: str, tmp_path: Path) -> Iterator[Callable[..., AdoptingCopies]]:
    """Makes a machine with a folder of its own; all share one database and, if nothing else is given, one folder."""
    made: list[tuple[AdoptingCopies, Coordination]] = []

    def make(name: str = "one", **options: object) -> AdoptingCopies:
        coordination = Coordination(database, loader=f"{name}:1")
        folder = WarehouseFolder(tmp_path / name)
        folder.make()
        place = options.pop("place", None) or FolderPlace(tmp_path / "shared")
        made.append((AdoptingCopies(folder, place, coordination, **options), coordination))
        return made[-1][0]

    yield make
    for copies, coordination in made:
        copies.close()
        coordination.close()
