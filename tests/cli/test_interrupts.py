"""Ctrl-C and a polite kill: one line, the exit code that says which, and a ledger that knows."""

import os
import signal
import subprocess
import sys
import threading

import duckdb
import pytest

from redcap_source.simulator import Simulator, make_study


@pytest.fixture
def place(tmp_path):
    """A simulated study and a folder with a projects.yaml for it."""
    with Simulator() as simulator:
        study = simulator.add_project(make_study("classic", records=20, seed=5), name="study")
        (tmp_path / "projects.yaml").write_text(
            f"servers: {{sim: {{url: {simulator.url}, concurrency: 1}}}}\n"
            "projects: {study: {token: {env: TOKEN}, writeback: {fields: [town]}}}\n"
        )
        yield tmp_path, simulator, {**os.environ, "TOKEN": study.token}


def command(place, *words, at=None, send=None, content="record"):
    """A command in a process of its own; a signal reaches it while the request numbered `at` gets no answer."""
    folder, simulator, environment = place
    ended = threading.Event()
    words = [sys.executable, "-m", "pipelines.cli", *words]
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:

        def strike():
            process.send_signal(send)
            assert ended.wait(30), "the load waits for a request that nobody answers"

        if at is not None:
            simulator.before_request(strike, nth=at, content=content)
        _, complaint = process.communicate(timeout=60)
        ended.set()
    return process.returncode, complaint.splitlines()


def sync(place, *, at=None, send=None):
    return command(place, "sync", at=at, send=send)


def ledger(folder):
    with duckdb.connect(str(folder / "warehouse" / "work" / "study.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT outcome, message FROM redcap.sync_runs ORDER BY started_at").fetchall()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_load_ends_at_once_with_one_line_and_the_ledger_says_so(place, number, code):
    folder, *_ = place
    # The third request for records reads the first chunk; those before it are the census.
    returned, complaint = sync(place, at=3, send=number)
    assert returned == code
    assert len(complaint) == 1
    assert complaint[0].startswith("redcap-warehouse: Interrupted.")
    assert ledger(folder) == [("interrupted", "Interrupted.")]
    staging = folder / "warehouse" / "work" / "staging"
    assert [path for path in staging.rglob("*") if path.is_file()] == []
    if number is signal.SIGTERM:
        assert sync(place)[0] == 0
        assert [outcome for outcome, _ in ledger(folder)] == ["interrupted", "ok"]


def test_a_signal_while_the_structure_is_read_is_no_failure(place):
    folder, *_ = place
    returned, complaint = sync(place, at=1, send=signal.SIGINT)
    assert (returned, len(complaint)) == (130, 1)
    assert [outcome for outcome, _ in ledger(folder)] == ["interrupted"]


def test_an_interrupted_write_back_is_no_failed_one(place):
    folder, *_ = place
    assert sync(place)[0] == 0
    (folder / "towns.csv").write_text("record,field,new_value\n1,town,Springfield\n")
    assert command(place, "propose", "study", "towns.csv")[0] == 0
    # The first requests of the run are those of the structure.
    returned, complaint = command(place, "writeback", "study", "--apply", at=1, send=signal.SIGTERM)
    assert (returned, len(complaint)) == (143, 1)
    assert ledger(folder)[-1] == ("interrupted", "Interrupted.")
