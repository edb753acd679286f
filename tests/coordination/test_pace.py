"""The limit of a REDCap server: the same for processes that share a folder and machines that share a PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from pipelines.coordination import Coordination
from pipelines.errors import CoordinationUnavailable
from redcap_source import RateLimiter
from redcap_source.http.rate_limit import FolderLimit, SharedLimit
from tests.support.postgres import ask
from tests.support.root import ROOT

URL, OTHER = "https://redcap.example/api/", "https://other.example/api/"
HOLDER = """
import sys
from pathlib import Path
from pipelines.coordination import Coordination
from redcap_source.http.rate_limit import FolderLimit
place, url = sys.argv[1:]
limit = Coordination(place).server_limit(url) if "://" in place else FolderLimit(Path(place), url)
with limit.slot(1):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["folder", "postgres"])
def place(request, tmp_path) -> str:
    """Where the limit is shared: a folder or a URL."""
    return str(tmp_path / "pace") if request.param == "folder" else request.getfixturevalue("database")


@pytest.fixture
def limit(place, tmp_path):
    """Makes the limit of a server, as another process or machine would."""
    made: list[Coordination] = []

    def make(url: str = URL) -> SharedLimit:
        if "://" not in place:
            return FolderLimit(tmp_path / "pace", url)
        made.append(Coordination(place))
        return made[-1].server_limit(url)

    yield make
    for coordination in made:
        coordination.close()


def set_ahead(place: str, tmp_path, seconds: float) -> None:
    """Move the schedule, as if the clock had been set back."""
    if "://" in place:
        ask(place, "UPDATE redcap_warehouse.servers SET next_free = next_free + %s", seconds)
    else:
        for schedule in (tmp_path / "pace").glob("*.next"):
            schedule.write_text(repr(float(schedule.read_text()) + seconds))


def test_requests_of_all_are_scheduled_in_the_order_in_which_they_came(limit):
    one, two = limit(), limit()
    waits = [each.reserve(100.0, 0) for _ in range(3) for each in (one, two)]
    assert waits == pytest.approx([0, 100, 200, 300, 400, 500], abs=20)


def test_a_burst_is_shared_too(limit):
    one, two = limit(), limit()
    waits = [each.reserve(100.0, 2) for _ in range(2) for each in (one, two)]
    assert waits == pytest.approx([0, 0, 0, 100], abs=20)


def test_one_server_does_not_wait_for_another(limit):
    one, other = limit(), limit(OTHER)
    assert [one.reserve(100.0, 0), one.reserve(100.0, 0)] == pytest.approx([0, 100], abs=20)
    assert other.reserve(100.0, 0) == pytest.approx(0, abs=20)
    with one.slot(1), other.slot(1):
        pass


def test_a_schedule_of_a_clock_that_was_set_back_is_no_queue(limit, place, tmp_path):
    one = limit()
    one.reserve(100.0, 0)
    set_ahead(place, tmp_path, 400.0)
    assert one.reserve(100.0, 0) == pytest.approx(500, abs=20)
    set_ahead(place, tmp_path, 86_400.0)
    assert [one.reserve(100.0, 0), one.reserve(100.0, 0)] == pytest.approx([0, 100], abs=20)


def test_a_queue_is_never_longer_than_ten_minutes(limit):
    one = limit()
    assert [one.reserve(250.0, 0) for _ in range(5)] == pytest.approx([0, 250, 500, 0, 250], abs=20)


def test_a_holder_that_is_killed_frees_its_slot(limit, place):
    one = limit()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, place, URL], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        entered = threading.Event()

        def enter():
            with one.slot(1):
                entered.set()

        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.2)
        process.kill()
        assert entered.wait(20)
        waiting.join(20)


def test_no_more_than_so_many_at_once_whoever_asks(limit):
    limits, inside, most, lock = [limit() for _ in range(3)], [0], [0], threading.Lock()

    def work(shared: SharedLimit) -> None:
        for _ in range(5):
            with shared.slot(2):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                shared.reserve(0.0, 0)
                with lock:
                    inside[0] -= 1

    threads = [threading.Thread(target=work, args=[shared]) for shared in limits for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert inside[0] == 0
    assert most[0] <= 2
    with limits[0].slot(2), limits[1].slot(2):
        pass


def test_an_error_inside_frees_the_slot(limit):
    one, two = limit(), limit()
    pace = RateLimiter(60_000, 1, shared=one)
    with pytest.raises(ZeroDivisionError), pace.turn():
        _ = 1 / 0
    with two.slot(1):
        pass


def test_threads_of_one_process_hold_different_slots(machine, database):
    one = machine()
    with one.server_limit(URL).slot(3), one.server_limit(URL).slot(3):
        held = ask(database, "SELECT count(DISTINCT objid) FROM pg_locks WHERE locktype = 'advisory'")
        assert held == [(2,)]
    assert ask(database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_a_request_does_not_wait_for_the_disk_but_a_check_in_does(machine):
    one = machine()
    limit = one.server_limit(URL)
    limit.reserve(1.0, 0)
    asked = "SELECT setting FROM pg_settings WHERE name = 'synchronous_commit' AND source = 'client'"
    assert limit._session.run(asked) == [("off",)]
    one.unpublished()
    assert one._session.run(asked) == []


def test_machines_that_meet_a_server_at_once_share_one_row(machine, database):
    limits = [machine(str(number)).server_limit(URL) for number in range(5)]
    threads = [threading.Thread(target=limit.reserve, args=[100.0, 0]) for limit in limits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert limits[0].reserve(50.0, 0) == pytest.approx(500, abs=20)
    assert ask(database, "SELECT count(*) FROM redcap_warehouse.servers") == [(1,)]


def test_a_request_waits_while_postgresql_restarts_and_is_still_paced(machine, postgres):
    limit = machine().server_limit(URL)
    assert limit.reserve(100.0, 0) == pytest.approx(0, abs=20)
    done: list[float] = []
    thread = threading.Thread(target=lambda: done.append(limit.reserve(100.0, 0)))
    postgres.stop()
    thread.start()
    postgres.start()
    thread.join(30)
    assert done == pytest.approx([100], abs=20)


def test_without_postgresql_no_request_is_sent(machine, postgres):
    pace, sent = RateLimiter(60_000, 1, shared=machine(patience=0.2).server_limit(URL)), []
    with pace.turn():
        sent.append("before")
        postgres.stop()
    with pytest.raises(CoordinationUnavailable), pace.turn():
        sent.append("without")
    postgres.start()
    with pace.turn():
        sent.append("after")
    assert sent == ["before", "after"]
