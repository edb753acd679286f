"""Killed at any moment and started again, a load ends as if nothing had happened; readers notice nothing.

The real command runs in a process of its own against a simulated REDCap, and is killed with SIGKILL: just before or
after some request, while it publishes, or at any moment. It is started again until it comes to its end. Then the
published warehouse tells the truth, its changes are those of a twin that nobody disturbed, and nothing is left lying
about. All the while another process reads the published file and reports errors and states that belong to no night.

It kills 200 times, or as often as CRASH_KILLS says, in the long runs (marker `fuzz`).
"""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from pathlib import Path
from random import Random

import pytest

from redcap_source.simulator import Simulator
from tests.support import warehouse_oracle as oracle
from tests.support.edits import KINDS, People, small_study
from tests.support.place import NAME, Clocks, Place
from tests.support.warehouse_oracle import Disagreement, State

KILLS = int(os.environ.get("CRASH_KILLS", "200"))
PATIENCE = 60.0


# --- the reader ----------------------------------------------------------------------------------------------------


def digest(state: State) -> str:
    """A state in few letters."""
    rows = sorted((key, sorted(cells.items())) for key, cells in state.items())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def read_on(database: Path, record_id: str, pause: float, seen: "Queue[tuple[str, str]]", stop: object) -> None:
    """Read the published file again and again, after so many seconds; tell each state once, and every error."""
    known: set[str] = set()
    parent = os.getppid()
    # A test run that is killed cannot say stop.
    while not stop.wait(pause) and os.getppid() == parent:
        if not database.exists():
            continue
        try:
            with oracle.Shown(database, NAME, record_id) as shown:
                found = digest(shown.raw())
        except Exception as problem:
            seen.put(("error", f"{type(problem).__name__}: {problem}"))
            return
        if found not in known:
            known.add(found)
            seen.put(("state", found))


@dataclass
class Reader:
    """A process that reads; what it saw is told when it is asked to stop."""

    database: Path
    record_id: str
    pause: float = 0.02
    seen: set[str] = field(default_factory=set)

    def __enter__(self) -> "Reader":
        context = multiprocessing.get_context("spawn")
        self._stop, self._queue = context.Event(), context.Queue()
        arguments = (self.database, self.record_id, self.pause, self._queue, self._stop)
        self._process = context.Process(target=read_on, args=arguments, daemon=True)
        self._process.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        self._process.join(PATIENCE)
        told = []
        while not self._queue.empty():
            told.append(self._queue.get())
        errors = [text for kind, text in told if kind == "error"]
        if errors or self._process.exitcode:
            raise Disagreement(f"a reader met {errors}, exit code {self._process.exitcode}")
        self.seen = {text for _, text in told}


# --- the command ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kill:
    """When the process dies: so many seconds after it began, asked for the nth time, or began to publish."""

    moment: str
    number: int
    seconds: float


def draw_kill(chance: Random) -> Kill:
    """Mostly while requests are made and answers applied, which is where a load has most to lose."""
    moment = chance.choice(("request", "request", "request", "publish", "publish", "any"))
    return Kill(moment, chance.randint(1, 26), chance.choice((0.0, chance.random() / 20, chance.random() / 4)))


