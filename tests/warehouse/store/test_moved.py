"""A warehouse folder that says that its projects were moved takes no loads, no publish and no removal."""

import pytest

from pipelines.errors import MovedAway
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.store.file_store import FileStore
from pipelines.warehouse.store.moved import HERE, MOVED, MOVING_IN, MOVING_OUT, note_path, read_note, write_note


@pytest.fixture
def store(tmp_path) -> FileStore:
    store = FileStore(WarehouseFolder(tmp_path / "warehouse"))
    store.folder.make()
    return store


def refuses(store: FileStore, match: str) -> None:
    with pytest.raises(MovedAway, match=match), store.mirrors.working("a", "run"):
        pass
    with pytest.raises(MovedAway, match=match):
        store.published.publish()
    with pytest.raises(MovedAway, match=match):
        store.forget("a")
    with pytest.raises(MovedAway, match=match):
        store.check()  # once for a night, before its loads


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (MOVED, "was moved from .*warehouse to s3://bucket/redcap"),
        (MOVING_IN, "is being moved out of .*warehouse"),
        (MOVING_OUT, "is being moved into .*warehouse"),
    ],
)
def test_while_it_is_elsewhere_nothing_is_loaded_published_or_removed(store, state, match):
    write_note(store.folder, state, "s3://bucket/redcap")
    refuses(store, match)


def test_a_damaged_note_counts_as_one_that_says_that_it_was_moved(store):
    note_path(store.folder).write_text("{")
    refuses(store, "a store that its damaged note work/moved.json does not name")


def test_after_it_came_back_all_goes_on_and_the_folder_keeps_its_id(store):
    first = write_note(store.folder, MOVED, "s3://bucket/redcap")
    write_note(store.folder, HERE, "s3://bucket/redcap")
    with store.mirrors.working("a", "run"):
        pass
    note = read_note(store.folder)
    assert note is not None and note.folder_id == first.folder_id
    assert note_path(store.folder).stat().st_mode & 0o777 == 0o600
