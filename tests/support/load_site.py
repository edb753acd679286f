"""A simulated REDCap with a study, a projects.yaml that points at it, and a warehouse folder."""

import csv
import io
import shutil
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.config.load import load_config
from pipelines.config.settings import Config
from pipelines.store import open_store
from pipelines.sync.load import load_project
from pipelines.sync.reports import LoadOptions, LoadReport
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.store.protocol import Store
from pipelines.warehouse.store.results import Published
from redcap_source.simulator import Behaviour, ProjectHandle, Simulator, make_study
from redcap_source.simulator.state.clock import utc_now


def still() -> float:
    """A stopwatch that stands still: what a load asks for, and in how many requests, is the same on every computer."""
    return 0.0


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
    store_settings: str = ""
    """The key `store` of projects.yaml, with its value; blank for a warehouse in files."""
    first_nights: "FirstNights | None" = None
    """Studies that were loaded and published once, to begin from."""

    def add(self, name: str, project) -> ProjectHandle:
        """Put a project on the server and into projects.yaml."""
        return self.adopt(name, self.simulator.add_project(project, name=name))

    def adopt(self, name: str, handle: ProjectHandle) -> ProjectHandle:
        """Put a project that is on the server into projects.yaml."""
        self.handles[name] = handle
        self.monkeypatch.setenv(f"TOKEN_{name.upper()}", handle.token)
        return handle

    def study(self, kind: str = "classic", records: int = 12, name: str = "study") -> ProjectHandle:
        """A made-up study."""
        return self.add(name, make_study(kind, records=records, seed=3))

    def loaded_study(self, kind: str = "classic", records: int = 12) -> ProjectHandle:
        """The same study with a night behind it, which each process makes once; the server becomes the one it is on."""

        def begin(site: "Site") -> None:
            site.study(kind, records)
            site.night()

        return self.begun(f"{kind}-{records}", begin)

    def begun(self, name: str, begin: Callable[["Site"], object]) -> ProjectHandle:
        """What `begin` makes of a site, which each process makes once and knows by this name.

        The server becomes the one that the study is on. `begin` gives no keys of projects.yaml, and ends at the time
        at which it began.
        """
        assert self.first_nights is not None and not self.handles and not self.keys
        if self.store_settings:
            begin(self)
            return self.handles["study"]
        self.simulator, template = self.first_nights.of(name, begin)
        return template.put_into(self)

    @property
    def path(self) -> Path:
        """projects.yaml, written anew."""
        lines = [self.settings, self.store_settings, f"servers: {{sim: {{url: {self.simulator.url}}}}}", "projects:"]
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

    @property
    def store(self) -> Store:
        """The store of projects.yaml."""
        return open_store(self.config)

    def publish(self, **options: bool) -> Published:
        """Publish what is loaded."""
        with self.store as store:
            return store.published.publish(**options)

    def load(self, name: str = "study", **options: bool) -> LoadReport:
        """One load, without waiting between retries, on a computer whose clock runs with the server's."""
        config = self.config
        return load_project(
            config,
            config.project(name),
            options=LoadOptions(**options),
            now=self.now,
            sleep=lambda seconds: None,
            stopwatch=still,
        )

    def now(self) -> datetime:
        """This computer's clock: UTC without a zone."""
        return (self.simulator.clock.now() + self.clock_off).astimezone(UTC).replace(tzinfo=None)

    def night(self, name: str = "study", **options: bool) -> LoadReport:
        """One load and a publish."""
        report = self.load(name, **options)
        self.publish()
        return report

    def rows(self, query: str) -> list[tuple]:
        """A query of the published warehouse, as the store opens it."""
        with self.store as store, store.published.open() as connection:
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


@dataclass(frozen=True)
class Template:
    """Studies that were loaded and published once, to begin from."""

    state: Path
    warehouse: Path

    @classmethod
    def of(cls, site: Site) -> "Template":
        """What the site's server and its warehouse hold now."""
        site.simulator.save_state(site.folder / "state.json")
        return cls(site.folder / "state.json", site.folder / "warehouse")

    def put_into(self, site: Site) -> ProjectHandle:
        """The studies on the site's own server, and their warehouse in the site's own folder."""
        site.simulator.load_state(self.state)
        for name, handle in site.simulator.projects.items():
            site.adopt(name, handle)
        shutil.copytree(self.warehouse, site.folder / "warehouse")
        return site.handles["study"]


class FirstNights:
    """Servers of one study each, which was loaded and published once; they run until the tests end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self._made: dict[str, tuple[Simulator, Template]] = {}

    def __enter__(self) -> "FirstNights":
        return self

    def __exit__(self, *problem: object) -> None:
        self._running.close()

    def of(self, name: str, begin: Callable[[Site], object]) -> tuple[Simulator, Template]:
        """The server of that study as if it had just been started, and the study after its first night."""
        if name not in self._made:
            self._made[name] = self._make(name, begin)
        simulator, template = self._made[name]
        simulator.faults.clear()
        simulator.requests.clear()
        simulator.behaviour = Behaviour()
        simulator.latency = (0.0, 0.0)
        simulator.clock.set(utc_now())
        return simulator, template

    def _make(self, name: str, begin: Callable[[Site], object]) -> tuple[Simulator, Template]:
        simulator = self._running.enter_context(Simulator())
        with pytest.MonkeyPatch.context() as environment:
            site = Site(simulator, self._folder / name, environment)
            site.folder.mkdir()
            begin(site)
        return simulator, Template.of(site)


@pytest.fixture
def site(tmp_path, monkeypatch, first_nights, store_settings) -> Iterator[Site]:
    with Simulator() as simulator:
        site = Site(simulator, tmp_path, monkeypatch, store_settings=store_settings, first_nights=first_nights)
        yield site
        assert not site.simulator.failures
