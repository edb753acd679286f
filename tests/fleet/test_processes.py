"""Loads side by side: one that dies takes no other with it, and none goes on when the command ends."""

import multiprocessing
import os
import re
import signal
import threading

import duckdb
import pytest

from pipelines.fleet.processes import Processes
from pipelines.fleet.waiting import Waiting
from pipelines.sync.reports import LoadOptions, Progress
from tests.fleet.conftest import explained
from tests.fleet.test_loads import load


def ledger(site, project):
    """The outcomes in the mirror."""
    with duckdb.connect(str(site.warehouse.mirror(project)), read_only=True) as connection:
        return [
            row for (row,) in connection.execute("SELECT outcome FROM redcap.sync_runs ORDER BY started_at").fetchall()
        ]


@pytest.mark.fuzz
def test_as_many_are_loaded_at_once_as_was_asked_for(several):
    alive = []
    for nth in (1, 2, 3):
        several.simulator.before_request(
            lambda: alive.append(len(multiprocessing.active_children())), nth=nth, content="metadata"
        )
    ended, _ = load(several, 2)
    assert {one.report.outcome for one in ended} == {"ok"}
    assert (len(alive), max(alive)) == (3, 2)
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_takes_only_its_own_project_with_it(several):
    victims = []

    def kill():
        victims.append(multiprocessing.active_children()[0])
        os.kill(victims[0].pid, signal.SIGKILL)

    several.simulator.before_request(kill, nth=1, content="metadata")
    ended, _ = load(several, 2)
    [failure] = [one.failure for one in ended if one.report is None]
    assert re.match(r"\w+: The process that loaded it was ended by signal SIGKILL, before it could report\.", failure)
    assert "--jobs" in failure
    assert len(ended) == 3
    [killed] = [one.project for one in ended if one.report is None]
    assert several.load(killed).outcome == "ok"


def test_when_the_command_ends_the_loads_are_told_to_stop_and_record_it(several):
    reached, answered = threading.Event(), threading.Event()

    def hold():
        reached.set()
        answered.wait(30)

    # Of records the census comes first; by then the run is in the ledger.
    several.simulator.before_request(hold, nth=1, content="record")
    config = several.config
    processes = Processes(config, LoadOptions(), explained, lambda name: Progress())
    loads = processes.run(Waiting([config.project("anna")]), 1)
    running = threading.Thread(target=lambda: list(loads), daemon=True)
    running.start()
    assert reached.wait(30)
    children = multiprocessing.active_children()
    processes.end()
    answered.set()
    running.join(30)
    assert [child.exitcode for child in children] == [128 + signal.SIGTERM]
    assert ledger(several, "anna") == ["interrupted"]
