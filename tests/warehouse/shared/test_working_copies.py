"""A mirror wanders between machines: what is checked out, continued, discarded and checked in."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pipelines.coordination import Coordination
from pipelines.errors import HoldLost, NotLoadedYet, ProjectHeld, Superseded
from pipelines.store_errors import SharedPlaceUnusable, UnknownCopy
from pipelines.warehouse.database.connection import open_reader, open_writer
from pipelines.warehouse.shared.folder_place import FolderPlace
from pipelines.warehouse.shared.working_copies import WorkingCopies
from tests.support.postgres import ask

END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s"


class CountingPlace(FolderPlace):
    """A shared folder that counts what goes through it, and can be told to fail."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.puts, self.gets, self.failing = 0, 0, False

    def put(self, local, name, digest):
        self.puts += 1
        if self.failing:
            raise SharedPlaceUnusable(place=name, reason="it fails", remedy="Wait.")
        return super().put(local, name, digest)

    def get(self, name, local, digest):
        self.gets += 1
        super().get(name, local, digest)


@pytest.fixture
def place(tmp_path) -> CountingPlace:
    return CountingPlace(tmp_path / "shared")


def add(path: Path, value: int) -> None:
    """Write one more value into a mirror."""
    with open_writer(path) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS loads (value INTEGER)")
        connection.execute("INSERT INTO loads VALUES ($1)", [value])


def leave_a_log(mirror: Path, value: int) -> None:
    """Write a value as a process does that is killed before it closes the file."""
    code = "import os, sys; from pathlib import Path; from pipelines.warehouse.database.connection import *\n"
    code += "with open_writer(Path(sys.argv[1])) as connection:\n"
    code += "    connection.execute(f'INSERT INTO loads VALUES ({sys.argv[2]})')\n    os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(mirror), str(value)], check=True)
    assert Path(f"{mirror}.wal").stat().st_size


def values(path: Path) -> list[int]:
    with open_reader(path) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM loads ORDER BY rowid").fetchall()]


def load(copies: WorkingCopies, value: int, run: str = "run") -> None:
    with copies.working("study", run) as mirror:
        add(mirror, value)


def newest(copies: WorkingCopies) -> list[int]:
    with copies.to_read("study") as mirror:
        return values(mirror)


def end_sessions(database: str) -> None:
    """End every session, as PostgreSQL does when it is restarted."""
    ask(database, END_SESSIONS, database.rpartition("/")[2])


def test_a_load_continues_on_another_machine_with_what_the_first_one_wrote(machine):
    one, two = machine("one"), machine("two")
    load(one, 1)
    load(two, 2)
    load(one, 3)
    assert newest(one) == newest(two) == [1, 2, 3]
    assert values(two.folder.mirror("study")) == [1, 2]


def test_nothing_is_transferred_where_nothing_changed(machine, place):
    one, two = machine("one", place=place), machine("two", place=place)
    load(one, 1)
    with one.working("study", "again") as mirror:
        assert values(mirror) == [1]
    with one.to_read("study") as mirror:
        assert mirror == one.folder.mirror("study")
    load(one, 2)
    assert (place.puts, place.gets) == (2, 0)
    with two.working("study", "look") as mirror:
        assert values(mirror) == [1, 2]
    assert (place.puts, place.gets) == (2, 1)


def test_two_runs_never_have_the_same_project(machine):
    one, two = machine("one"), machine("two")
    with one.working("study", "first"):
        with pytest.raises(ProjectHeld, match="one:1"), two.working("study", "second"):
            pass
        with two.working("other", "second"):
            pass
    load(two, 1)


def test_a_load_that_failed_is_checked_in_as_far_as_it_came(machine):
    one, two = machine("one"), machine("two")
    with pytest.raises(ZeroDivisionError), one.working("study", "run") as mirror:
        add(mirror, 1)
        raise ZeroDivisionError
    load(two, 2)
    assert newest(one) == [1, 2]


def test_blocks_of_one_run_keep_the_project_and_check_in_once(machine, place):
    one, two = machine("one", place=place), machine("two", place=place)
    for number, finish in ((1, False), (2, False), (3, True)):
        with one.working("study", "run", finish=finish) as mirror:
            add(mirror, number)
        if not finish:
            with pytest.raises(ProjectHeld), two.working("study", "other"):
                pass
    assert (place.puts, newest(two)) == (1, [1, 2, 3])