def sync(place: Place, kill: Kill | None = None) -> int:
    """Run the command, and kill it; its exit code, negative where it was killed."""
    command = [sys.executable, "-m", "pipelines.cli", "sync", "--config", str(place.settings), "--json"]
    command += ["--allow-deletions", "--allow-narrower"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        if kill is not None:
            _arm(place, process, kill)
        told, complaint = process.communicate(timeout=PATIENCE)
    if process.returncode > 0:
        raise Disagreement(f"the load failed after a kill: {complaint.decode()}\n{told.decode()}")
    return process.returncode


def _arm(place: Place, process: "subprocess.Popen[bytes]", kill: Kill) -> None:
    def strike() -> None:
        time.sleep(kill.seconds)
        process.send_signal(signal.SIGKILL)

    if kill.moment == "request":
        # Not in the way of the answer: the load goes on while the blow falls.
        place.simulator.before_request(lambda: threading.Thread(target=strike).start(), nth=kill.number)
    else:
        threading.Thread(target=_watch, args=(place, process, kill, strike)).start()


def _watch(place: Place, process: "subprocess.Popen[bytes]", kill: Kill, strike: object) -> None:
    """Wait for the moment to strike: any moment, or the first sign of a new database."""
    if kill.moment == "any":
        time.sleep(kill.number / 20)
    while kill.moment == "publish" and process.poll() is None:
        if any(place.warehouse.path.glob(".publishing-*")):
            break
        time.sleep(0.001)
    strike()


# --- the proof -----------------------------------------------------------------------------------------------------


def changes(place: Place) -> Counter:
    """Every change the warehouse tells of, without when it was found out."""
    told = ("record", "event", "instrument", "instance", "field", "old_value", "new_value", "change")
    with place.shown() as shown:
        rows = shown.redcap("record_changes")
        fates = [(row["record"], row["deleted_at"] is None, row["renamed_to"]) for row in shown.redcap("records")]
    return Counter([*(tuple(row[name] for name in told) for row in rows), *fates])


def check_tidy(place: Place) -> None:
    """Nothing that held participants' data lies about."""
    left = [path for path in (place.warehouse.work / "staging").rglob("*") if path.is_file()]
    left += list(place.warehouse.path.glob(".publishing-*"))
    if left or place.warehouse.unpublished():
        raise Disagreement(f"left behind: {left}, waiting: {place.warehouse.unpublished()}")


def crash(folder: Path, kind: str, kills: int, seed: int) -> Counter:
    """So many kills of loads of one project; how many of each kind hit a living process."""
    chance = Random(seed)
    hit: Counter = Counter()
    clocks = Clocks(datetime.now(UTC))
    (folder / "twin").mkdir()
    with Simulator() as simulator:
        handle = simulator.add_project(small_study(kind), name=NAME)
        people = People(handle, simulator.url, handle.add_user("importer"))
        work(people, chance, 12)
        place, twin = Place(folder, simulator, clocks), Place(folder / "twin", simulator, clocks)
        nights = set()
        with Reader(place.warehouse.database, place.record_id) as reader:
            while sum(hit.values()) < kills:
                nights.add(digest(place.fresh().state))
                kill = draw_kill(chance)
                before = place.published_bytes()
                hit[kill.moment] += (survived := sync(place, kill)) < 0
                if survived < 0 and place.published_bytes() == before and chance.random() < 0.5:
                    # The same night dies once more, somewhere else.
                    continue
                if survived < 0:
                    sync(place)
                twin.night(allow_deletions=True, allow_narrower=True)
                check_night(place, twin, people)
                work(people, chance, 3)
        if strangers := reader.seen - nights:
            raise Disagreement(f"a reader saw {len(strangers)} states that belong to no night")
    return hit


def work(people: People, chance: Random, acts: int) -> None:
    """Some days' work."""
    for _ in range(acts):
        _, act = people.draw_act(chance)
        act()


def check_night(place: Place, twin: Place, people: People) -> None:
    """The truth, the twin's changes, and tidiness."""
    place.check(place.fresh(), people.now_known)
    if told := changes(place) - changes(twin):
        raise Disagreement(f"told only where loads were killed: {list(told)[:5]}")
    if told := changes(twin) - changes(place):
        raise Disagreement(f"not told where loads were killed: {list(told)[:5]}")
    check_tidy(place)
    people.last_night = frozenset(people.handle.records())


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_kills(tmp_path, kind):
    share = -(-KILLS // len(KINDS))
    hit = crash(tmp_path, kind, kills=share, seed=int(os.environ.get("CRASH_SEED", "1")))
    print(f"{kind}: killed {dict(hit)}")
    assert hit.total() == share
