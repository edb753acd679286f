"""Machines that are killed: at each step of a check-out and a check-in, at requests to S3, and at random times.

The other machine continues from a whole version, nothing that was reported as checked in is lost, nothing is there
twice, and what nobody needs is removed.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import ProjectHeld
from pipelines.warehouse.database.connection import open_reader
from pipelines.warehouse.database.object_storage import ObjectStorage, s3_settings
from pipelines.warehouse.shared.s3_place import S3Place
from pipelines.warehouse.shared.working_copies import WorkingCopies

# One load of two values, of which the first is made safe while the mirror is open; killed at the n-th step of a name.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from pipelines.coordination import Coordination
from pipelines.warehouse.database.connection import open_writer
from pipelines.warehouse.database.object_storage import ObjectStorage, s3_settings
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.shared.folder_place import FolderPlace
from pipelines.warehouse.shared.s3_place import S3Place
from pipelines.warehouse.shared.working_copies import WorkingCopies

url, folder, data, value, kill_at, nth = sys.argv[1:]
seen = []

def step(name):
    seen.append(name)
    print(name, flush=True)
    if name == kill_at and seen.count(name) == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)

place = FolderPlace(Path(data))
if data.startswith("s3://"):
    place = S3Place(ObjectStorage(data, s3_settings(os.environ)), part=300_000)
copies = WorkingCopies(WarehouseFolder(Path(folder)), place, Coordination(url, loader="killed:1"), step=step)
copies.folder.make()
with copies.working("study", f"run-{value}") as mirror, open_writer(mirror) as connection:
    step("opened")
    connection.execute("CREATE TABLE IF NOT EXISTS loads (value INTEGER)")
    connection.execute(f"INSERT INTO loads VALUES ({value})")
    connection.execute("CHECKPOINT")
    copies.check_in_now("study")
    step("safe")
    connection.execute(f"INSERT INTO loads VALUES ({value}0)")
    step("written")
copies.close()
"""
STEPS = [
    ("held", 1), ("downloaded", 1), ("discarded", 1), ("replaced", 1), ("checked out", 1), ("opened", 1),
    ("copied", 1), ("digest", 1), ("put", 1), ("checked in", 1), ("safe", 1), ("written", 1), ("digest", 2), ("put", 2),
    ("checked in", 2), ("saved", 1),
]  # fmt: skip
# Those that differ most from each other; the others are in the long runs.
ALWAYS = (("put", 1), ("checked in", 1))
KILLED = [pytest.param(*step, marks=[] if step in ALWAYS else pytest.mark.fuzz, id=" ".join(map(str, step)))
          for step in STEPS]  # fmt: skip


class Story:
    """Two machines that load in turn: `two` in this process, `one` in processes that are killed."""

    def __init__(self, database: str, folder: Path, data: str, two: WorkingCopies, environment: dict[str, str]) -> None:
        self.database, self.folder, self.data, self.two = database, folder, data, two
        self.environment = environment

    def start(self, value: int, kill_at: str = "", nth: int = 0) -> subprocess.Popen:
        arguments = [self.database, str(self.folder), self.data, str(value), kill_at, str(nth)]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            text=True,
        )

    def whole(self, value: int) -> None:
        """A load by machine one that is not killed."""
        done = self.start(value)
        assert end(done)[0] == 0

    def load(self, value: int) -> None:
        """A load by machine two, as soon as the project is free."""
        while True:
            try:
                with self.two.working("study", f"run-{value}") as mirror:
                    with_value(mirror, value)
                return
            except ProjectHeld:
                # PostgreSQL notices the end of a process after some milliseconds.
                threading.Event().wait(0.01)

    def newest(self) -> list[int]:
        with self.two.to_read("study") as mirror, open_reader(mirror) as connection:
            return [value for (value,) in connection.execute("SELECT value FROM loads ORDER BY rowid").fetchall()]

    def check(self, killed: int, steps: list[str]) -> None:
        """What must be true after machine one was killed in its load of a value, having come through these steps."""
        before = self.newest()
        self.load(4)
        safe = [killed, killed * 10][: min(steps.count("checked in"), 2)]
        after = self.newest()
        assert after[-1] == 4
        kept = [value for value in after if value in (killed, killed * 10)]
        assert kept in ([], [killed], [killed, killed * 10]), "whole versions only, and nothing twice"
        assert kept[: len(safe)] == safe, "what was checked in is there"
        assert after == [*[value for value in before if value not in kept], *kept, 4]
        self.whole(5)
        assert self.newest() == [*after, 5, 50]
        assert [path.name for path in self.folder.glob("work/.study*")] == []
        numbers = {name.split("/")[2][:8] for name in self.two._place.names("mirrors/study/")}
        assert len(numbers) <= 3
        assert [name for name in self.two._place.names("mirrors/study/") if name.endswith(".begun")] == []