def test_an_error_in_a_later_block_checks_in_and_frees_the_project(machine):
    one, two = machine("one"), machine("two")
    with one.working("study", "run", finish=False) as mirror:
        add(mirror, 1)
    with pytest.raises(ZeroDivisionError), one.working("study", "run", finish=False):
        raise ZeroDivisionError
    load(two, 2)
    assert newest(one) == [1, 2]


def test_a_run_that_ends_between_two_blocks_checks_in_what_was_kept_for_it_and_nothing_else(machine):
    one, two = machine("one"), machine("two")
    with one.working("study", "run", finish=False) as mirror:
        add(mirror, 1)
    with one.working("other", "another run", finish=False) as mirror:
        add(mirror, 1)
    with one.working("third", "run") as mirror:
        one.end_run("run")
        with pytest.raises(ProjectHeld), two.working("third", "run 2"):
            pass
    load(two, 2)
    assert newest(one) == [1, 2]
    with pytest.raises(ProjectHeld), two.working("other", "run 2"):
        pass
    one.end_run("run")


def test_closing_checks_in_what_was_kept(machine):
    one, two = machine("one"), machine("two")
    with one.working("study", "run", finish=False) as mirror:
        add(mirror, 1)
    one.close()
    assert newest(two) == [1]


def test_while_the_shared_place_fails_the_work_stays_here_and_is_checked_in_later(machine, place):
    one, two = machine("one", place=place), machine("two")
    load(one, 1)
    place.failing = True
    with pytest.raises(SharedPlaceUnusable):
        load(one, 2)
    assert newest(two) == [1]
    place.failing = False
    load(one, 3)
    assert newest(two) == [1, 2, 3]


def test_into_a_drive_that_is_not_mounted_nothing_is_checked_in(machine, tmp_path):
    one, two = machine("one"), machine("two")
    load(one, 1)
    (tmp_path / "shared").rename(tmp_path / "unmounted")
    (tmp_path / "shared").mkdir()
    with pytest.raises(SharedPlaceUnusable, match="drive is mounted"):
        load(one, 2)
    (tmp_path / "shared").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "shared")
    load(one, 3)
    assert newest(two) == [1, 2, 3]


def test_work_that_was_not_checked_in_is_discarded_if_another_machine_went_on(machine, place):
    one, two = machine("one", place=place), machine("two")
    load(one, 1)
    place.failing = True
    with pytest.raises(SharedPlaceUnusable):
        load(one, 2)
    place.failing = False
    load(two, 3)
    load(one, 4)
    assert newest(two) == [1, 3, 4]


def test_a_load_whose_hold_was_lost_is_not_checked_in_and_not_continued(machine, database, caplog):
    one, two = machine("one"), machine("two")
    load(one, 1)
    with pytest.raises(HoldLost), one.working("study", "run") as mirror:
        add(mirror, 2)
        end_sessions(database)
    # Also where no other machine went on.
    load(one, 3)
    assert newest(two) == [1, 3]


def test_a_hold_that_was_lost_between_two_blocks_ends_the_run(machine, database):
    one = machine("one")
    with one.working("study", "run", finish=False) as mirror:
        add(mirror, 1)
    end_sessions(database)
    with pytest.raises(HoldLost), one.working("study", "run"):
        pass
    load(one, 2)
    assert newest(one) == [2]


def test_what_must_be_safe_before_something_is_sent_is_not_reported_safe_without_the_hold(machine, database):
    one, two = machine("one"), machine("two")
    load(one, 1)
    with pytest.raises(HoldLost), one.working("study", "run") as mirror:
        add(mirror, 2)
        end_sessions(database)
        load(two, 3)
        one.check_in_now("study")
        pytest.fail("it would have been sent")
    assert newest(one) == [1, 3]


def test_a_hold_that_is_lost_while_something_is_made_safe_is_noticed_before_anything_is_sent(machine, database):
    one = machine("one", step=lambda name: end_sessions(database) if name == "checked in" else None)
    with pytest.raises(HoldLost), one.working("study", "run") as mirror:
        add(mirror, 1)
        one.check_in_now("study")
        pytest.fail("it would have been sent")


def test_a_process_that_ends_between_check_in_and_its_own_note_downloads_nothing(machine, place):
    class End(BaseException):
        """The process ends."""

    def end(name: str) -> None:
        if name == "checked in":
            raise End

    with pytest.raises(End):
        load(machine("one", place=place, step=end), 1)
    one = machine("one", place=place)
    load(one, 2)
    assert (newest(one), place.gets) == ([1, 2], 0)


