"""A publish that is cut anywhere: nothing is lost, nothing is written twice, and the others are not held up."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import HoldLost
from pipelines.store_errors import SharedPlaceUnusable
from pipelines.warehouse.lake.publish import Mirrors
from tests.support.lake import everything_in, rows_in
from tests.support.postgres import ask
from tests.support.postgres_way import way_to_postgres

pytestmark = pytest.mark.lake
SNAPSHOTS = "SELECT count(*) FROM ducklake_snapshots('warehouse')"
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


@pytest.fixture
def into(published_once, publishing):
    """A lake that holds one project, and the mirrors of two."""
    folder = published_once.warehouse
    made = publishing(small=folder.mirror("small"), study=folder.mirror("study"))
    made.publish("small")
    return made


def cut(into, before_commit):
    """Publish the other project; something happens right before its first commit."""
    done = []

    def once() -> None:
        if not done:
            done.append(True)
            before_commit()

    return into.publisher.publish(("study",), Mirrors(into.to_read, into.marked, once))


def test_a_publish_whose_connection_is_cut_is_repeated_on_a_new_one(into):
    [(before,)] = rows_in(into.lake, SNAPSHOTS)
    name = into.lake.catalog.rpartition("/")[2]
    assert set(cut(into, lambda: ask(into.lake.catalog, END, name)).written) == {"study"}
    assert rows_in(into.lake, SNAPSHOTS) == [(before + 1,)]
    assert rows_in(into.lake, "SELECT count(*) FROM redcap.projects") == [(2,)]


def test_what_a_killed_publisher_had_spilled_is_removed_by_the_next(into):
    into.publisher.close()
    left = Path(into.lake.data).parent / "spill" / "duckdb_temp_storage_DEFAULT-0.tmp"
    left.write_text("values of participants")
    assert set(into.publish("small").unchanged) == {"small"}
    assert not left.exists()
    assert left.parent.exists(), "another process may have it open"


def test_a_commit_whose_answer_is_lost_is_taken_back_and_made_again(into, postgres):
    [(before,)] = rows_in(into.lake, SNAPSHOTS)
    direct = into.lake
    into.publisher.close()
    with way_to_postgres(postgres.port) as way:
        into.publisher._lake = replace(direct, catalog=direct.catalog.replace(f":{postgres.port}/", f":{way.port}/"))

        def lose() -> None:
            way.lose_next_commit = True

        outcome = cut(into, lose)
        into.publisher.close()
    assert way.lost == 1
    assert set(outcome.written) == {"study"}, outcome.failed
    assert rows_in(direct, SNAPSHOTS) == [(before + 1,)]
    files = [
        row[0]
        for row in rows_in(direct, "SELECT data_file FROM ducklake_list_files('warehouse', 'base', schema => 'study')")
    ]
    assert files and all(Path(file).exists() for file in files)
    assert rows_in(direct, "SELECT count(*) FROM redcap.projects") == [(2,)]
    into.publisher._lake = direct
    assert into.publisher.entries()["study"] == outcome.written["study"]


def test_while_a_drive_is_not_mounted_nothing_is_taken_back(into):
    into.publish("study")
    into.publisher.close()
    found, data = rows_in(into.lake, SNAPSHOTS), Path(into.lake.data)
    mounted = data.rename(data.with_name("mounted"))
    with pytest.raises(SharedPlaceUnusable, match="files that the catalog names are not there"):
        into.publish(anew=True)
    shutil.rmtree(data)
    mounted.rename(data)
    assert rows_in(into.lake, SNAPSHOTS) == found
    assert set(into.publish().unchanged) == {"small", "study"}


def test_a_project_of_which_the_lake_is_known_to_be_wrong_is_written_again_and_no_other(into):
    known = into.publisher.entries()
    into.publish("study")
    assert set(into.publish("study", again=known).written) == {"small"}
    assert set(into.publish(trusted=("study",)).written) == {"small"}


# test_lake_damage.py has one whose mirror is gone.
@pytest.mark.fuzz
def test_one_that_cannot_be_published_is_told_and_holds_up_no_other(into, tmp_path):
    found = everything_in(into.lake)
    (tmp_path / "broken.duckdb").write_bytes(b"no database" * 9999)
    into.mirrors["broken"] = tmp_path / "broken.duckdb"

    def marked(project):
        return None if project == "broken" else into.marked(project)

    outcome = into.publisher.publish(("broken", "small", "study"), Mirrors(into.to_read, marked))
    assert set(outcome.failed) == {"broken"} and "it is no database" in outcome.failed["broken"]
    assert set(outcome.written) == {"study"} and set(outcome.unchanged) == {"small"}
    assert found.keys() < everything_in(into.lake).keys()


def test_who_is_no_longer_the_only_publisher_commits_nothing(into):
    [(before,)] = rows_in(into.lake, SNAPSHOTS)

    def lost() -> None:
        raise HoldLost(what="publishing")

    outcome = into.publisher.publish(("study",), Mirrors(into.to_read, into.marked, lost))
    assert set(outcome.failed) == {"study"} and not outcome.written
    assert rows_in(into.lake, SNAPSHOTS) == [(before,)]


def test_a_load_whose_mirror_is_not_checked_in_yet_waits(into):
    outcome = into.publisher.publish(("study",), Mirrors(into.to_read, lambda project: "a run of another machine"))
    assert set(outcome.waiting) == {"study"} and not outcome.written and not outcome.failed
