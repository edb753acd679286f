"""A mirror that is missing, empty, damaged or another project's is never treated as a first load."""

import os
import shutil
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import LoadRefused, MirrorLost, NotAllPublished, WarehouseError
from pipelines.run import ProjectRun
from pipelines.warehouse.database.connection import open_writer
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import manifest_path
from pipelines.warehouse.mirror.identity import refusal
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.published.status import statuses
from redcap_source.simulator import Simulator
from tests.support.load_site import Site
from tests.support.published import add_small

CHANGED = "SELECT new_value FROM redcap.record_changes WHERE project = 'study' AND change = 'update'"


@pytest.fixture(scope="module")
def lived_in_once(tmp_path_factory):
    """Two projects that were loaded and published, one of them twice, so that it has a history."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as environment:
        site = Site(simulator, tmp_path_factory.mktemp("lived"), environment)
        study = add_small(site, 4)
        add_small(site, 3, "other")
        site.load("other")
        site.night()
        study.save(study.records()[0], {"town": "Neuland"})
        site.night()
        assert site.rows(CHANGED) == [("Neuland",)]
        yield site


@pytest.fixture
def site(lived_in_once, tmp_path, monkeypatch):
    """A copy of that."""
    shutil.copytree(lived_in_once.warehouse.path, tmp_path / "warehouse")
    return Site(lived_in_once.simulator, tmp_path, monkeypatch, handles=dict(lived_in_once.handles))


def removed(site):
    site.warehouse.mirror("study").unlink()


def emptied(site):
    os.truncate(site.warehouse.mirror("study"), 0)


def truncated(site):
    path = site.warehouse.mirror("study")
    os.truncate(path, path.stat().st_size // 3)


def overwritten(site):
    site.warehouse.mirror("study").write_bytes(b"no database at all" * 1000)


def made_anew(site):
    site.warehouse.mirror("study").unlink()
    with open_writer(site.warehouse.mirror("study")) as connection:
        connection.execute("CREATE TABLE a (b INTEGER)")


def taken_from_another(site):
    shutil.copy(site.warehouse.mirror("other"), site.warehouse.mirror("study"))


LOST = {
    "is missing": removed,
    "is empty": emptied,
    "is damaged (its end is missing)": truncated,
    "is damaged (it is no database)": overwritten,
    "holds no load": made_anew,
    "is that of the project other": taken_from_another,
}


@pytest.mark.parametrize(("found", "lose"), LOST.items(), ids=LOST.keys())
def test_a_lost_mirror_is_no_first_load(site, found, lose):
    lose(site)
    before = site.warehouse.database.read_bytes()
    for _ in range(2):  # the second time is like the first
        with pytest.raises(MirrorLost) as raised:
            site.night()
        told = str(raised.value)
        assert f"study.duckdb {found}, though the published database holds the project" in told
        assert "history" in told
        assert "journal" in told
        assert "backup" in told
        assert "redcap-warehouse sync study --start-over" in told
    assert site.warehouse.database.read_bytes() == before
    [study, other] = statuses(site.warehouse, ["study", "other"])
    assert study.last_outcome == ("missing" if "damaged" not in found and "other" not in found else "damaged")
    assert study.lost
    assert study.last_good is not None
    assert "--start-over" in study.message
    assert (other.last_outcome, other.lost) == ("ok", False)


def test_no_other_door_opens_on_a_lost_mirror(site):
    removed(site)
    run = ProjectRun(site.config, site.config.project("study"), run_id="propose")
    with pytest.raises(LoadRefused), run.mirror():
        pass
    assert not site.warehouse.mirror("study").exists()


def test_a_mirror_that_vanishes_after_the_first_look_is_no_first_load(site):
    def refuse(found: str) -> WarehouseError | None:
        return refusal("study", "study.duckdb", found, published={"study"}, waiting=())

    path = site.warehouse.mirror("study")
    with pytest.raises(MirrorLost, match="holds no load"):
        # What was deleted between two looks is made anew by DuckDB.
        path.unlink()
        with open_writer(path):
            pass
        with open_mirror(path, "study", refuse=refuse):
            pass


def nothing_is_published(site) -> None:
    site.warehouse.database.unlink()
    manifest_path(site.warehouse).unlink()


def test_a_load_that_waits_to_be_published_is_known_too(site):
    nothing_is_published(site)
    site.warehouse.mark_loaded("study", "run")
    removed(site)
    with pytest.raises(MirrorLost, match="a load of it waits to be published"):
        site.load()


def test_starting_over_reads_everything_and_takes_the_place_of_what_was_published(site):
    removed(site)
    site.night(start_over=True)
    assert site.rows("SELECT count(*) FROM study.base") == [(4,)]
    assert site.rows(CHANGED) == []
    assert site.rows("SELECT count(*) FROM redcap.sync_runs WHERE project = 'study'") == [(1,)]
    assert site.rows("SELECT count(*) FROM other.base") == [(3,)]
    # What was given up is in no hole of the file either.
    assert site.rows("SELECT free_blocks FROM pragma_database_size()") == [(0,)]
    assert not list(site.warehouse.path.glob(".publishing-*"))
    # It was begun once and for all: the nights that follow are like any other.
    assert site.load().mode == "incremental"


# The test above starts over without a failure.
@pytest.mark.fuzz
def test_one_that_started_over_and_failed_goes_on_without_being_asked_again(site):
    overwritten(site)
    site.simulator.faults.add("502", content="metadata", times=None)
    with pytest.raises(Exception, match="study"):
        site.load(start_over=True)
    site.simulator.faults.clear()
    site.night()
    assert site.rows("SELECT count(*) FROM study.base") == [(4,)]


def test_a_mirror_of_another_warehouse_replaces_nothing(site, tmp_path):
    elsewhere = Site(site.simulator, tmp_path / "elsewhere", site.monkeypatch, handles=site.handles)
    elsewhere.folder.mkdir()
    elsewhere.load()
    refuses_the_mirror_of(site, elsewhere)
    # Nor does one that was begun again there.
    elsewhere.publish()
    elsewhere.load(start_over=True)
    refuses_the_mirror_of(site, elsewhere)


def refuses_the_mirror_of(site, elsewhere) -> None:
    """Load into the mirror of another warehouse: it is not published."""
    shutil.copy(elsewhere.warehouse.mirror("study"), site.warehouse.mirror("study"))
    site.load()
    with pytest.raises(NotAllPublished, match="not the one it was published from"):
        site.publish()
    assert site.rows(CHANGED) == [("Neuland",)]


def test_a_mirror_from_a_backup_is_published_whole(site, tmp_path):
    handle = site.handles["study"]
    backup = tmp_path / "backup"
    shutil.copy(site.warehouse.mirror("study"), backup)
    first = handle.records()[0]
    handle.save(first, {"town": "Altland"})
    site.night()
    shutil.copy(backup, site.warehouse.mirror("study"))
    handle.save(first, {"town": "Neuland"})
    site.night()
    assert site.rows("SELECT count(*), count(DISTINCT record_id) FROM study_raw.base") == [(4, 4)]
    assert site.rows("SELECT count(*) FROM redcap.sync_runs WHERE project = 'study'") == [(3,)]


# -- where there is nothing to lose ---------------------------------------------------------------------------------


def header_only(path: Path) -> None:
    with open_writer(path):
        pass
    os.truncate(path, 5000)


LEFTOVERS = {
    "an empty file": lambda path: path.touch(),
    "half a header": header_only,
    "a log without its file": lambda path: Path(f"{path}.wal").write_bytes(b"of another file"),
}


def unknown(found: str) -> WarehouseError | None:
    """The refusal of a project of which nothing else is known."""
    return refusal("study", "study.duckdb", found, published=(), waiting=())


@pytest.mark.parametrize("leave", LEFTOVERS.values(), ids=LEFTOVERS.keys())
def test_a_first_load_that_died_while_it_made_its_file_begins_again(tmp_path, leave):
    folder = WarehouseFolder(tmp_path)
    folder.make()
    leave(folder.mirror("study"))
    with open_mirror(folder.mirror("study"), "study", refuse=unknown) as mirror:
        assert mirror.state.known_records() == []
    with duckdb.connect(str(folder.mirror("study")), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM state.identity").fetchall() == [(1,)]


def test_a_damaged_file_with_rows_in_it_is_not_removed_even_if_nothing_was_published(site):
    nothing_is_published(site)
    truncated(site)
    before = site.warehouse.mirror("study").read_bytes()
    with pytest.raises(MirrorLost, match="the project was loaded into it"):
        site.load()
    assert site.warehouse.mirror("study").read_bytes() == before


def test_a_file_that_no_project_can_be_named_after_is_not_listed_as_a_project(site):
    shutil.copyfile(site.warehouse.mirror("study"), site.warehouse.mirror("study copy"))
    assert [standing.project for standing in statuses(site.warehouse, ["study", "other"], others=True)] == [
        "study",
        "other",
    ]


def test_a_garbled_mark_still_stands_for_a_project_that_waits(site):
    site.warehouse.mark("study").write_bytes(b"\xff\xfe")
    assert list(site.warehouse.unpublished()) == ["study"]


def test_a_project_is_known_to_be_published_after_the_published_file_was_lost(site):
    site.warehouse.database.unlink()
    removed(site)
    with pytest.raises(MirrorLost, match="the published database holds the project"):
        site.load()


def test_the_published_file_under_a_mirrors_name_is_refused_as_no_load(site):
    shutil.copyfile(site.warehouse.database, site.warehouse.mirror("study"))
    with pytest.raises(MirrorLost) as raised:
        site.night()
    assert raised.value.found == "holds no load"
