"""A machine dies in its load, or PostgreSQL or S3 fail for a while: nothing is lost, nothing is there twice.

The machines are the real command; one ends by SIGKILL at a request to REDCap or S3, or as soon as PostgreSQL shows that
it has come to some point, or at a random time. The other then loads what is left, as soon as it begins.
"""

import random
import subprocess
import threading
import time
from dataclasses import dataclass, field

import pytest

from redcap_source.simulator import Simulator
from tests.end_to_end.test_two_loaders import a_day, small_projects
from tests.support.loaders import Loader, Loaders, ended_in_the_end, kill, outputs
from tests.support.postgres import RunningPostgres, ask
from tests.support.s3 import Way

pytestmark = pytest.mark.lake

PROJECTS = "SELECT count(*) FROM redcap_warehouse.projects"
MOMENTS = {
    "one is checked in": f"{PROJECTS} WHERE checked_in_at > TIMESTAMPTZ '{{began}}'",
    "one waits to be published": f"{PROJECTS} WHERE waiting_run IS NOT NULL",
    "all wait to be published": "SELECT bool_and(waiting_run IS NOT NULL) FROM redcap_warehouse.projects",
    "the lake is being written": "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%ducklake_snapshot%' "
    "AND state = 'idle in transaction' AND datname = current_database()",
}


@dataclass
class Killing:
    """One machine, and what ends it."""

    loaders: Loaders
    way: Way
    chance: random.Random
    process: subprocess.Popen[str] | None = None
    started: threading.Event = field(default_factory=threading.Event)
    struck: threading.Event = field(default_factory=threading.Event)

    def strike(self) -> None:
        """End the machine now."""
        self.started.wait(30)
        if not self.struck.is_set() and self.process.poll() is None:
            self.struck.set()
            kill(self.process)

    def at_redcap(self, content: str | None, nth: int) -> None:
        """At a request to REDCap."""
        self.loaders.simulator.before_request(self.strike, nth=nth, content=content)

    def at_s3(self, words: tuple[str, ...], nth: int, *, arrives: bool) -> None:
        """At the n-th request whose method and path have these words; it arrives all the same, or does not."""
        seen = []

        def refuse(method: str, path: str) -> int | None:
            if all(word in f"{method} {path}" for word in words):
                seen.append(path)
                if len(seen) == nth:
                    self.strike()
                    return None if arrives else 503
            return None

        self.way.refuse = refuse

    def when(self, moment: str) -> None:
        """As soon as PostgreSQL answers a question with a number above 0, or that it is so."""
        began = ask(self.loaders.catalog, "SELECT clock_timestamp()::text")[0][0]
        question = MOMENTS[moment].format(began=began)

        def look() -> None:
            self.started.wait(30)
            while self.process.poll() is None:
                if ask(self.loaders.catalog, question)[0][0]:
                    self.strike()
                    return
                time.sleep(0.005)

        threading.Thread(target=look, daemon=True).start()

    def after(self, seconds: float) -> None:
        """At some time."""
        threading.Timer(seconds, self.strike).start()

    def run(self, loader: Loader) -> bool:
        """Start the machine, and return when it has ended; whether it was killed."""
        self.process = loader.start("sync", "--jobs", str(self.chance.choice((1, 2))))
        with ended_in_the_end(self.process):
            self.started.set()
            self.process.communicate(timeout=300)
        self.way.refuse = lambda method, path: None
        return self.struck.is_set()


# The ways to be killed: while the structure is read, while records are read, while the mirror is written to S3, while
# and after the tables are, at moments that PostgreSQL shows, and whenever.
WAYS = {
    "the project is checked out": lambda k: k.at_redcap(None, 1),
    "records are read": lambda k: k.at_redcap("record", k.chance.randint(1, 4)),
    "the mirror is sent": lambda k: k.at_s3(("PUT", "/mirrors/"), k.chance.randint(1, 3), arrives=False),
    "the mirror has arrived": lambda k: k.at_s3(("PUT", "/mirrors/"), k.chance.randint(1, 3), arrives=True),
    "old versions are removed": lambda k: k.at_s3(("GET", "mirrors"), k.chance.randint(1, 3), arrives=True),
    "a table is sent": lambda k: k.at_s3(("PUT", ".parquet"), k.chance.randint(1, 12), arrives=False),
    "a table has arrived": lambda k: k.at_s3(("PUT", ".parquet"), k.chance.randint(1, 12), arrives=True),
    **{moment: lambda k, moment=moment: k.when(moment) for moment in MOMENTS},
    "whenever": lambda k: k.after(k.chance.uniform(0.5, 6)),
}


