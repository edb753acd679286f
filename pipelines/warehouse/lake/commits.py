"""Marks the commits of a publisher, so that its snapshots can be distinguished from those of anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.warehouse.database.connection import Connection, transaction
from pipelines.warehouse.sql import statements


@contextmanager
def committed_as(connection: Connection, token: str | None) -> Iterator[None]:
    """One transaction, whose snapshot has the token as its extra information, if one is given."""
    with transaction(connection):
        if token is not None:
            connection.execute(statements("lake")["sign"], {"token": token})
        yield
