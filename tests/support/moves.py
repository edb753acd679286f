"""Warehouses that are moved into a store for several machines and back, and what both places hold."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pipelines.store import open_ends
from pipelines.warehouse.lake.address import Lake
from pipelines.warehouse.moving.into_files import move_into_files
from pipelines.warehouse.moving.into_store import move_into_store, no_step
from pipelines.warehouse.moving.plan import Ends, Plan, plan_into_files, plan_into_store
from pipelines.warehouse.store.results import Published
from tests.support.lake import everything_in
from tests.support.load_site import Site
from tests.support.postgres import RunningPostgres
from tests.support.published import everything

_numbers = itertools.count()


@dataclass
class Moves:
    """A site, and the store that it may have."""

    site: Site
    catalog: str
    data: str

    def use_store(self) -> None:
        """Let projects.yaml name the store."""
        self.site.monkeypatch.setenv("WAREHOUSE_CATALOG", self.catalog)
        self.site.settings = f"store: {{catalog: {{env: WAREHOUSE_CATALOG}}, data: {self.data}}}"

    def use_files(self) -> None:
        """Let projects.yaml name none."""
        self.site.settings = ""

    def plan(self, *, back: bool = False) -> Plan:
        """What a move would do."""
        self.use_store()
        with open_ends(self.site.config) as ends:
            return _plan(ends, back=back)

    def into_store(self, step=no_step) -> Published:
        """Move everything into the store, which projects.yaml names from now on."""
        self.use_store()
        with open_ends(self.site.config) as ends:
            return move_into_store(ends, _plan(ends, back=False), step=step)

    def into_files(self, step=no_step) -> Published:
        """Move everything into the files, which projects.yaml names from now on."""
        self.use_store()
        config = self.site.config
        with open_ends(config) as ends:
            done = move_into_files(ends, _plan(ends, back=True), sharing=config.published, step=step)
        self.use_files()
        return done

    def marks(self) -> dict[str, str]:
        """What waits to be published in the store."""
        self.use_store()
        with self.site.store as store:
            return store.marks.waiting()

    def in_files(self) -> dict[str, tuple]:
        """Everything that readers of warehouse.duckdb find."""
        return without_comments(everything(self.site.warehouse.database))

    def in_store(self) -> dict[str, tuple]:
        """Everything that readers of the lake find."""
        return without_comments(everything_in(Lake(self.catalog, self.data)))


def _plan(ends: Ends, *, back: bool) -> Plan:
    return plan_into_files(ends) if back else plan_into_store(ends)


def without_comments(found: dict[str, tuple]) -> dict[str, tuple]:
    """The columns with their types, and the rows: DuckLake has no comments on columns of views."""
    return {name: ([column[:2] for column in columns], rows) for name, (columns, rows) in found.items()}


@pytest.fixture
def moves(site, postgres: RunningPostgres, tmp_path) -> Iterator[Moves]:
    """The site's warehouse in files, and an empty store."""
    yield Moves(site, postgres.new_database(f"moves{next(_numbers)}"), str(tmp_path / "shared"))
