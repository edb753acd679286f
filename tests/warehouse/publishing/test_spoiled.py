"""Whatever a reader, a crash or a disk did to the published file, the next publish shows what the mirrors hold.

"Shows" is everything a reader finds, in every schema; it is compared with what a publish of the same mirrors into an
empty folder shows.
"""

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import NotAllPublished, WarehouseUnreadable
from pipelines.warehouse.manifest import last_published, manifest_path
from pipelines.warehouse.published.query import is_published
from pipelines.warehouse.publishing.publish import publish
from redcap_source.errors import RedcapError
from tests.support.load_site import Site
from tests.support.published import PROJECTS, adopt, everything, of_projects, shown_anew

HOLDING = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute(sys.argv[2])
print("held", flush=True)
for line in sys.stdin:
    connection.execute(line)
    print("done", flush=True)
connection.close()
"""


class Holder:
    """Another process that has a database open to write."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def execute(self, statement: str) -> None:
        """Let it execute a statement."""
        print(statement, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def held(database: Path, statement: str = "SELECT 1") -> Iterator[Holder]:
    """Let another process open the database to write, execute a statement, and close it in the end."""
    command = [sys.executable, "-c", HOLDING, str(database), statement]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield Holder(process)
        finally:
            process.stdin.close()
            process.wait()


def state_of(path: Path) -> tuple[str, int, int]:
    """The bytes of a file, which one it is, and when it was written."""
    found = path.stat()
    return hashlib.sha256(path.read_bytes()).hexdigest(), found.st_ino, found.st_mtime_ns


def log_of(site: Site) -> Path:
    return Path(f"{site.warehouse.database}.wal")


def as_a_reader(site: Site, statements: str) -> None:
    with duckdb.connect(str(site.warehouse.database)) as connection:
        connection.execute(statements)


def change(site: Site, project: str, value: str) -> None:
    """Change a value in REDCap, and load it."""
    site.handles[project].save("3", {"town": value})
    site.load(project)


# -- what can happen to the file -----------------------------------------------------------------------------------


def delete_rows(site: Site) -> None:
    as_a_reader(site, 'DELETE FROM "study:now".base; DELETE FROM study.base; CHECKPOINT')


def delete_a_project(site: Site) -> None:
    as_a_reader(site, "DELETE FROM redcap.projects WHERE project = 'small'; DELETE FROM _publish.sources; CHECKPOINT")


def add_a_table(site: Site) -> None:
    as_a_reader(site, "CREATE TABLE main.mine AS SELECT * FROM study.base; CHECKPOINT")


def drop_a_view(site: Site) -> None:
    as_a_reader(site, "DROP VIEW study_labels.base; CHECKPOINT")


def cut_off(site: Site) -> None:
    os.truncate(site.warehouse.database, site.warehouse.database.stat().st_size // 2)


def add_bytes(site: Site) -> None:
    with site.warehouse.database.open("ab") as file:
        file.write(b"more")


def overwrite(site: Site) -> None:
    with site.warehouse.database.open("r+b") as file:
        file.seek(site.warehouse.database.stat().st_size // 2)
        file.write(b"\xff" * 100)


def overwrite_and_put_the_time_back(site: Site) -> None:
    before = site.warehouse.database.stat()
    overwrite(site)
    os.utime(site.warehouse.database, ns=(before.st_atime_ns, before.st_mtime_ns))


def empty(site: Site) -> None:
    site.warehouse.database.write_bytes(b"")


def remove(site: Site) -> None:
    site.warehouse.database.unlink()


def write_text(site: Site) -> None:
    site.warehouse.database.write_text("record_id,town\n1,Neuland\n")


def write_sqlite(site: Site) -> None:
    site.warehouse.database.unlink()
    with sqlite3.connect(site.warehouse.database) as connection:
        connection.execute("CREATE TABLE records (record)")


def another_database(site: Site) -> None:
    site.warehouse.database.unlink()
    as_a_reader(site, "CREATE TABLE mine AS FROM range(10)")


def a_mirror(site: Site) -> None:
    shutil.copyfile(site.warehouse.mirror("study"), site.warehouse.database)


def an_older_file(site: Site) -> None:
    shutil.copyfile(site.warehouse.path / "older", site.warehouse.database)


def a_pipe(site: Site) -> None:
    """Nobody writes into it: opening it to read would wait for ever."""
    site.warehouse.database.unlink()
    os.mkfifo(site.warehouse.database)


def a_link_that_leads_nowhere(site: Site) -> None:
    site.warehouse.database.unlink()
    site.warehouse.database.symlink_to(site.folder / "nowhere")


CHANGED = "its content had been changed since it was published"
SIZE = r"it had [\d,]+ bytes instead of [\d,]+"
SPOILED: dict[str, tuple[Callable[[Site], None], str]] = {
    "rows deleted": (delete_rows, f"{SIZE}|{CHANGED}"),
    "projects deleted": (delete_a_project, f"{SIZE}|{CHANGED}"),
    "table added": (add_a_table, f"{SIZE}|{CHANGED}"),
    "view dropped": (drop_a_view, f"{SIZE}|{CHANGED}"),
    "cut off": (cut_off, SIZE),
    "bytes added": (add_bytes, SIZE),
    "overwritten": (overwrite, CHANGED),
    "overwritten, with the time put back": (overwrite_and_put_the_time_back, CHANGED),
    "empty": (empty, "it was empty"),
    "gone": (remove, "it was missing"),
    "text": (write_text, SIZE),
    "SQLite": (write_sqlite, SIZE),
    "another database": (another_database, SIZE),
    "a mirror": (a_mirror, SIZE),
    "an older file": (an_older_file, f"{SIZE}|{CHANGED}"),
    "a pipe": (a_pipe, "it was empty"),
    "a link that leads nowhere": (a_link_that_leads_nowhere, "it was missing"),
}


# The same comparison of sizes and bytes finds the others, which are in the long runs.
OFTEN = ("rows deleted", "overwritten, with the time put back", "empty", "an older file", "a pipe")


@pytest.mark.parametrize("how", [pytest.param(how, marks=() if how in OFTEN else pytest.mark.fuzz) for how in SPOILED])
def test_a_spoiled_file_is_made_again_and_that_is_said_in_one_line(published, truth, caplog, how):
    spoil, reason = SPOILED[how]
    spoil(published)
    done = publish(published.warehouse)
    assert (done.projects, done.written) == (("small", "study"), True)
    assert re.fullmatch(reason, done.rebuilt)
    [told] = [record.getMessage() for record in caplog.records]
    assert told == f"warehouse.duckdb was made again from the projects' mirrors: {done.rebuilt}."
    assert everything(published.warehouse.database) == truth
    assert published.warehouse.database.stat().st_mode & 0o777 == 0o600
    before = state_of(published.warehouse.database)
    assert not publish(published.warehouse).written
    assert state_of(published.warehouse.database) == before


def copy_away_and_back(site: Site) -> None:
    shutil.copyfile(site.warehouse.database, site.folder / "backup")
    site.warehouse.database.unlink()
    shutil.copyfile(site.folder / "backup", site.warehouse.database)


def link_to_where_it_was_moved(site: Site) -> None:
    site.warehouse.database.rename(site.folder / "elsewhere.duckdb")
    site.warehouse.database.symlink_to(site.folder / "elsewhere.duckdb")


def touch(site: Site) -> None:
    os.utime(site.warehouse.database)


def let_all_read(site: Site) -> None:
    site.warehouse.database.chmod(0o644)


def let_nobody_write(site: Site) -> None:
    site.warehouse.database.chmod(0o400)


def give_away(site: Site) -> None:
    os.chown(site.warehouse.database, 65534, 65534)


def write_without_a_checkpoint(site: Site) -> None:
    """A reader that is killed leaves its write-ahead log."""
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('CREATE TABLE mine (a INT)'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(site.warehouse.database)], check=False)
    assert log_of(site).exists()


@pytest.mark.parametrize(
    "how",
    [
        copy_away_and_back,
        link_to_where_it_was_moved,
        let_all_read,
        pytest.param(touch, marks=pytest.mark.fuzz),
        pytest.param(let_nobody_write, marks=pytest.mark.fuzz),
        pytest.param(
            give_away,
            marks=[
                pytest.mark.fuzz,
                pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away"),
            ],
        ),
        write_without_a_checkpoint,
    ],
)
def test_a_file_with_the_same_bytes_is_not_made_again(published, truth, caplog, how):
    how(published)
    before = state_of(published.warehouse.database)
    done = publish(published.warehouse)
    assert (done.written, done.rebuilt, caplog.records) == (False, None, [])
    assert state_of(published.warehouse.database) == before
    assert published.warehouse.database.stat().st_mode & 0o777 == 0o600
    assert not log_of(published).exists()
    assert everything(published.warehouse.database) == truth


@pytest.mark.fuzz
def test_the_next_change_is_published_beside_a_link_and_not_through_it(published, tmp_path):
    link_to_where_it_was_moved(published)
    before = state_of(tmp_path / "elsewhere.duckdb")
    change(published, "study", "Linkstadt")
    assert publish(published.warehouse).rebuilt is None
    assert not published.warehouse.database.is_symlink()
    assert state_of(tmp_path / "elsewhere.duckdb") == before
    assert published.rows("SELECT count(*) FROM study.base WHERE town = 'Linkstadt'") == [(1,)]


def test_a_folder_in_its_place_is_refused_and_kept(published, truth):
    published.warehouse.database.unlink()
    published.warehouse.database.mkdir()
    (published.warehouse.database / "mine").touch()
    with pytest.raises(WarehouseUnreadable, match=r"warehouse\.duckdb.*[Ii]s a directory.*Move the folder away"):
        publish(published.warehouse)
    assert (published.warehouse.database / "mine").exists()
    shutil.rmtree(published.warehouse.database)
    assert publish(published.warehouse).rebuilt == "it was missing"
    assert everything(published.warehouse.database) == truth


def test_bytes_that_changed_though_the_system_says_nothing_are_found_when_they_are_copied(published, tmp_path):
    overwrite(published)
    # As a disk does it that lost a block: no time is another.
    checksum = last_published(published.warehouse).file.crc32
    adopt(published.warehouse, crc32=checksum)
    change(published, "study", "Bitstadt")
    assert publish(published.warehouse).rebuilt == CHANGED
    assert everything(published.warehouse.database) == shown_anew(published.warehouse, tmp_path, "study", "small")


# -- held open -----------------------------------------------------------------------------------------------------


HELD = {
    "nothing": "SELECT 1",
    "a change that is not committed": 'BEGIN; DELETE FROM "study:now".base',
    "a change that is in its log only": "DELETE FROM study.base; CREATE TABLE mine (a INT)",
}


def in_one_run(often: str) -> list[object]:
    """All that a reader may have changed, of which all but one are for the long runs."""
    return [pytest.param(change, marks=() if change == often else pytest.mark.fuzz) for change in HELD]


@pytest.mark.parametrize("change_of_reader", in_one_run("a change that is not committed"))
def test_a_reader_that_holds_it_open_to_write_is_not_waited_for(published, truth, change_of_reader):
    change(published, "study", "Haltstadt")
    with held(published.warehouse.database, HELD[change_of_reader]):
        assert publish(published.warehouse).rebuilt is None
        assert published.rows("SELECT record_id, town FROM study.base ORDER BY 1") == [
            ("1", "Neuland"),
            ("3", "Haltstadt"),
        ]
        assert of_projects(everything(published.warehouse.database), "small") == of_projects(truth, "small")
        before = state_of(published.warehouse.database)
    # It wrote what it had into the file that it had open, which nobody finds any more.
    assert state_of(published.warehouse.database) == before
    assert not publish(published.warehouse).written
    assert not log_of(published).exists()


@pytest.mark.parametrize("change_of_reader", in_one_run("a change that is in its log only"))
def test_what_a_reader_wrote_while_nothing_was_published_is_gone_with_the_next_publish(
    published, truth, change_of_reader
):
    with held(published.warehouse.database, HELD[change_of_reader]):
        assert not publish(published.warehouse).written
    done = publish(published.warehouse)
    assert done.written == (change_of_reader == "a change that is in its log only")
    assert not log_of(published).exists()
    assert everything(published.warehouse.database) == truth


@pytest.mark.fuzz
def test_a_log_that_a_reader_of_the_file_before_leaves_beside_the_new_one_is_removed(published):
    change(published, "study", "Logstadt")
    with held(published.warehouse.database) as holder:
        assert publish(published.warehouse).written
        holder.execute("CREATE TABLE mine (a INT)")
        assert log_of(published).exists()
        assert not publish(published.warehouse).written
        assert not log_of(published).exists()
        assert published.rows("SELECT town FROM study_raw.base ORDER BY record_id") == [("Neuland",), ("Logstadt",)]


# -- the manifest --------------------------------------------------------------------------------------------------


def test_without_a_whole_manifest_the_file_is_made_again(published, truth):
    path = manifest_path(published.warehouse)
    os.truncate(path, path.stat().st_size // 2)
    assert publish(published.warehouse).rebuilt == "there is no record of what was published last"
    assert everything(published.warehouse.database) == truth


@pytest.mark.parametrize("how", ["projects deleted", pytest.param("cut off", marks=pytest.mark.fuzz)])
def test_without_a_manifest_too_a_spoiled_file_is_made_again_from_all_mirrors(published, truth, how):
    SPOILED[how][0](published)
    manifest_path(published.warehouse).unlink()
    assert publish(published.warehouse).projects == ("small", "study")
    assert everything(published.warehouse.database) == truth


def test_mirrors_alone_are_enough_to_make_it_again(published, truth):
    published.warehouse.database.unlink()
    manifest_path(published.warehouse).unlink()
    # A first load that died left this file; of it there is nothing to publish.
    published.warehouse.mirror("begun").touch()
    assert not publish(published.warehouse).written
    assert publish(published.warehouse, rebuild=True).rebuilt == "that was requested"
    assert everything(published.warehouse.database) == truth


# -- projects in other states --------------------------------------------------------------------------------------


# tests/cli/test_publish.py has it by the command.
@pytest.mark.fuzz
def test_a_project_that_is_being_loaded_comes_back_with_the_next_publish(published, truth, caplog):
    empty(published)
    with held(published.warehouse.mirror("small")):
        done = publish(published.warehouse)
        assert (done.projects, list(done.left_out)) == (("study",), ["small"])
        [told] = [record.getMessage() for record in caplog.records]
        assert told.endswith("It lacks small: it is being loaded; it is published when that load has ended.")
        assert everything(published.warehouse.database) == of_projects(truth, "study")
    assert publish(published.warehouse).rebuilt is None
    assert everything(published.warehouse.database) == truth


# tests/cli/test_publish.py has it by the command.
@pytest.mark.fuzz
def test_a_project_whose_mirror_is_damaged_is_named_and_comes_back_when_it_was_restored(published, truth, tmp_path):
    mirror = published.warehouse.mirror("small")
    shutil.copyfile(mirror, tmp_path / "backup")
    os.truncate(mirror, mirror.stat().st_size // 2)
    empty(published)
    with pytest.raises(NotAllPublished, match=r"\(it was empty\), and lacks small: small: .*is damaged"):
        publish(published.warehouse)
    assert everything(published.warehouse.database) == of_projects(truth, "study")
    assert last_published(published.warehouse).left_out.keys() == {"small"}
    shutil.copyfile(tmp_path / "backup", mirror)
    assert publish(published.warehouse).projects == ("small",)
    assert everything(published.warehouse.database) == truth


def test_a_load_that_failed_before_it_changed_anything_holds_nothing_back(published, truth):
    published.simulator.faults.add("500", content="metadata", times=None)
    with pytest.raises(RedcapError):
        published.load("small")
    published.simulator.faults.clear()
    empty(published)
    assert publish(published.warehouse).projects == ("small", "study")
    shown = everything(published.warehouse.database)
    # Its run is in the ledger; nothing else is new.
    assert published.rows("SELECT outcome FROM redcap.sync_runs WHERE project = 'small' ORDER BY started_at") == [
        ("ok",),
        ("ok",),
        ("failed",),
    ]
    assert shown.keys() == truth.keys()
    assert {name for name in truth if shown[name] != truth[name]} == {"redcap.sync_runs"}


def test_what_a_failed_load_changed_is_held_back_until_the_next_good_one(published, truth, tmp_path, caplog):
    published.handles["small"].save("3", {"town": "Halbstadt"})
    fail_at_the_end(published, "small")
    # Readers still find what was published before.
    assert not publish(published.warehouse).written
    assert everything(published.warehouse.database) == truth
    cut_off(published)
    done = publish(published.warehouse)
    assert (done.projects, list(done.left_out)) == (("study",), ["small"])
    assert "It lacks small: its last load did not end well after it had changed rows" in caplog.text
    assert everything(published.warehouse.database) == of_projects(truth, "study")
    assert not publish(published.warehouse).written
    published.load("small")
    assert publish(published.warehouse).projects == ("small",)
    assert not last_published(published.warehouse).left_out
    assert everything(published.warehouse.database) == shown_anew(published.warehouse, tmp_path, "study", "small")


def fail_at_the_end(site: Site, project: str) -> None:
    """A load that changes rows and is killed before it has come to its end."""
    run = site.load(project).run_id
    with duckdb.connect(str(site.warehouse.mirror(project))) as connection:
        connection.execute(
            "UPDATE redcap.sync_runs SET outcome = 'running', finished_at = NULL WHERE run_id = ?", [run]
        )
    site.warehouse.unmark(project)


def test_a_project_that_was_removed_from_the_configuration_stays(published, truth):
    empty(published)
    assert publish(published.warehouse, configured=["study"]).projects == ("small", "study")
    assert everything(published.warehouse.database) == truth


@pytest.mark.fuzz
def test_a_mirror_that_was_restored_from_a_backup_is_published_as_it_is(published, truth, tmp_path):
    mirror = published.warehouse.mirror("small")
    shutil.copyfile(mirror, tmp_path / "backup")
    published.handles["small"].save("3", {"town": "Backupstadt"})
    published.night("small")
    shutil.copyfile(tmp_path / "backup", mirror)
    empty(published)
    assert publish(published.warehouse).projects == ("small", "study")
    assert everything(published.warehouse.database) == truth


@pytest.mark.fuzz
def test_a_project_that_was_started_over_is_published_from_its_new_mirror(published, tmp_path):
    published.load("small", start_over=True)
    overwrite(published)
    assert publish(published.warehouse).projects == ("small", "study")
    assert everything(published.warehouse.database) == shown_anew(published.warehouse, tmp_path, "study", "small")
    assert published.rows("SELECT count(*) FROM redcap.sync_runs WHERE project = 'small'") == [(1,)]


# -- nights without a change ---------------------------------------------------------------------------------------


def test_nights_without_a_change_leave_the_file_byte_by_byte_and_a_full_refresh_compares_it(published, tmp_path):
    for project in PROJECTS:
        published.load(project)
    publish(published.warehouse)
    before = state_of(published.warehouse.database)
    runs = {project: published.load(project).run_id for project in PROJECTS}
    assert published.warehouse.unpublished() == runs
    done = publish(published.warehouse)
    assert (done.projects, done.written) == (("small", "study"), False)
    assert state_of(published.warehouse.database) == before
    assert published.warehouse.unpublished() == {}
    assert all(is_published(published.store, project, run) for project, run in runs.items())
    assert not is_published(published.store, "study", "another")
    published.load("study", full=True)
    assert not publish(published.warehouse).written
    assert state_of(published.warehouse.database) == before
    checksum = last_published(published.warehouse).file.crc32
    overwrite(published)
    adopt(published.warehouse, crc32=checksum)
    published.load("study")
    assert not publish(published.warehouse).written
    published.load("study", full=True)
    assert publish(published.warehouse).rebuilt == CHANGED
    assert everything(published.warehouse.database) == shown_anew(published.warehouse, tmp_path, "study", "small")
