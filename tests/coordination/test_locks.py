"""Locks that end with their holder, over a real PostgreSQL and real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.errors import HoldLost, ProjectHeld, Superseded, WarehouseBusy
from tests.coordination.test_coordination import check_in
from tests.support.postgres import ask
from tests.support.root import ROOT

HOLDER = """
import sys
from pipelines.coordination import Coordination
coordination = Coordination(sys.argv[1], loader="dying:1")
held = coordination.hold_project("alpha", "run-9")
print("held", flush=True)
sys.stdin.read()
"""
ENDED = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"


def soon(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return when it holds; an error if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"


def test_a_project_is_held_by_one_and_the_refusal_names_the_holder(machine):
    one, two = machine("one"), machine("two")
    with one.hold_project("alpha", "run-1") as held:
        held.check()
        with pytest.raises(ProjectHeld, match=r"^alpha is in use by one:1 \(run run-1, since 2") as refused:
            two.hold_project("alpha", "run-2")
        assert isinstance(refused.value, WarehouseBusy)
        with two.hold_project("beta", "run-2"):
            assert {name: (found.loader, found.run) for name, found in one.held_projects().items()} == {
                "alpha": ("one:1", "run-1"),
                "beta": ("two:1", "run-2"),
            }
        since = two.held_projects()["alpha"].since
        assert abs(datetime.now(UTC) - since) < timedelta(minutes=1)
        with pytest.raises(ProjectHeld):
            one.hold_project("alpha", "run-1")
    assert one.held_projects() == {}
    with two.hold_project("alpha", "run-2"):
        pass


def test_what_was_released_is_not_held_and_may_be_released_again(machine):
    held = machine().hold_project("alpha", "run-1")
    held.release()
    held.release()
    with pytest.raises(HoldLost):
        held.check()


def test_a_holder_that_is_killed_frees_the_project(machine, database):
    two = machine("two")
    command = [sys.executable, "-c", HOLDER, database]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(ProjectHeld, match="dying:1"):
            two.hold_project("alpha", "run-2")
        killed = time.monotonic()
        process.kill()
        soon(lambda: two.held_projects() == {})
        assert time.monotonic() - killed < 10
    with two.hold_project("alpha", "run-2") as held:
        held.check()


def test_a_session_that_postgresql_ended_is_noticed_at_the_next_use_and_not_taken_again(machine, database):
    one, two = machine("one"), machine("two")
    held = one.hold_project("alpha", "run-1")
    ask(database, ENDED)
    begun = time.monotonic()
    with pytest.raises(HoldLost, match=r"^alpha: PostgreSQL has ended the session"):
        held.check()
    assert time.monotonic() - begun < 5
    with pytest.raises(HoldLost):
        held.check()
    assert two.held_projects() == {}
    with two.hold_project("alpha", "run-2") as other:
        held.release()
        other.check()
        assert two.held_projects()["alpha"].loader == "two:1"


def test_after_a_restart_a_hold_is_lost_and_an_old_version_is_refused(machine, postgres):
    one, two = machine("one"), machine("two")
    check_in(one, 0)
    held = one.hold_project("alpha", "run-1")
    postgres.stop()
    postgres.start()
    with pytest.raises(HoldLost):
        held.check()
    with two.hold_project("alpha", "run-2") as other:
        assert check_in(two, 1, "b") == 2
        other.check()
    with pytest.raises(Superseded):
        check_in(one, 1, "c")


def test_a_lock_that_was_freed_inside_the_session_is_noticed(machine):
    held = machine().hold_project("alpha", "run-1")
    held._session.once("SELECT pg_advisory_unlock_all()")
    with pytest.raises(HoldLost):
        held.check()
    held.release()


def test_a_forked_process_neither_holds_nor_ends_the_hold_of_its_parent(machine):
    one = machine("one")
    held = one.hold_project("alpha", "run-1")
    for ends in (one.close, held._session.close, held.release):
        one.unpublished()
        child = os.fork()
        if child == 0:
            try:
                ends()
                held.check()
            except HoldLost:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        held.check()
    held.release()


def test_one_publisher_at_a_time_and_the_next_waits(machine):
    one, two, began = machine("one"), machine("two"), threading.Event()

    def publish():
        with two.publisher():
            began.set()

    waiting = threading.Thread(target=publish)
    with one.publisher() as held:
        waiting.start()
        assert not began.wait(1.3)
        held.check()
    assert began.wait(20)
    waiting.join(20)


def test_projects_are_told_apart_though_postgresql_hashes_their_names_to_the_same_number(machine, database):
    one, two = machine("one"), machine("two")
    [(names,)] = ask(database, "SELECT array_agg(name) FROM (SELECT 'p' || n AS name FROM generate_series(1, 300000) n)"
                               " names GROUP BY hashtext(name) HAVING count(*) = 2 LIMIT 1")  # fmt: skip
    with one.hold_project(names[0], "run-1"), two.hold_project(names[1], "run-2"):
        assert sorted(two.held_projects()) == sorted(names)
