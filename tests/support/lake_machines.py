"""Machines that load into one lake store, each with a folder of its own, and what analysts find in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.run import ProjectRun, new_run_id
from pipelines.sync.load import load
from pipelines.sync.reports import LoadOptions, LoadReport, Progress
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.lake.address import Lake
from pipelines.warehouse.store.lake_store import LakeStore
from tests.support.load_site import Site, still


@dataclass
class Machines:
    """Several machines of one institution."""

    site: Site
    lake: Lake
    stores: dict[str, LakeStore] = field(default_factory=dict)

    def store(self, machine: str) -> LakeStore:
        """The machine's store, opened once."""
        if machine not in self.stores:
            folder = WarehouseFolder(self.site.folder / machine)
            self.stores[machine] = LakeStore(folder, catalog=self.lake.catalog, data=self.lake.data)
        return self.stores[machine]

    def load(self, machine: str, project: str = "study", **options: object) -> LoadReport:
        """One load on a machine."""
        config = self.site.config
        with ProjectRun(
            config,
            config.project(project),
            run_id=new_run_id(self.site.now),
            now=self.site.now,
            sleep=lambda seconds: None,
            stopwatch=still,
            store=self.store(machine),
            start_over=bool(options.get("start_over")),
        ) as run:
            return load(run, LoadOptions(**options), Progress())

    def night(self, machine: str, project: str = "study", **options: object) -> LoadReport:
        """One load and a publish."""
        report = self.load(machine, project, **options)
        self.store(machine).published.publish()
        return report

    def close(self) -> None:
        """Close every store."""
        for store in self.stores.values():
            store.close()


@contextmanager
def machines_of(site: Site, catalog: str, data: str | Path) -> Iterator[Machines]:
    """Machines with one lake store at this place."""
    machines = Machines(site, Lake(catalog, str(data)))
    try:
        yield machines
    finally:
        machines.close()