@pytest.fixture
def loaders(s3, way, postgres: RunningPostgres, tmp_path):
    """Two machines, of which `one` goes through the proxy, after the first night of three projects."""
    with Simulator() as simulator:
        name = f"killed_{abs(hash(tmp_path)):x}"
        data = f"{s3.bucket(name.replace('_', '-'))}/redcap"
        loaders = Loaders(tmp_path, simulator, postgres.new_database(name), data, s3.environment)
        small_projects(loaders, 3)
        loaders.loader("one", **way.through.environment)
        outputs(loaders.loader("two").start("sync", "--jobs", "1"))
        loaders.check()
        yield loaders
        assert not simulator.failures


def the_other_goes_on(loaders: Loaders) -> float:
    """The other machine begins at once and ends well; the seconds that it took."""
    begun = time.monotonic()
    outputs(loaders.loader("two").start("sync", "--jobs", "1"))
    seconds = time.monotonic() - begun
    loaders.check()
    return seconds


# Those that differ most from each other: in a load, and in a publish. The sixty have the others, too.
ALWAYS = ("records are read", "a table is sent")


# Of the ordinary run, tests/warehouse/shared/test_killed.py kills a machine at its steps.
@pytest.mark.fuzz
def test_what_a_machine_was_doing_when_it_died_the_other_does_whole(loaders, way):
    for night, kind in enumerate(ALWAYS, start=1):
        chance = random.Random(kind)
        a_day(loaders, night, chance)
        killing = Killing(loaders, way, chance)
        WAYS[kind](killing)
        assert killing.run(loaders.loader("one")), kind
        the_other_goes_on(loaders)


@pytest.mark.fuzz
def test_machines_that_die_sixty_times_lose_nothing_and_repeat_nothing(loaders, way, postgres):
    kills, longest, by_kind = 0, 0.0, dict.fromkeys(WAYS, 0)
    for night in range(1, 200):
        kind = list(WAYS)[night % len(WAYS)]
        chance = random.Random(night)
        a_day(loaders, night, chance)
        killing = Killing(loaders, way, chance)
        WAYS[kind](killing)
        killed = killing.run(loaders.loader("one"))
        if night % 10 == 5:
            postgres.stop()
            postgres.start()
        longest = max(longest, the_other_goes_on(loaders))
        kills += killed
        by_kind[kind] += killed
        print(f"night {night}: {kills} kills, {kind}, {killed}; the others took at most {longest:.1f} s", flush=True)
        if kills == 60:
            break
    print(f"{kills} kills in {night} nights, {by_kind}; the other machine took {longest:.1f} s at most")
    assert kills == 60


@pytest.mark.fuzz
def test_postgresql_that_restarts_in_a_load_costs_nothing_but_the_load(loaders, postgres):
    a_day(loaders, 1, random.Random(1))

    def restart() -> None:
        postgres.stop()
        postgres.start()

    loaders.simulator.before_request(restart, nth=2, content="record")
    outputs(loaders.loader("two").start("sync", "--jobs", "1"))
    loaders.check()


@pytest.mark.fuzz
def test_s3_that_answers_500_for_a_while_is_waited_for(loaders, way):
    a_day(loaders, 1, random.Random(1))
    began = []

    def refuse(method: str, path: str) -> int | None:
        if method == "PUT":
            began.append(time.monotonic())
            return 500 if began[-1] - began[0] < 5 else None
        return None

    way.refuse = refuse
    outputs(loaders.loader("one").start("sync", "--jobs", "1"))
    assert began[-1] - began[0] >= 5
    loaders.check()