def test_a_mirror_that_cannot_be_copied_while_it_is_open_is_reported_with_the_systems_reason(machine):
    one = machine("one")
    with pytest.raises(Exception, match="No such file"), one.working("study", "run"):
        one.check_in_now("study")


def test_a_mirror_is_checked_in_while_it_is_open_and_stays_locked_against_readers(machine, place):
    one, two = machine("one", place=place), machine("two")
    with one.working("study", "run") as mirror:
        add(mirror, 1)
        with open_writer(mirror) as connection:
            connection.execute("INSERT INTO loads VALUES (2)")
            connection.execute("CHECKPOINT")
            one.check_in_now("study")
            assert newest(two) == [1, 2]
            one.check_in_now("study")
            assert place.puts == 1
            # Reading the file in this process would have ended DuckDB's lock on it.
            code = "from pathlib import Path; from pipelines.warehouse.database.connection import open_reader\n"
            code += f"with open_reader(Path({str(mirror)!r})): pass"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            assert "WarehouseBusy" in done.stderr
            connection.execute("INSERT INTO loads VALUES (3)")
    assert newest(two) == [1, 2, 3]


def test_without_a_checkpoint_an_open_mirror_is_not_checked_in(machine):
    one = machine("one")
    with one.working("study", "run") as mirror:
        add(mirror, 1)
        with open_writer(mirror) as connection:
            connection.execute("INSERT INTO loads VALUES (2)")
            with pytest.raises(Exception, match="was changed while it was copied"):
                one.check_in_now("study")
    assert newest(one) == [1, 2]


def test_a_check_in_after_another_version_is_refused_and_the_next_load_begins_with_that(machine, database):
    one, two = machine("one"), machine("two")
    load(one, 1)
    with pytest.raises(Superseded), one.working("study", "run") as mirror:
        add(mirror, 2)
        current = Coordination(database)
        working = current.working("study")
        # As a machine does whose clock, disk or operator confuses it.
        current.check_in(
            "study",
            after=working.version,
            object=working.object,
            sha256=working.sha256,
            size=working.bytes,
            run_id="x",
            status=None,
        )
        ask(database, "UPDATE redcap_warehouse.projects SET version = version + 1")
        current.close()
    load(two, 3)
    assert newest(one) == [1, 3]


@pytest.mark.parametrize("unfinished", [False, pytest.param(True, marks=pytest.mark.fuzz)])
def test_after_postgresql_was_restored_no_copy_of_a_lost_version_is_taken_for_another_of_its_number(
    machine, database, place, unfinished
):
    one, two = machine("one", place=place), machine("two")
    load(one, 1)
    [backup] = ask(database, "SELECT version, object, sha256, bytes FROM redcap_warehouse.projects")
    load(one, 2)
    if unfinished:
        place.failing = True
        with pytest.raises(SharedPlaceUnusable):
            load(one, 3)
        place.failing = False
    restore = "UPDATE redcap_warehouse.projects SET version = %s, object = %s, sha256 = %s, bytes = %s"
    ask(database, restore, *backup)
    load(two, 4)
    assert newest(one) == [1, 4], "and not version 2 as it was before"
    load(one, 5)
    assert newest(one) == newest(two) == [1, 4, 5]


def test_a_damaged_working_copy_is_checked_out_again(machine, place, caplog):
    one = machine("one", place=place)
    load(one, 1)
    place.failing = True
    with suppress(SharedPlaceUnusable):
        load(one, 2)
    place.failing = False
    mirror = one.folder.mirror("study")
    mirror.write_bytes(b"no database")
    load(one, 3)
    assert newest(one) == [1, 3]
    assert "it is checked out again" in caplog.text and "it is no database" in caplog.text


def test_a_copy_that_something_else_changed_is_checked_out_again(machine, caplog):
    one = machine("one")
    load(one, 1)
    add(one.folder.mirror("study"), 99)
    load(one, 2)
    assert newest(one) == [1, 2]
    assert "changed by something else" in caplog.text


def test_a_damaged_file_is_never_checked_in(machine, caplog):
    one = machine("one")
    load(one, 1)
    with pytest.raises(Exception, match="damaged"), one.working("study", "run") as mirror:
        mirror.write_bytes(b"no database")
    load(one, 2)
    assert newest(one) == [1, 2]