def with_value(mirror: Path, value: int) -> None:
    from pipelines.warehouse.database.connection import open_writer

    with open_writer(mirror) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS loads (value INTEGER)")
        connection.execute("INSERT INTO loads VALUES ($1)", [value])


def end(process: subprocess.Popen) -> tuple[int, list[str]]:
    """The exit code, and the steps that the process came through."""
    steps = process.communicate(timeout=60)[0].splitlines()
    return process.returncode, steps


@pytest.fixture
def in_a_folder(machine: Callable[..., WorkingCopies], database: str, tmp_path: Path) -> Story:
    """Both machines use a shared folder; two loaded, one loaded, two loaded: so the copy of one is old."""
    story = Story(database, tmp_path / "killed", str(tmp_path / "shared"), machine("two"), {})
    story.load(1)
    return story


@pytest.fixture
def in_s3(machine: Callable[..., WorkingCopies], database: str, tmp_path: Path, way) -> Story:
    """The same over S3, in several objects a version; machine one goes through the proxy."""
    data = f"{way.server.bucket(f'killed-{secrets.token_hex(4)}')}/redcap"
    storage = ObjectStorage(data, s3_settings(way.server.environment))
    two = machine("two", place=S3Place(storage, part=300_000))
    story = Story(database, tmp_path / "killed", data, two, way.through.environment)
    story.load(1)
    return story


@pytest.mark.parametrize(("step", "nth"), KILLED)
def test_killed_at_a_step_the_other_machine_continues_from_a_whole_version(in_a_folder, step, nth):
    code, steps = end(in_a_folder.start(3, step, nth))
    assert code == -signal.SIGKILL
    in_a_folder.check(3, steps)


@pytest.mark.fuzz
@pytest.mark.parametrize(("step", "nth"), STEPS)
def test_killed_with_a_copy_that_is_old(in_a_folder, step, nth):
    in_a_folder.whole(2)
    in_a_folder.load(6)
    code, steps = end(in_a_folder.start(3, step, nth))
    assert code == -signal.SIGKILL
    in_a_folder.check(3, steps)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(30))
def test_killed_at_a_random_time(in_a_folder, seed):
    process = in_a_folder.start(3)
    assert process.stdout.readline() == "held\n"
    threading.Timer(random.Random(seed).uniform(0, 0.6), process.kill).start()
    _, steps = end(process)
    in_a_folder.check(3, steps)


@pytest.mark.lake
@pytest.mark.parametrize(
    "request_number",
    [pytest.param(n, marks=[] if n == 7 else pytest.mark.fuzz) for n in range(1, 25)],
)
def test_killed_at_a_request_to_s3(in_s3, way, request_number):
    process = in_s3.start(3)

    def kill(method: str, path: str) -> int | None:
        if len(way.seen) == request_number:
            process.kill()
            process.wait()
        return None

    way.refuse = kill
    _, steps = end(process)
    way.refuse = lambda method, path: None
    in_s3.check(3, steps)
