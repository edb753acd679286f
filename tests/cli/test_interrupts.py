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
            "projects:\n  study: {token: {env: TOKEN}, writeback: {fields: [town]}}\n"
        )
        yield tmp_path, simulator, {**os.environ, "TOKEN": study.token}


def command(place, *words, at=None, send=None, content="record", messages=subprocess.PIPE):
    """A command in a process of its own; a signal reaches it while the request numbered `at` gets no answer."""
    folder, simulator, environment = place
    ended = threading.Event()
    words = [sys.executable, "-m", "pipelines.cli", *words]
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=messages, text=True
    ) as process:

        def strike():
            process.send_signal(send)
            assert ended.wait(30), "the load waits for a request that nobody answers"

        if at is not None:
            simulator.before_request(strike, nth=at, content=content)
        _, complaint = process.communicate(timeout=60)
        ended.set()
    return process.returncode, (complaint or "").splitlines()


def sync(place, *, at=None, send=None):
    return command(place, "sync", at=at, send=send)


def ledger(folder, project="study"):
    with duckdb.connect(str(folder / "warehouse" / "work" / f"{project}.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT outcome, message FROM redcap.sync_runs ORDER BY started_at").fetchall()


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.fuzz), (signal.SIGTERM, 143)]
)
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


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.fuzz)]
)
def test_loads_side_by_side_are_all_told_to_stop(place, number, code):
    folder, simulator, environment = place
    other = simulator.add_project(make_study("classic", records=20, seed=6), name="other")
    with (folder / "projects.yaml").open("a") as text:
        text.write("  other: {token: {env: OTHER}}\n")
    both = folder, simulator, {**environment, "OTHER": other.token}
    # Each load asks for the version once, so at the second time both have begun. Neither has ended then: on a busy
    # computer the second process may begin seconds later.
    simulator.latency = (0.15, 0.0)
    returned, complaint = command(both, "sync", "--jobs", "2", at=2, send=number, content="version")
    assert (returned, len(complaint)) == (code, 1)
    assert complaint[0].startswith("redcap-warehouse: Interrupted.")
    assert ledger(folder) == ledger(folder, "other") == [("interrupted", "Interrupted.")]
    assert not list((folder / "warehouse").glob("*.duckdb"))


def test_a_signal_while_the_structure_is_read_is_no_failure(place):
    folder, *_ = place
    returned, complaint = sync(place, at=1, send=signal.SIGINT)
    assert (returned, len(complaint)) == (130, 1)
    assert [outcome for outcome, _ in ledger(folder)] == ["interrupted"]


# A load that is interrupted ends in the same way.
@pytest.mark.fuzz
def test_an_interrupted_write_back_is_no_failed_one(place):
    folder, *_ = place
    assert sync(place)[0] == 0
    (folder / "towns.csv").write_text("record,field,new_value\n1,town,Springfield\n")
    assert command(place, "propose", "study", "towns.csv")[0] == 0
    # The first requests of the run are those of the structure.
    returned, complaint = command(place, "writeback", "study", "--apply", at=1, send=signal.SIGTERM)
    assert (returned, len(complaint)) == (143, 1)
    assert ledger(folder)[-1] == ("interrupted", "Interrupted.")


# What the main thread does at the moment of the signal, in a process of its own; afterwards it waits for a lock that
# nobody releases.
WAITS = """
import os, signal, sys, threading, time
from contextlib import suppress
from pipelines.interrupts import Interrupted, listening

lock = threading.Lock()
lock.acquire()
main = threading.get_ident()

def wait():
    lock.acquire()

{moment}

try:
    with listening(patience=0.1):
        begin()
        wait()
except Interrupted as interrupted:
    os._exit(interrupted.exit_code)
"""

# While another thread runs Python and the main thread's frame is at acquire(), the main thread is in that call or about
# to make it, and looks for no signal before it returns. The signal is one that the system delivers elsewhere.
WHILE_IT_BEGINS_TO_WAIT = """
def strike():
    while (frame := sys._current_frames()[main]).f_lineno != wait.__code__.co_firstlineno + 1:
        time.sleep(0)
    assert frame.f_code is wait.__code__
    signal.pthread_kill(threading.get_ident(), {number})

begin = threading.Thread(target=strike, daemon=True).start
"""

# Python discards what a __del__ method raises.
WHILE_AN_OBJECT_IS_DELETED = """
class Handle:
    def __del__(self):
        signal.raise_signal({number})

begin = Handle
"""

WHILE_CLEANING_UP_WILL_WAIT_FOR_EVER = """
def begin():
    try:
        signal.raise_signal({number})
    finally:
        wait()
"""

# As some libraries do in C.
WHERE_THE_EXCEPTION_IS_IGNORED = """
def begin():
    with suppress(BaseException):
        signal.raise_signal({number})
"""

WHILE_AN_OBJECT_IS_DELETED_THAT_FAILS = """
class Handle:
    def __del__(self):
        raise ValueError("the object's own error")

def begin():
    Handle()
    signal.raise_signal({number})
"""


def wait_for_a_lock(moment, number):
    script = WAITS.format(moment=moment.format(number=int(number)))
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(WHILE_IT_BEGINS_TO_WAIT, id="while it begins to wait"),
        pytest.param(WHILE_AN_OBJECT_IS_DELETED, id="while an object is deleted"),
        pytest.param(WHILE_CLEANING_UP_WILL_WAIT_FOR_EVER, id="while cleaning up will wait for ever"),
        pytest.param(WHERE_THE_EXCEPTION_IS_IGNORED, id="where the exception is ignored"),
    ],
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_wait_at_whatever_moment_it_arrives(moment, number, code):
    done = wait_for_a_lock(moment, number)
    assert (done.returncode, done.stderr) == (code, "")


def test_other_errors_that_python_discards_are_still_shown():
    done = wait_for_a_lock(WHILE_AN_OBJECT_IS_DELETED_THAT_FAILS, signal.SIGTERM)
    assert done.returncode == 143
    assert "the object's own error" in done.stderr


def test_an_interrupted_load_ends_with_its_exit_code_when_nobody_reads_its_messages(place):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        returned, _ = command(place, "sync", at=1, send=signal.SIGTERM, messages=writing)
    finally:
        os.close(writing)
    assert returned == 143


# The HTTP library takes this lock before each request, and again to close its connections.
AS_A_LOCK_IS_TAKEN = """
import os, signal, sys
from httpcore._synchronization import ThreadLock
from pipelines.cli import main

def strike(frame, event, argument):
    if event == "return" and frame.f_code is ThreadLock.__enter__.__code__:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGTERM)

sys.argv = ["redcap-warehouse", "sync"]
sys.setprofile(strike)
main()
"""


def test_a_signal_as_a_lock_of_the_http_library_is_taken_ends_the_load(place):
    folder, _, environment = place
    words = [sys.executable, "-c", AS_A_LOCK_IS_TAKEN]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=20)
    assert (done.returncode, len(done.stderr.splitlines())) == (143, 1)
    assert ledger(folder) == [("interrupted", "Interrupted.")]
