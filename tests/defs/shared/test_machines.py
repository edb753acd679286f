"""Several machines under one Dagster: Celery workers with homes and disks of their own, of which one is lost in a load.

It takes two minutes and stands behind `make test-daemon`. The machines run with the DuckDB of .venv/lake, because only
that one has the extensions of a store that machines share.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.tags import PARENT_RUN_ID_TAG

from redcap_source.simulator import ProjectHandle, Simulator, make_study
from tests.defs.test_daemon import BIN, LOCATION, until
from tests.support.dagster_house import the_night
from tests.support.postgres import ask, restartable_postgres
from tests.support.root import ROOT

LAKE = ROOT / ".venv" / "lake"
pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(not LAKE.exists(), reason="DuckDB's extensions are not installed (.venv/lake)"),
]

BEGUN = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS)
PROJECTS = ("alpha", "beta", "gamma", "delta")
# Where runs wait for a worker: a folder, so that the test needs no server for it.
BROKER = {"DAGSTER_CELERY_BROKER": "filesystem://"}
QUERY = """
import json, sys
from pipelines.config.load import load_config
from pipelines.store import open_store
with open_store(load_config()) as store, store.published.open() as connection:
    print(json.dumps([connection.execute(query).fetchall() for query in sys.argv[1:]], default=str))
