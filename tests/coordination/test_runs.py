"""Whether a run's process is there, as other machines see it, over a real PostgreSQL and a real process."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

from pipelines.coordination.address import Address
from pipelines.coordination.connection import Session
from pipelines.coordination.runs import RunLock
from tests.coordination.test_locks import ENDED, soon
from tests.support.postgres import ask
from tests.support.root import ROOT

RUN = """
import sys
from pipelines.coordination import Coordination
held = Coordination(sys.argv[1], loader="dying:1").lock_run("run-1")
print("held", flush=True)
sys.stdin.read()
"""
ROWS = "SELECT count(*) FROM redcap_warehouse.runs"


def test_a_run_that_is_killed_is_lost_until_it_is_forgotten(machine, database):
    two = machine("two")
    command = [sys.executable, "-c", RUN, database]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        assert two.lost_runs() == {}
        two.forget_run("run-1")  # it is under way, so it stays known
        process.kill()
        soon(lambda: bool(two.lost_runs()))
    assert [(found.run, found.loader) for found in two.lost_runs().values()] == [("run-1", "dying:1")]
    two.forget_run("run-1")
    assert two.lost_runs() == {}


def test_a_run_that_has_ended_is_not_lost(machine, database):
    one, two = machine("one"), machine("two")
    with one.lock_run("run-1"), one.lock_run("run-2") as second:
        second.release()
        second.release()
        assert ask(database, ROWS) == [(1,)]
        assert two.lost_runs() == {}
    assert ask(database, ROWS) == [(0,)]


def test_a_run_whose_session_was_ended_is_under_way_again(machine, database):
    two = machine("two")
    two.lost_runs()
    with closing(Session(Address(database), patience=5)) as session, RunLock(session, "run-1", "one:1", seconds=0.02):
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        for _ in range(3):
            ask(database, ENDED)
            soon(lambda: two.lost_runs() == {} and ask(database, held) == [(1,)])
        ask(database, "DELETE FROM redcap_warehouse.runs")  # as if it had been given up meanwhile
        soon(lambda: ask(database, ROWS) == [(1,)])
    assert ask(database, ROWS) == [(0,)]


def test_a_run_may_end_while_postgresql_does_not_answer(postgres, machine, database):
    lock = machine().lock_run("run-1")
    ask(database, ENDED)
    lock.release()
    assert list(machine("two").lost_runs()) == ["run-1"]
