"""What would be moved is found before anything is changed; what is in the way is named, with what to do."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

from pipelines.errors import MovedAway
from pipelines.store import open_ends
from pipelines.store_errors import MoveRefused
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.manifest import manifest_path
from pipelines.warehouse.moving.plan import BEGUN, FORGOTTEN, LATER_THERE, TO_MOVE
from pipelines.warehouse.store.moved import read_note
from tests.support.moves import moves
from tests.support.postgres import ask
from tests.support.published import published, published_once

__all__ = ["moves", "published", "published_once"]

pytestmark = pytest.mark.lake


@pytest.fixture
def site(published):
    return published


def states(plan) -> dict[str, str]:
    return {item.project: item.state for item in plan.projects}


def refused(moves, match: str, *, back: bool = False) -> None:
    """Refused before anything is changed: both places are as they were."""
    folder = moves.site.warehouse
    before = read_note(folder), sorted(folder.work.rglob("*"))
    with pytest.raises(MoveRefused, match=match):
        moves.plan(back=back)
    assert (read_note(folder), sorted(folder.work.rglob("*"))) == before


@contextmanager
def without(path):
    aside = path.with_name("aside")
    path.rename(aside)
    yield
    aside.replace(path)


def test_what_is_in_the_way_is_refused_before_anything_is_changed(moves, site):
    folder = site.warehouse
    assert states(moves.plan()) == {"small": TO_MOVE, "study": TO_MOVE}
    refused(moves, "The store holds no project", back=True)
    with without(folder.mirror("study")):
        refused(
            moves, r"not moved, and nothing was changed\. study: its mirror is missing\. .* sync PROJECT --start-over"
        )
    with without(folder.mirror("study")):
        content = folder.mirror("small").read_bytes()
        folder.mirror("study").write_bytes(content[: len(content) // 2])
        refused(moves, "study: its mirror cannot be read: it is damaged")
        folder.mirror("study").write_bytes(content)
        refused(moves, "study: its mirror is not the one it was published from")
    with project_locked(folder, "small"):
        refused(moves, "small: .*is in use by another process")
    folder.hash_key.write_text("a" * 64)
    moves.use_store()
    with open_ends(site.config) as ends:
        ends.store.coordination.make_hash_key("b" * 64)
    refused(moves, "would have two hashes")


@pytest.mark.fuzz
def test_a_project_that_the_store_has_is_moved_only_if_one_of_the_two_contains_the_other(moves, site, tmp_path):
    shutil.copytree(site.warehouse.path, tmp_path / "older")
    site.handles["small"].save("1", {"town": "Neustadt"})
    site.night("small")
    folder = WarehouseFolder(tmp_path / "older")
    folder.mirror("begun").touch()
    moves.into_store()
    at_first = moves.in_store()
    assert moves.plan().finished

    # The same warehouse on another machine, from a backup of a night before.
    site.warehouse.path.rename(tmp_path / "first")
    folder.path.rename(site.warehouse.path)
    assert states(moves.plan()) == {"begun": BEGUN, "small": LATER_THERE, "study": TO_MOVE}
    moves.into_store()
    assert moves.in_store() == at_first
    site.study("classic", 2, name="begun")
    assert site.load("begun").mode == "full"

    # A warehouse that reads the same projects and shares no history.
    shutil.rmtree(site.warehouse.path)
    moves.use_files()
    del site.handles["begun"]
    site.night("small")
    refused(moves, "small: the store has another mirror of this name")


# The next test has what was forgotten in the store.
@pytest.mark.fuzz
def test_what_was_forgotten_in_the_files_meanwhile_is_removed_from_the_store(moves, site):
    moves.into_store()
    moves.into_files()
    assert moves.plan(back=True).finished
    moves.use_files()
    site.handles.pop("small")
    with site.store as store:
        store.forget("small")
    assert states(moves.plan()) == {"study": TO_MOVE, "small": FORGOTTEN}
    moves.into_store()
    assert not any(name.startswith("small") for name in moves.in_store())


def test_a_copy_is_removed_when_moving_back_only_if_the_store_says_that_its_project_was_forgotten(moves, site):
    moves.into_store()
    ask(moves.catalog, "UPDATE redcap_warehouse.projects SET object = NULL WHERE project = 'small'")
    refused(moves, "small: the store has nothing of this project, and nobody removed it", back=True)
    assert site.warehouse.mirror("small").exists()
    with site.store as store:
        store.coordination.forget("small")
    assert states(moves.plan(back=True)) == {"study": TO_MOVE, "small": FORGOTTEN}


@pytest.mark.fuzz
def test_what_cannot_be_published_is_told_and_the_store_knows_of_it(moves, site):
    with site.store as store, store.mirrors.working("small", "other"):
        store.marks.unmark("small")
    site.handles["small"].save("1", {"town": "Neustadt"})
    site.load("small")
    site.warehouse.unmark("small")
    [small, study] = moves.plan().projects
    assert "published again after its next good load" in small.remark and not study.remark
    moves.into_store()
    assert any(name.startswith("study.") for name in moves.in_store())
    with site.store as store:
        assert store.published.projects() == {"small", "study"}, "losing its mirror would be noticed"
    site.handles["small"].save("2", {"town": "Neustadt"})
    site.night("small")
    assert any(name.startswith("small.") for name in moves.in_store())


def test_another_folder_does_not_move_what_this_one_has(moves, site, tmp_path):
    moves.into_store()
    moves.into_files()
    shutil.copytree(site.warehouse.path, tmp_path / "copy", ignore=shutil.ignore_patterns("moved.json"))
    site.warehouse.path.rename(tmp_path / "first")
    (tmp_path / "copy").rename(site.warehouse.path)
    for back in (False, True):
        with pytest.raises(MovedAway, match=r"was moved from the store of projects\.yaml to .*warehouse"):
            moves.plan(back=back)


def test_a_store_that_was_moved_away_from_is_named(moves, site):
    moves.into_store()
    moves.data += "-2"
    refused(moves, "was moved to .*shared, and store.data in projects.yaml is .*shared-2")
    assert manifest_path(site.warehouse).exists()
