"""A PostgreSQL for the tests of the coordination, and a database of it for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from pipelines.coordination import Coordination
from tests.support.postgres import RunningPostgres

_numbers = itertools.count()


@pytest.fixture
def database(postgres: RunningPostgres) -> str:
    """The URL of a database that is empty."""
    return postgres.new_database(f"test{next(_numbers)}")


@pytest.fixture
def machine(database: str) -> Iterator[Callable[..., Coordination]]:
    """Makes a machine that loads into the database; all are closed in the end."""
    made: list[Coordination] = []

    def make(name: str = "one", patience: float = 30.0) -> Coordination:
        made.append(Coordination(database, loader=f"{name}:1", patience=patience))
        return made[-1]

    yield make
    for coordination in made:
        coordination.close()
