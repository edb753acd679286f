"""Killed at any moment, a publish leaves one whole file, and the next one ends as if nothing had happened.

Readers who open the file again and again meanwhile never meet an error, and never see half a publish.
"""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from random import Random

import duckdb
import pytest

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publishing.candidates import release
from pipelines.warehouse.publishing.publish import publish
from pipelines.warehouse.store.file_store import FileStore
from tests.support.published import Waiting, everything

KILLS = int(os.environ.get("CRASH_KILLS", "200"))
PATIENCE = 60.0

# A publish in a process of its own that kills itself before or after the nth time that a file takes another's place.
PUBLISHING = """
import os, signal, sys
from pathlib import Path
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publishing.publish import publish

folder, rebuild, fatal, when = sys.argv[1:]
original, times = Path.replace, 0

def replace(self, target):
    global times
    times += 1
    if (times, when) == (int(fatal), "before"):
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(self, target)
    if (times, when) == (int(fatal), "after"):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

Path.replace = replace
print("begun", flush=True)
publish(WarehouseFolder(Path(folder)), rebuild=rebuild == "rebuild")
"""


@dataclass
class Halves:
    """A warehouse of which one state is published, and a later load waits."""

    folder: WarehouseFolder
    waiting: Waiting
    earlier: Path
    """The mirror of what is published."""
    old: dict[str, tuple]

    def reset(self) -> None:
        """Everything as it was before anything was killed."""
        shutil.rmtree(self.folder.path, ignore_errors=True)
        self.waiting.put_into(self.folder)

    def begin(self, how: str, fatal: int = 0, when: str = "") -> "subprocess.Popen[str]":
        """Let another process publish."""
        command = [sys.executable, "-c", PUBLISHING, str(self.folder.path), how, str(fatal), when]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def check(self, *, spoiled: bool = False) -> None:
        """After a kill: readers find the old state or the new one, and the next publish ends right."""
        if not spoiled:
            assert everything(self.folder.database) in (self.old, self.waiting.new)
        done = publish(self.folder)
        assert done.rebuilt is None or spoiled
        assert everything(self.folder.database) == self.waiting.new
        assert self.folder.unpublished() == {}
        assert [path.name for path in self.folder.path.rglob(".publi*")] == []
        assert not publish(self.folder).written


@pytest.fixture(scope="module")
def waiting(published_once, truth, tmp_path_factory) -> Waiting:
    """The studies, of which one has changed and was loaded."""
    made = Waiting.after(published_once, tmp_path_factory.mktemp("waiting"), "Halbstadt")
    assert made.new != truth
    return made


@pytest.fixture
def halves(published_once, waiting, tmp_path, truth) -> Halves:
    """A copy of that."""
    made = Halves(WarehouseFolder(tmp_path / "warehouse"), waiting, published_once.warehouse.mirror("study"), truth)
    made.reset()
    return made


# The manifest that names both files takes the old one's place, then the new file, then the manifest of that.
MOMENTS = [(1, "before"), (1, "after"), (2, "after"), (3, "after")]


@pytest.mark.parametrize(
    ("fatal", "when"),
    [*MOMENTS[1:3], *(pytest.param(*moment, marks=pytest.mark.fuzz) for moment in (MOMENTS[0], MOMENTS[3]))],
)
def test_killed_around_each_rename_a_publish_leaves_a_whole_file(halves, fatal, when):
    with halves.begin("publish", fatal, when) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    halves.check()


@pytest.mark.fuzz
def test_killed_between_the_renames_a_rebuild_leaves_a_whole_file(halves):
    with halves.begin("rebuild", 1, "after") as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    halves.check()


def test_killed_while_a_spoiled_file_is_made_again_a_publish_trusts_neither_file(halves):
    os.truncate(halves.folder.database, 100_000)
    with halves.begin("publish", 1, "after") as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    halves.check(spoiled=True)


@pytest.mark.fuzz
@pytest.mark.parametrize("how", ["publish", "rebuild", "spoiled"])
def test_killed_at_any_moment_a_publish_leaves_a_whole_file(halves, how):
    chance, hit = Random(int(os.environ.get("CRASH_SEED", "1"))), 0
    for _ in range(KILLS // 3):
        halves.reset()
        if how == "spoiled":
            os.truncate(halves.folder.database, 100_000)
        with halves.begin("rebuild" if how == "rebuild" else "publish") as process:
            assert process.stdout.readline() == "begun\n"
            time.sleep(chance.random())
            process.send_signal(signal.SIGKILL)
            hit += process.wait(PATIENCE) == -signal.SIGKILL
        halves.check(spoiled=how == "spoiled")
    print(f"{how}: killed {hit}")
    assert hit > KILLS // 12


# -- a reader ------------------------------------------------------------------------------------------------------

AGREE = """
SELECT (SELECT list(town ORDER BY town) FROM study.base),
       (SELECT list(town ORDER BY town) FROM study_raw.base),
       (SELECT list(town ORDER BY town) FROM study_history.base WHERE _valid_to IS NULL),
       (SELECT count(*) FROM redcap.records WHERE project = 'study' AND deleted_at IS NULL),
       (SELECT rows FROM redcap.projects WHERE project = 'study'),
       (SELECT count(*) FROM redcap.record_changes WHERE project = 'study' AND new_value = 'Halbstadt')
"""


def read_on(database: Path, told: "Queue[object]", stop: object) -> None:
    """Open the file, ask what must agree, close it, again and again; tell how often, or the first error."""
    times, parent, seen = 0, os.getppid(), set()
    while not stop.is_set() and os.getppid() == parent:
        try:
            with duckdb.connect(str(database), read_only=True) as connection:
                typed, verbatim, history, records, rows, changed = connection.execute(AGREE).fetchone()
            assert typed == verbatim == history
            assert len(typed) == records == rows
            assert changed == typed.count("Halbstadt")
        except Exception as problem:
            told.put(f"{type(problem).__name__}: {problem}")
            return
        times += 1
        seen.add(tuple(typed))
    told.put((times, seen))


def test_a_reader_never_errs_while_files_are_published_made_again_and_compacted(halves):
    folder, later = halves.folder, halves.waiting.folder.mirror("study")
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.Queue()
    reader = context.Process(target=read_on, args=(folder.database, told, stop), daemon=True)
    reader.start()
    try:
        # A mirror from a backup: what is published of later runs is discarded, and the file is compacted.
        for source, rebuild in ((later, False), (halves.earlier, False), (later, True)):
            shutil.copyfile(source, folder.mirror("study"))
            release(FileStore(folder), "study")
            assert publish(folder, rebuild=rebuild).written
    finally:
        stop.set()
    found = told.get(timeout=PATIENCE)
    reader.join(PATIENCE)
    assert isinstance(found, tuple), found
    assert found[0] > 1
    assert found[1] <= {("Halbstadt", "Neuland"), ("Neuland", "Town 3")}
