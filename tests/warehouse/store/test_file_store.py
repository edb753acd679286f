"""The store of files does what the protocol says; opening it creates nothing and imports little."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import NotLoadedYet, WarehouseBusy
from pipelines.store import open_store
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publishing.candidates import release
from pipelines.warehouse.store.file_store import FileStore
from pipelines.warehouse.store.results import Condition, PublishedState
from tests.support.published import PROJECTS
from tests.support.root import ROOT


@pytest.fixture
def store(tmp_path) -> FileStore:
    """The store of a warehouse that was never loaded."""
    return FileStore(WarehouseFolder(tmp_path / "warehouse"))


def test_opening_a_store_and_asking_it_creates_nothing(store):
    with store:
        assert not store.has_begun()
        assert not store.published.exists()
        assert store.published.condition() == Condition(PublishedState.NEVER)
        assert not store.published.last()
        assert not store.published.projects()
        assert store.published.source("a") is None
        assert not store.mirrors.projects()
        assert not store.mirrors.exists("a")
        assert not store.marks.waiting()
        assert store.hash_key.read() is None
        assert not store.find_traces("a")
        with pytest.raises(NotLoadedYet, match=r"warehouse\.duckdb does not exist yet"), store.published.open():
            pass
        with pytest.raises(NotLoadedYet):
            store.statuses(["a"])
    assert not store.folder.path.exists()


def test_a_project_is_one_runs_alone_and_another_is_refused_at_once_by_the_mirrors_name(store):
    with store.mirrors.working("a", "one") as path:
        assert str(path) == store.mirrors.place("a")
        with pytest.raises(WarehouseBusy, match=r"a\.duckdb is in use"), store.mirrors.working("a", "two"):
            pass
        with store.mirrors.working("b", "two"):
            pass
    with store.mirrors.working("a", "two"):
        pass


def test_between_the_steps_of_a_run_a_store_of_files_locks_nothing(store):
    with store.mirrors.working("a", "one", goes_on=True):
        pass
    with store.mirrors.working("a", "two"):
        pass


def test_a_load_that_fails_leaves_the_project_free(store):
    with pytest.raises(ZeroDivisionError), store.mirrors.working("a", "one", goes_on=True):
        raise ZeroDivisionError
    with store.mirrors.working("a", "two"):
        pass


def test_a_mark_names_its_run_and_since_when_it_waits(store):
    store.folder.make()
    store.marks.mark_loaded("a", "run 1")
    store.marks.mark_loaded("a", "run 2")
    assert store.marks.waiting() == {"a": "run 2"}
    assert store.marks.since("a") == store.folder.mark("a").stat().st_mtime
    store.marks.unmark("a")
    assert store.marks.waiting() == {}


def test_a_hash_key_is_made_once_and_told_with_its_place(store):
    store.folder.make()
    key = store.hash_key.make()
    assert store.hash_key.make() == store.hash_key.read() == key
    assert Path(store.hash_key.place).read_text() == key


def test_what_is_published_is_found_by_every_part_of_the_store(published):
    with open_store(published.config) as store:
        assert store.published.projects() == store.mirrors.projects() == {"study", "small"}
        assert set(store.published.last()) == {"study", "small"}
        assert store.published.source("study") == store.published.last()["study"].identity
        assert store.published.condition() == Condition(PublishedState.AS_PUBLISHED)
        assert store.published.size() == Path(store.published.place).stat().st_size
        with store.published.open() as connection:
            assert connection.execute("SELECT count(*) FROM study.base").fetchall() == [(2,)]
        assert [status.project for status in store.statuses(["study", "small"])] == ["study", "small"]
        assert store.published.publish().projects == ()


def test_a_publish_takes_up_only_projects_of_the_configuration(published):
    for project in PROJECTS:
        release(FileStore(published.warehouse), project)
    store = FileStore(published.warehouse, configured=["small"])
    assert store.published.publish().projects == ("small",)
    assert set(store.marks.waiting()) == {"study"}


def test_the_remarks_name_the_published_file_and_what_to_do(published):
    published.warehouse.database.unlink()
    [remark] = published.store.published.condition().remarks
    assert remark.startswith("warehouse.duckdb is not what was published last: it was missing.")
    assert "redcap-warehouse publish" in remark


def test_a_project_that_was_forgotten_has_left_no_trace(published):
    with published.store as store:
        removed = store.forget("small")
        assert {"small", "small_raw"} <= set(removed.schemas)
        assert not store.find_traces("small")
        assert store.published.projects() == store.mirrors.projects() == {"study"}


OPENING = """
import sys
from pipelines.store import open_store
from pipelines.warehouse.store.file_store import FileStore
print(*sorted(name for name in sys.modules if name.split('.')[0] in ('redcap_source', 'httpx', 'pandas')
              or name.startswith(('pipelines.warehouse.publishing', 'pipelines.warehouse.published.',
                                  'pipelines.warehouse.mirror', 'pipelines.config'))))
"""


def test_opening_a_store_imports_neither_publishing_nor_reading_nor_the_http_library():
    done = subprocess.run([sys.executable, "-c", OPENING], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
