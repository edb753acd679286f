"""What `forget` removed from the store is removed from the other machines, and nothing else ever is."""

from contextlib import suppress

import pytest

from pipelines.store_errors import LostVersion, SharedPlaceUnusable
from pipelines.warehouse.database.connection import open_writer
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.shared.folder_place import FolderPlace
from pipelines.warehouse.shared.forgotten import copies_here, remove_forgotten
from pipelines.warehouse.shared.working_copies import WorkingCopies
from tests.support.postgres import ask

CANARY = "Canary-Participant"
REMOVED = ["Removed from this machine what `forget` removed from the store: study."]


def load(copies: WorkingCopies, run: str = "run") -> None:
    """Write a participant into the mirror."""
    with copies.working("study", run) as mirror, open_writer(mirror) as connection:
        connection.execute(f"CREATE OR REPLACE TABLE people AS SELECT '{CANARY}' AS name, '{run}' AS run")


def clean(copies: WorkingCopies) -> list[str]:
    return remove_forgotten(copies.folder, copies._coordination)


def traces(copies: WorkingCopies) -> list[str]:
    """The files of a machine in which the participant is."""
    files = [path for path in copies.folder.path.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if CANARY.encode() in path.read_bytes())


def fetched(copies: WorkingCopies) -> None:
    """What a load that died was fetching, and what a reader that died has left."""
    staging = copies.folder.staging("study", "dead")
    staging.mkdir(parents=True)
    (staging / "answer.csv").write_text(CANARY)
    (copies.folder.work / ".study.duckdb.0123abcd.reading").write_text(CANARY)


@pytest.fixture
def forgotten(machine):
    """A project that one machine loaded, and another one after it, and forgot."""
    one, two = machine("one"), machine("two")
    load(one)
    fetched(one)
    load(two)
    two.forget("study", "forget")
    return one


def test_what_another_machine_has_forgotten_is_removed_here_and_said_once(forgotten, machine):
    two = machine("two")
    assert traces(two) == [] and clean(two) == []
    assert traces(forgotten) == [".study.duckdb.0123abcd.reading", "answer.csv", "study.duckdb"]
    assert clean(forgotten) == REMOVED
    assert traces(forgotten) == [] and not (forgotten.folder.work / "study.checkout.json").exists()
    assert clean(forgotten) == []


def test_what_is_loaded_again_under_the_name_stays_and_what_was_forgotten_is_removed_all_the_same(forgotten, machine):
    two = machine("two")
    load(two, "again")
    assert clean(two) == [] and traces(two) == ["study.duckdb"]
    assert clean(forgotten) == REMOVED
    assert traces(forgotten) == [".study.duckdb.0123abcd.reading"], "somebody may be reading the new one"
    load(forgotten)
    assert clean(forgotten) == [] and "study.duckdb" in traces(forgotten)


def test_a_copy_in_use_stays(forgotten):
    with project_locked(forgotten.folder, "study"):
        assert clean(forgotten) == [] and len(traces(forgotten)) == 3
    assert clean(forgotten) == REMOVED


def test_a_copy_with_work_that_was_not_stored_stays_and_is_told_until_it_is_forgotten_here(machine, tmp_path):
    class Failing(FolderPlace):
        def put(self, local, name, digest):
            raise SharedPlaceUnusable(place=name, reason="it fails", remedy="Wait.")

    one, two = machine("one"), machine("two")
    load(one)
    failing = machine("one", place=Failing(tmp_path / "shared"))
    with pytest.raises(SharedPlaceUnusable):
        load(failing, "not stored")
    two.forget("study", "forget")
    [line] = clean(one)
    assert "has work that was not stored" in line and str(one.folder.mirror("study")) in line
    assert "run `redcap-warehouse forget study` here" in line and copies_here(one.folder, "study")
    assert traces(one) == ["study.duckdb"]
    one.forget("study", "forget")
    assert traces(one) == [] and clean(one) == [] and not copies_here(one.folder, "study")


def test_what_was_begun_here_after_the_removal_stays(forgotten):
    clean(forgotten)
    with suppress(KeyboardInterrupt), forgotten.working("study", "run") as mirror:
        mirror.write_text(CANARY)
        raise KeyboardInterrupt
    [line] = clean(forgotten)
    assert "has work that was not stored" in line and "study.duckdb" in traces(forgotten)


def test_a_mirror_of_a_warehouse_in_files_stays(forgotten):
    (forgotten.folder.work / "study.checkout.json").unlink()
    clean(forgotten)
    assert traces(forgotten) == ["answer.csv", "study.duckdb"]
    assert copies_here(forgotten.folder, "study") == []


def test_a_mirror_of_a_warehouse_in_files_stays_where_the_stores_project_of_that_name_is_forgotten(forgotten, machine):
    load(machine("two"), "again")
    (forgotten.folder.work / "study.checkout.json").unlink()
    forgotten.forget("study", "forget")
    assert "study.duckdb" in traces(forgotten)


def test_a_store_that_looks_new_is_an_error_and_removes_nothing(machine, database):
    one = machine("one")
    load(one)
    ask(database, "DROP SCHEMA redcap_warehouse CASCADE")
    again = machine("one")
    assert clean(again) == []
    with pytest.raises(LostVersion, match=r"another one than before.*store\.catalog.*backup"):
        load(again)
    assert traces(again) == ["study.duckdb"]
    # Another store forgets a project of that name.
    machine("two").forget("study", "forget")
    assert clean(again) == [] and traces(again) == ["study.duckdb"]


def test_a_version_that_a_restored_database_does_not_know_stays_and_is_told(forgotten, machine, database):
    two = machine("two")
    [backup] = ask(database, "SELECT version FROM redcap_warehouse.projects")
    load(two, "again")
    ask(database, "UPDATE redcap_warehouse.projects SET object = NULL, version = %s", *backup)
    [line] = clean(two)
    assert "does not know its version" in line and traces(two) == ["study.duckdb"]
    with pytest.raises(LostVersion):
        load(two)
    assert traces(two) == ["study.duckdb"]


def test_a_note_that_cannot_be_read_removes_nothing(forgotten):
    (forgotten.folder.work / "study.checkout.json").write_text("{")
    kept = clean(forgotten)
    assert "does not know its version" in kept[-1] and "study.duckdb" in traces(forgotten)
