"""A simulated REDCap, a projects.yaml, and a Dagster instance in a folder that can be searched."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alembic.config
import alembic.script
import dagster as dg
import duckdb
import pytest
import sqlalchemy

from pipelines.config.load import load_config
from pipelines.config.settings import Config
from pipelines.definitions import make_definitions
from pipelines.defs.asset_specs import NIGHT, key
from pipelines.defs.jobs import NIGHTLY
from pipelines.defs.publish_job import PUBLISH
from pipelines.defs.schedules import SENSOR
from pipelines.demo.in_process import nightly_instance
from pipelines.warehouse.folder import WarehouseFolder
from redcap_source.simulator import ProjectHandle, Simulator, make_study


@dataclass
class House:
    """One institution under Dagster."""

    simulator: Simulator
    study: ProjectHandle
    config: Config
    home: Path
    instance: dg.DagsterInstance
    first_run: str = ""
    """The run of the night that is behind it."""

    @property
    def folder(self) -> WarehouseFolder:
        return WarehouseFolder(self.config.warehouse)

    def run(self, project: str = "study", **options) -> dg.ExecuteInProcessResult:
        """The nightly job for a project."""
        job = make_definitions(self.config).resolve_job_def(NIGHTLY)
        return job.execute_in_process(partition_key=project, instance=self.instance, raise_on_error=False, **options)

    def materialize(self, *names: str, **options) -> dg.ExecuteInProcessResult:
        """Some assets of the study, as a person picks them in the UI."""
        job = make_definitions(self.config).resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            partition_key="study",
            instance=self.instance,
            asset_selection=[key(name) for name in names],
            raise_on_error=False,
            **options,
        )

    def publish(self, **options) -> dg.ExecuteInProcessResult:
        """The job that publishes for all projects of a night."""
        job = make_definitions(self.config).resolve_job_def(PUBLISH)
        return job.execute_in_process(instance=self.instance, raise_on_error=False, **options)

    def check(self, name: str) -> dg.ExecuteInProcessResult:
        """A check of what is published of the study, as a person starts it in the UI."""
        job = make_definitions(self.config).resolve_implicit_global_asset_job_def()
        return job.get_subset(
            asset_selection=set(), asset_check_selection={dg.AssetCheckKey(key("published"), name)}
        ).execute_in_process(partition_key="study", instance=self.instance, raise_on_error=False)

    @contextmanager
    def re_execute(
        self, run: dg.ExecuteInProcessResult | str, *, from_failure: bool = True, steps: Sequence[str] = ()
    ) -> Iterator[dg.JobExecutionResult]:
        """A run done again, as the UI's button does it: what failed and what follows, some steps, or everything."""
        run_id = run if isinstance(run, str) else run.run_id
        if steps:
            options = dg.ReexecutionOptions(parent_run_id=run_id, step_selection=steps)
        elif from_failure:
            options = dg.ReexecutionOptions.from_failure(run_id, self.instance)
        else:
            options = dg.ReexecutionOptions(parent_run_id=run_id)
        job = dg.build_reconstructable_job(__name__, "job_of", (str(self.config.path),), {})
        with dg.execute_job(
            job, instance=self.instance, tags={"dagster/partition": "study"}, reexecution_options=options
        ) as result:
            yield result

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.folder.database), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def ledger(self) -> list[tuple]:
        """How the runs of the study ended, as its mirror has it."""
        with duckdb.connect(str(self.folder.mirror("study")), read_only=True) as connection:
            return connection.execute("SELECT mode, outcome FROM redcap.sync_runs ORDER BY started_at").fetchall()

    def staged(self) -> list[str]:
        """Files that hold records' ids or values on their way into the warehouse."""
        return [path.name for path in (self.folder.work / "staging").rglob("*") if path.is_file()]

    def keeping(self, text: str) -> list[Path]:
        """Files of Dagster's home that hold this text."""
        return [path for path in self.home.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def job_of(path: str) -> dg.JobDefinition:
    """The nightly job as another process makes it."""
    return make_definitions(load_config(path)).resolve_job_def(NIGHTLY)


def the_night() -> dict[str, str]:
    """The tag that makes a run part of a scheduled night."""
    return {NIGHT: "2026-01-02T03:15"}


def look(house: House, cursor: str | None = None) -> dg.SensorResult | Any:
    """What the sensor that publishes for a night decides now."""
    definitions = make_definitions(house.config)
    with dg.build_sensor_context(house.instance, cursor, repository_def=definitions.get_repository_def()) as context:
        return definitions.resolve_sensor_def(SENSOR).evaluate_tick(context)


def failures(result) -> list[str]:
    """What the steps that failed said."""
    told = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return [data.user_failure_data.description if data.user_failure_data else data.error.message for data in told]


# Where Dagster makes an SQLAlchemy engine for each connection, with nothing compiled, and reads alembic's revisions.
_STORAGES = (
    "event_log.sqlite.sqlite_event_log",
    "runs.sqlite.sqlite_run_storage",
    "schedules.sqlite.sqlite_schedule_storage",
)
_REVISIONS: dict[str | None, alembic.script.ScriptDirectory] = {}


@contextmanager
def kept_engines() -> Iterator[None]:
    """Let Dagster keep one engine a file, and read its own revisions once: a quarter of the time of a run."""
    engines: dict[str, Any] = {}
    create, read = sqlalchemy.create_engine, alembic.script.ScriptDirectory.from_config

    def keep(url: str, **options: object) -> Any:
        if url not in engines:
            engines[url] = create(url, **options)
        return engines[url]

    def read_once(config: alembic.config.Config) -> alembic.script.ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in _REVISIONS:
            _REVISIONS[place] = read(config)
        return _REVISIONS[place]

    with pytest.MonkeyPatch.context() as patched:
        for storage in _STORAGES:
            patched.setattr(f"dagster._core.storage.{storage}.create_engine", keep)
        patched.setattr("alembic.script.ScriptDirectory.from_config", read_once)
        yield


def new_home(home: Path, empty: Path) -> Path:
    """Make a Dagster home as a copy of an empty one, whose databases took a quarter of a second to make."""
    if not empty.exists():
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("DAGSTER_HOME", str(empty))
            with nightly_instance(empty):
                pass
    shutil.copytree(empty, home)
    return home


@contextmanager
def open_house(folder: Path, empty: Path) -> Iterator[House]:
    """An institution in a folder, its simulator running; its Dagster begins as a copy of the empty one."""
    with Simulator() as simulator:
        simulator.add_project(make_study("repeating", records=10, seed=3), name="study")
        simulator.add_project(make_study("classic", records=2, seed=3), name="other")
        with _open(folder, simulator, new_home(folder / "dagster", empty)) as house:
            yield house


@contextmanager
def _open(folder: Path, simulator: Simulator, home: Path) -> Iterator[House]:
    """What is in the folder, for a simulator that has the two projects."""
    with pytest.MonkeyPatch.context() as environment, kept_engines():
        study = simulator.projects["study"]
        environment.setenv("TOKEN_STUDY", study.token)
        environment.setenv("TOKEN_OTHER", simulator.projects["other"].token)
        environment.setenv("DAGSTER_HOME", str(home))
        path = folder / "projects.yaml"
        path.write_text(
            "schedule: '15 3 * * *'\ntime_zone: Europe/Berlin\npublished: {mode: '0640'}\n"
            # One request at a time, so that faults strike in an order that can be foretold.
            f"servers: {{campus: {{url: {simulator.url}, concurrency: 1}}}}\n"
            "projects:\n  study: {token: {env: TOKEN_STUDY}}\n  other: {token: {env: TOKEN_OTHER}}\n"
        )
        with nightly_instance(home) as instance:
            yield House(simulator, study, load_config(path), home, instance)


@pytest.fixture
def house(tmp_path, tmp_path_factory):
    with open_house(tmp_path, tmp_path_factory.getbasetemp() / "dagster") as house:
        yield house


@pytest.fixture(scope="session")
def first_night(tmp_path_factory) -> tuple[Path, str]:
    """A folder after the first night of the study, for copies, and the id of that run; made once a process."""
    folder = tmp_path_factory.mktemp("first-night")
    with open_house(folder, tmp_path_factory.getbasetemp() / "dagster") as house:
        result = house.run()
        assert result.success
        house.simulator.save_state(folder / "state.json")
    return folder, result.run_id


@pytest.fixture
def second_night(tmp_path, first_night) -> Iterator[House]:
    """An institution that has the first night of the study behind it."""
    folder, run_id = first_night
    for name in ("dagster", "warehouse"):
        shutil.copytree(folder / name, tmp_path / name)
    with Simulator() as simulator:
        simulator.load_state(folder / "state.json")
        with _open(tmp_path, simulator, tmp_path / "dagster") as house:
            house.first_run = run_id
            yield house


@dataclass
class Night:
    """A night that went well; for looking at only."""

    house: House
    result: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    with open_house(tmp_path_factory.mktemp("night"), tmp_path_factory.getbasetemp() / "dagster") as house:
        yield Night(house, house.run())