"""


@dataclass
class Machine:
    """A machine with a home and a disk of its own: a folder and an environment."""

    folder: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str | Path) -> None:
        """Start a process that lives until `kill`, in a process group of its own."""
        with (self.folder / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def start_worker(self, runs: int) -> None:
        """Execute this many runs at a time."""
        worker = ["-A", "dagster_celery.app", "worker", "-Q", "dagster", "-n", f"loads@{self.folder.name}"]
        self.start(BIN / "celery", *worker, "--concurrency", str(runs), "--loglevel", "INFO")

    def run(self, *command: str | Path) -> bytes:
        """What a command prints here."""
        done = subprocess.run(command, cwd=ROOT, env=self.environment, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        return done.stdout

    def executes(self, process: int) -> bool:
        """Whether a process is of this machine."""
        return os.getpgid(process) in [mine.pid for mine in self.processes]

    def kill(self) -> None:
        """Everything ends at once, as when the power fails."""
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()


@dataclass
class Site:
    """Two machines that load, one with the daemon, a PostgreSQL and a REDCap."""

    simulator: Simulator
    projects: dict[str, ProjectHandle]
    catalog: str
    control: Machine
    loaders: tuple[Machine, Machine]
    instance: dg.DagsterInstance

    def launch(self, project: str) -> None:
        """Queue the load of a project, as the schedule does."""
        tags = {"dagster/partition": project, "dagster/partition_set": "nightly_load_partition_set", **the_night()}
        command = ["job", "launch", *LOCATION, "--location", "redcap", "--job", "nightly_load"]
        self.control.run(BIN / "dagster", *command, "--tags", json.dumps(tags))

    def runs_of(self, project: str) -> Sequence[dg.DagsterRun]:
        """The runs of a project, the newest first."""
        return self.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": project}))

    def where(self, run_id: str) -> Machine | None:
        """The machine whose process executes a run now."""
        found = ask(self.catalog, "SELECT loader FROM redcap_warehouse.runs WHERE run = %s", run_id)
        processes = [int(str(loader).rpartition(":")[2]) for (loader,) in found]
        return next((machine for machine in self.loaders for process in processes if machine.executes(process)), None)

    def query(self, *queries: str) -> list[list[list[object]]]:
        """What readers find, asked from the machine that never loads."""
        return json.loads(self.control.run(sys.executable, "-c", QUERY, *queries))


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    with ExitStack() as open_things:
        simulator = open_things.enter_context(Simulator())
        postgres = open_things.enter_context(restartable_postgres(folder / "postgres"))
        projects = {
            name: simulator.add_project(make_study("classic", records=40, seed=number), name=name)
            for number, name in enumerate(PROJECTS)
        }
        variables = {f"TOKEN_{name.upper()}": study.token for name, study in projects.items()}
        variables |= {
            "DAGSTER_PG_URL": postgres.new_database("dagster"),
            "WAREHOUSE_CATALOG": postgres.new_database("catalog"),
            "DAGSTER_CELERY_BACKEND": f"file://{folder / 'results'}",
            **BROKER,
        }
        broker = {name: str(folder / "broker") for name in ("data_folder_in", "data_folder_out", "control_folder")}
        for place in ("broker", "results", "shared", "celery"):
            (folder / place).mkdir()
        shipped = (ROOT / "deploy" / "celery" / "dagster_celery_config.py").read_text()
        (folder / "celery" / "dagster_celery_config.py").write_text(f"{shipped}\nbroker_transport_options = {broker}\n")
        settings = yaml.safe_load((ROOT / "deploy" / "dagster-celery.yaml").read_text())
        settings["run_launcher"]["config"]["config_source"] = {"broker_transport_options": broker}
        settings["run_monitoring"] |= {"poll_interval_seconds": 2, "free_slots_after_run_end_seconds": 1}
        machines = [
            machine_in(folder / name, simulator.url, folder / "shared", settings, variables, folder / "celery")
            for name in ("control", "one", "two")
        ]
        for machine in machines:
            open_things.callback(machine.kill)
        control, *loaders = machines
        # Dagster's tables first: processes that make them at the same time get in each other's way.
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            instance = open_things.enter_context(dg.DagsterInstance.from_config(str(control.folder / "dagster")))
            instance.get_runs(limit=1)
        for loader in loaders:
            loader.start_worker(2)
        control.start(BIN / "dagster-daemon", "run", *LOCATION)
        yield Site(simulator, projects, variables["WAREHOUSE_CATALOG"], control, (loaders[0], loaders[1]), instance)


def machine_in(
    folder: Path, redcap: str, shared: Path, settings: dict[str, object], variables: dict[str, str], celery: Path
) -> Machine:
    """A machine whose disk is this folder."""
    home = folder / "dagster"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
    config = folder / "projects.yaml"
    config.write_text(
        "schedule: '15 3 * * *'\ntime_zone: Europe/Berlin\n"
        f"warehouse: {folder / 'warehouse'}\n"
        f"store: {{catalog: {{env: WAREHOUSE_CATALOG}}, data: {shared}}}\n"
        f"servers: {{campus: {{url: {redcap}}}}}\n"
        "projects:\n" + "".join(f"  {name}: {{token: {{env: TOKEN_{name.upper()}}}}}\n" for name in PROJECTS)
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER", "REDCAP"))}
    return Machine(
        folder,
        environment
        | variables
        | {
            "HOME": str(folder),
            "DAGSTER_HOME": str(home),
            "REDCAP_WAREHOUSE_CONFIG": str(config),
            "PYTHONPATH": os.pathsep.join([str(LAKE), str(celery)]),
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        },
    )


def test_a_machine_that_is_lost_in_a_load_is_replaced_by_another_within_a_minute(tmp_path):
    with open_site(tmp_path) as site:
        # The load of alpha stands still in the middle until its machine is lost.
        site.simulator.faults.add("hang", project="alpha", content="record", action="export", nth=2, seconds=600)
        for project in reversed(PROJECTS):
            site.launch(project)
        until("the beginning of all", lambda: all(site.runs_of(project)[0].status in BEGUN for project in PROJECTS))
        until("the middle of a load", lambda: not site.simulator.faults.unused())
        [lost_run] = site.runs_of("alpha")
        lost = until("its machine", lambda: site.where(lost_run.run_id))
        lost.kill()
        killed = time.time()
        [other] = [machine for machine in site.loaders if machine is not lost]

        def retry() -> dg.DagsterRun | None:
            newest = site.runs_of("alpha")[0]
            return newest if newest.is_finished and newest.run_id != lost_run.run_id else None

        repeated = until("the repeated run", retry, 150)
        record = site.instance.get_run_record_by_id(repeated.run_id)
        assert repeated.tags[PARENT_RUN_ID_TAG] == lost_run.run_id
        assert repeated.status is dg.DagsterRunStatus.SUCCESS
        assert site.instance.get_run_by_id(lost_run.run_id).status is dg.DagsterRunStatus.FAILURE
        assert record.start_time - killed < 60
        assert (other.folder / "warehouse" / "work" / "alpha.duckdb").exists()

        loaded = "SELECT project, count(*) FROM redcap.sync_runs WHERE outcome = 'ok' GROUP BY ALL ORDER BY ALL"

        def published() -> bool:
            ended = site.instance.get_runs(dg.RunsFilter(job_name="publish", statuses=[dg.DagsterRunStatus.SUCCESS]))
            return bool(ended) and len(site.query(loaded)[0]) == len(PROJECTS)

        until("all projects in the warehouse", published, 120)
        # Each was loaded once, and all of it is there.
        runs, *records = site.query(loaded, *(f"SELECT count(DISTINCT record_id) FROM {p}.enrolment" for p in PROJECTS))
        assert runs == [[project, 1] for project in sorted(PROJECTS)]
        assert records == [[[40]]] * len(PROJECTS)
        assert ask(site.catalog, "SELECT count(*) FROM redcap_warehouse.runs") == [(0,)]
