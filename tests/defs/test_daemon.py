"""A real daemon over the shipped instance: a run that is killed holds nobody up.

It takes most of a minute and stands behind `make test-daemon`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from filelock import FileLock

from pipelines.defs.asset_specs import key
from tests.support.dagster_house import House, open_house, the_night
from tests.support.root import ROOT

pytestmark = pytest.mark.daemon

BIN = Path(sys.executable).parent
LOCATION = ["--workspace", str(ROOT / "workspace.yaml")]


def until(what: str, found: Callable[[], object], seconds: float = 120) -> object:
    """What `found` gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds:g} s")


@pytest.fixture
def house(tmp_path, monkeypatch) -> Iterator[House]:
    """An institution whose Dagster runs by deploy/dagster.yaml, with a daemon; only its waiting times are shortened."""
    settings = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    settings["run_monitoring"] |= {"poll_interval_seconds": 1, "free_slots_after_run_end_seconds": 1}
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with open_house(tmp_path, empty) as house:
        monkeypatch.setenv("REDCAP_WAREHOUSE_CONFIG", str(house.config.path))
        with (tmp_path / "daemon.log").open("wb") as log:
            daemon = subprocess.Popen(
                [BIN / "dagster-daemon", "run", *LOCATION], cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield house
        finally:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()


def launch(project: str, **night: str) -> None:
    """Queue the nightly job of a project, as a person does, or with the tag of a night as the schedule does."""
    tags = json.dumps({"dagster/partition": project, "dagster/partition_set": "nightly_load_partition_set", **night})
    command = [BIN / "dagster", "job", "launch", *LOCATION, "--location", "redcap", "--job", "nightly_load"]
    subprocess.run([*command, "--tags", tags], check=True, capture_output=True, cwd=ROOT)


def run_of(house: House, project: str) -> dg.DagsterRun | None:
    """The newest run of the project."""
    runs = house.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": project}), limit=1)
    return runs[0] if runs else None


def worker_of(house: House, run_id: str) -> int | None:
    """The process in which the run's steps execute, once it has come to the step that publishes."""
    events = [entry.dagster_event for entry in house.instance.all_logs(run_id) if entry.dagster_event is not None]
    if not any(event.is_step_start and event.step_key == "redcap__published.publish_now" for event in events):
        return None
    told = (re.search(r"\(pid: (\d+)\)", event.message or "") for event in events)
    return next((int(found[1]) for found in told if found), None)


def ended(house: House, project: str) -> dg.DagsterRunStatus | None:
    run = run_of(house, project)
    return run.status if run is not None and run.is_finished else None


def test_a_run_that_is_killed_while_it_holds_the_pool_lets_the_next_project_publish(house):
    slots = house.instance.event_log_storage
    with FileLock(house.folder.publish_lock):  # the first project's publish waits here, in its place in the pool
        launch("study")
        run = until("the run", lambda: run_of(house, "study"))
        worker = until("the publish", lambda: worker_of(house, run.run_id))
        assert slots.get_concurrency_info("redcap_publish").active_slot_count == 1
        os.kill(worker, signal.SIGKILL)
        assert until("the killed run's end", lambda: ended(house, "study")) is dg.DagsterRunStatus.FAILURE
    launch("other")
    assert until("the next project's run", lambda: ended(house, "other")) is dg.DagsterRunStatus.SUCCESS
    assert "other" in dict(house.rows("SELECT project, outcome FROM redcap.sync_runs"))


def test_a_night_of_several_projects_is_published_by_one_run(house):
    for project in ("study", "other"):
        launch(project, **the_night())
    published = key("published")
    until("the publish", lambda: house.instance.get_materialized_partitions(published) == {"study", "other"}, 240)
    runs = house.instance.get_runs(dg.RunsFilter(job_name="publish"))
    assert len(runs) == 1
    until("its end", lambda: house.instance.get_run_by_id(runs[0].run_id).is_finished)
    assert [run.status for run in house.instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 3
    assert dict(house.rows("SELECT project, outcome FROM redcap.sync_runs")) == {"study": "ok", "other": "ok"}


# -- make dev ------------------------------------------------------------------------------------------------


def processes_of(home: Path) -> list[str]:
    """The command lines of all processes that have this Dagster home in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if f"DAGSTER_HOME={home}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # not a process, gone meanwhile, or not ours
            continue
    return found


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system has no /proc to look for processes in")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_make_dev_leaves_no_process_behind(tmp_path, number):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path / "demo" / "dagster"
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    command = [sys.executable, "-m", "pipelines.demo", "--port", str(port)]
    with (tmp_path / "dev.log").open("wb") as log:
        dev = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            until("the UI", lambda: answers(port))
            assert len(processes_of(home)) > 2
            dev.send_signal(number)
            assert dev.wait(60) == 0
            until("the end of all", lambda: not processes_of(home), 20)
        finally:
            dev.kill()
