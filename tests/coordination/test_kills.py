"""Loaders that are killed at any moment, as processes of their own: nothing lost, nothing done twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.coordination.test_locks import soon
from tests.support.postgres import RunningPostgres, ask
from tests.support.root import ROOT

# The file's lock is opened before the session, because the system closes in this order when it ends a process.
LOADER = """
import fcntl, os, sys, uuid
from pipelines.coordination import Coordination
from pipelines.errors import HoldLost, ProjectHeld, Superseded
url, alone, log = sys.argv[1:]
alone = os.open(alone, os.O_CREAT | os.O_RDWR)
log = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
def say(*words):
    os.write(log, (" ".join(map(str, words)) + "\\n").encode())
coordination = Coordination(url)
while True:
    try:
        with coordination.hold_project("alpha", uuid.uuid4().hex) as held:
            try:
                fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("together")
            found = coordination.working("alpha")
            after, name = found.version if found else 0, uuid.uuid4().hex
            say("tries", after, name)
            held.check()
            version = coordination.check_in(
                "alpha", after=after, object=name, sha256="", size=0, run_id="", status=None)
            say("did", version, name)
            fcntl.flock(alone, fcntl.LOCK_UN)
    except ProjectHeld:
        pass
    except (HoldLost, Superseded) as problem:
        fcntl.flock(alone, fcntl.LOCK_UN)
        say(type(problem).__name__)
"""


class Loaders:
    """Two loaders of one project; who is killed is started again."""

    def __init__(self, database: str, folder: Path) -> None:
        self.log = folder / "log"
        self.log.touch()
        self._command = [sys.executable, "-c", LOADER, database, str(folder / "alone"), str(self.log)]
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        while len(self._running) < 2:
            self._running.append(subprocess.Popen(self._command, cwd=ROOT))

    def kill(self, number: int) -> None:
        process = self._running.pop(number)
        assert process.poll() is None, "a loader ended by itself"
        process.kill()
        process.wait()

    def work(self, lines: int) -> None:
        """Return when they have written so many lines more."""
        size = len(self.lines()) + lines
        soon(lambda: len(self.lines()) >= size, 60)

    def end(self) -> None:
        while self._running:
            self.kill(0)

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()]


def hurt(database: str, folder: Path, kills: int, seed: int, between: Callable[[int], None]) -> Loaders:
    """Kill so many loaders, each after a few steps more; `between` is called with the number of each."""
    chance, loaders = random.Random(seed), Loaders(database, folder)
    try:
        for number in range(kills):
            loaders.start()
            loaders.work(chance.randint(4, 12))
            between(number)
            loaders.kill(chance.randrange(2))
    finally:
        loaders.end()
    return loaders


def assert_each_version_was_made_once(loaders: Loaders, database: str, kills: int) -> None:
    """Every version continues the one before it, and none that was accepted has been replaced."""
    after = {words[2]: int(words[1]) for words in loaders.lines() if words[0] == "tries"}
    did = [(int(words[1]), words[2]) for words in loaders.lines() if words[0] == "did"]
    [(newest, name)] = ask(database, "SELECT version, object FROM redcap_warehouse.projects")
    assert all(after[made] == version - 1 for version, made in did)
    versions = [version for version, _ in did]
    assert len(versions) == len(set(versions))
    assert set(versions) <= set(range(1, newest + 1))
    # A loader that is killed may have checked in without having said so; the last two are killed, too.
    assert newest - len(versions) <= kills + 2
    assert after[name] == newest - 1


def test_loaders_that_are_killed_lose_and_repeat_nothing(database, tmp_path):
    loaders = hurt(database, tmp_path, 3, 1, lambda number: None)
    assert_each_version_was_made_once(loaders, database, 3)
    assert {words[0] for words in loaders.lines()} == {"tries", "did"}


@pytest.mark.fuzz
def test_loaders_that_are_killed_while_postgresql_restarts_lose_and_repeat_nothing(
    postgres: RunningPostgres, database, tmp_path
):
    kills = int(os.environ.get("FUZZ_EXAMPLES", "2000")) // 30

    def restart(number: int) -> None:
        if number % 5 == 4:
            postgres.stop()
            postgres.start()

    loaders = hurt(database, tmp_path, kills, 2, restart)
    assert_each_version_was_made_once(loaders, database, kills)