def test_a_log_that_was_not_brought_into_the_file_is_checked_in_with_it(machine):
    one, two = machine("one"), machine("two")
    load(one, 1)
    with one.working("study", "run") as mirror:
        leave_a_log(mirror, 2)
    assert newest(two) == [1, 2]


def test_the_log_of_a_discarded_copy_is_never_applied_to_its_replacement(machine):
    one, two = machine("one"), machine("two")
    load(one, 1)
    mirror = one.folder.mirror("study")
    leave_a_log(mirror, 2)
    load(two, 3)
    load(one, 4)
    assert newest(two) == [1, 3, 4]


def test_a_mirror_that_was_never_checked_out_is_refused_untouched_and_can_be_adopted(machine):
    one, two = machine("one"), machine("two")
    add(one.folder.mirror("study"), 1)
    with pytest.raises(UnknownCopy, match="move-store"):
        load(one, 2)
    assert values(one.folder.mirror("study")) == [1]
    one.adopt("study", "move")
    load(two, 3)
    assert newest(one) == [1, 3]
    (two.folder.work / "study.checkout.json").unlink()
    two.adopt("study", "move")
    load(one, 4)
    assert newest(two) == [1, 3, 4], "the file that the newest version was made from is that version"
    (two.folder.work / "study.checkout.json").unlink()
    with pytest.raises(UnknownCopy):
        two.adopt("study", "move")
    two.adopt("study", "move", after=3)
    assert newest(one) == [1, 3]


def test_whatever_fails_a_mirror_that_is_adopted_stays_as_it_was(machine):
    one = machine("one")
    add(one.folder.mirror("study"), 1)

    def lose(step):
        if step == "put":
            raise HoldLost(what="study")

    one._step = lose
    with pytest.raises(HoldLost):
        one.adopt("study", "move")
    assert values(one.folder.mirror("study")) == [1]
    one._step = lambda step: None
    one.adopt("study", "move")
    assert newest(one) == [1]


# Of those that remain the tests of killed machines tell, too.
@pytest.mark.fuzz
def test_three_versions_remain(machine, place):
    one = machine("one", place=place)
    for number in range(5):
        load(one, number)
    assert [name[len("mirrors/study/") :][:8] for name in place.names("mirrors/study/")] == [
        "00000003",
        "00000004",
        "00000005",
    ]


def test_old_versions_that_cannot_be_removed_do_not_fail_a_load(machine, place, monkeypatch, caplog):
    def refuse(names):
        raise SharedPlaceUnusable(place="there", reason="it fails", remedy="Wait.")

    monkeypatch.setattr(place, "delete", refuse)
    one = machine("one", place=place)
    load(one, 1)
    assert newest(one) == [1] and "could not be removed" in caplog.text


def test_what_is_forgotten_is_gone_everywhere_and_begins_again(machine, place):
    one, two = machine("one", place=place), machine("two", place=place)
    load(one, 1)
    load(two, 2)
    two.forget("study", "forget")
    assert place.names("mirrors/study/") == []
    assert not two.folder.mirror("study").exists()
    with pytest.raises(NotLoadedYet), two.to_read("study"):
        pass
    with one.working("study", "run") as mirror:
        assert not mirror.exists()
        add(mirror, 9)
    assert newest(two) == [9]


@pytest.mark.fuzz
def test_a_version_that_is_deleted_while_it_is_read_is_looked_up_again(machine, tmp_path):
    class Late(FolderPlace):
        def get(self, name, local, digest):
            for number in range(4 if name.startswith("mirrors/study/00000001") else 0):
                load(one, number)
            super().get(name, local, digest)

    one, two = machine("one"), machine("two", place=Late(tmp_path / "shared"))
    load(one, 7)
    assert newest(two) == [7, 0, 1, 2, 3]


def test_the_status_is_checked_in_with_the_mirror(machine, database):
    one = machine("one", status=lambda project, mirror: {"project": project, "loads": len(values(mirror))})
    load(one, 1)
    coordination = Coordination(database)
    assert coordination.working("study").status == {"project": "study", "loads": 1}
    coordination.close()


def test_no_file_of_a_working_copy_is_left_or_readable_by_others(machine):
    one, two = machine("one"), machine("two")
    load(one, 1)
    load(two, 2)
    assert newest(one) == [1, 2]
    for copies in (one, two):
        files = [path for path in copies.folder.work.rglob("*") if path.is_file()]
        assert sorted(path.name for path in files) == ["study.checkout.json", "study.duckdb", "study.lock"]
        assert {path.stat().st_mode & 0o077 for path in files} == {0}
