"""The connection of a publisher: kept from one publish to the next, and opened again after errors that may pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import tenacity

from pipelines.warehouse.database.connection import Connection, DatabaseError, private_files
from pipelines.warehouse.lake import removal
from pipelines.warehouse.lake.address import Lake
from pipelines.warehouse.lake.attach import attach_to_publish, make_shared_tables
from pipelines.warehouse.lake.failures import may_pass
from pipelines.warehouse.lake.files import faulty_schemas

# How long something is tried again, in seconds, after errors that may pass.
PATIENCE = 60.0

T = TypeVar("T")


class PublisherConnection:
    """Attaches one lake to publish into it, and looks after what all projects share there."""

    def __init__(
        self,
        lake: Lake,
        readable: tuple[Path, ...],
        spill: Path,
        *,
        memory_limit: str | None = None,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`readable` are the folders in which mirrors will lie, `spill` is a private folder for what exceeds memory."""
        self._lake = lake
        self._readable = readable
        self._spill = spill
        self._memory_limit = memory_limit
        self._patience = patience
        self._sleep = sleep
        self._connection: Connection | None = None
        self._token: str | None = None
        self._settled: int | None = None

    def begin(self, token: str, settled: int | None) -> bool:
        """Attach the lake, unless it is attached; returns whether that was to be done.

        From now on every commit has this token, and files of a snapshot up to `settled` are known to have been there.
        """
        self._token, self._settled = token, settled
        was_closed = self._connection is None
        self._trying(lambda connection: None)
        return was_closed

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(DatabaseError):
                connection.close()

    def faulty_schemas(self, schemas: list[str]) -> set[str]:
        """The schemas of these that have data files which are missing or have another size."""
        return self._trying(lambda connection: faulty_schemas(connection, self._lake, schemas))

    def make_shared_tables_again(self) -> None:
        """Replace what all projects share by empty tables; the projects are to be published again."""
        self._trying(lambda connection: make_shared_tables(connection, self._token, anew=True))

    def remove_strays(self, projects: Collection[str]) -> None:
        """Remove the rows of other projects than these from the tables that all share."""
        self._trying(lambda connection: removal.remove_strays(connection, projects, self._token))

    def _opened(self) -> Connection:
        if self._connection is None:
            self._remove_spilled()
            self._connection = attach_to_publish(
                self._lake,
                readable=self._readable,
                spill=self._spill,
                memory_limit=self._memory_limit,
                token=self._token,
                settled=self._settled,
            )
        return self._connection

    def _remove_spilled(self) -> None:
        """Remove what a publisher that was killed had spilled: values of participants, and nobody publishes now.

        The folder stays. Another process may have it open, to publish into later.
        """
        for left in self._spill.glob("*"):
            with suppress(OSError):
                left.unlink()

    def _trying(self, work: Callable[[Connection], T]) -> T:
        """Do something with the connection; after an error that may pass again, on a new one."""

        def once() -> T:
            try:
                with private_files():
                    return work(self._opened())
            except DatabaseError:
                # After an error of a commit it may no longer know what is in the lake.
                self.close()
                raise

        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_pass),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
            stop=tenacity.stop_after_delay(self._patience),
            sleep=self._sleep,
            reraise=True,
        )
        return waiting(once)
