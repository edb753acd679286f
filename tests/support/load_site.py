"""A simulated REDCap with a study, a projects.yaml that points at it, and a warehouse folder."""

import csv
import io
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.config.load import load_config
from pipelines.config.settings import Config
from pipelines.sync.load import load_project
from pipelines.sync.reports import LoadOptions, LoadReport
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publishing.publish import publish
from redcap_source.simulator import ProjectHandle, Simulator, make_study


@dataclass
class Site:
    """What a test needs of one simulated institution."""

    simulator: Simulator
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    settings: str = ""
    """Keys of projects.yaml that hold for all projects."""
    keys: str = ""
    """More keys of each project, as `identifiers: drop`."""
    clock_off: timedelta = timedelta(0)
    """How far this computer's clock is ahead of the server's."""
    handles: dict[str, ProjectHandle] = field(default_factory=dict)

    def add(self, name: str, project) -> ProjectHandle:
        """Put a project on the server and into projects.yaml."""
        handle = self.simulator.add_project(project, name=name)
        self.handles[name] = handle
        self.monkeypatch.setenv(f"TOKEN_{name.upper()}", handle.token)
        return handle

    def study(self, kind: str = "classic", records: int = 12, name: str = "study") -> ProjectHandle:
        """A made-up study."""
        return self.add(name, make_study(kind, records=records, seed=3))

    @property
    def path(self) -> Path:
        """projects.yaml, written anew."""
        lines = [self.settings, f"servers: {{sim: {{url: {self.simulator.url}}}}}", "projects:"]
        more = f", {self.keys}" if self.keys else ""
        lines += [f"  {name}: {{token: {{env: TOKEN_{name.upper()}}}{more}}}" for name in self.handles]
        path = self.folder / "projects.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    @property
    def config(self) -> Config:
        return load_config(self.path)

    @property
    def warehouse(self) -> WarehouseFolder:
        return WarehouseFolder(self.folder / "warehouse")

    def load(self, name: str = "study", **options: bool) -> LoadReport:
        """One load, without waiting between retries, on a computer whose clock runs with the server's."""
        config = self.config
        return load_project(
            config,
            config.project(name),
            options=LoadOptions(**options),
            now=self.now,
            sleep=lambda seconds: None,
        )

    def now(self) -> datetime:
        """This computer's clock: UTC without a zone."""
        return (self.simulator.clock.now() + self.clock_off).astimezone(UTC).replace(tzinfo=None)

    def night(self, name: str = "study", **options: bool) -> LoadReport:
        """One load and a publish."""
        report = self.load(name, **options)
        publish(self.warehouse)
        return report

    def rows(self, query: str) -> list[tuple]:
        """A query of the published warehouse, as any reader would ask it."""
        with duckdb.connect(str(self.warehouse.database), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def exported(self, name: str = "study", **parameters: object) -> list[dict[str, str]]:
        """A fresh flat export, asked and read as plainly as can be."""
        form = {
            "token": self.handles[name].token,
            "content": "record",
            "format": "csv",
            "exportSurveyFields": "true",
            "exportDataAccessGroups": "true",
            "exportBlankForGrayFormStatus": "true",
            **parameters,
        }
        data = urllib.parse.urlencode({key: str(value) for key, value in form.items()}).encode()
        with urllib.request.urlopen(self.simulator.url, data, timeout=20) as answer:
            return list(csv.DictReader(io.StringIO(answer.read().decode(), newline="")))


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[Site]:
    with Simulator() as simulator:
        yield Site(simulator, tmp_path, monkeypatch)
