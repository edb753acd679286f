"""What was published last is known by its bytes, and a manifest that is not whole says nothing."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import (
    Manifest,
    Publication,
    PublishedProject,
    crc32,
    fingerprint,
    last_published,
    manifest_path,
    read_manifest,
    renewed,
    save_manifest,
    unfinished_manifests,
)

ENTRY = PublishedProject("id", "run-1", "digest", instruments=2, rows=7, compared=1, whole=True, published_at="2024")


@pytest.fixture
def folder(tmp_path) -> WarehouseFolder:
    """A folder with a published file, and its manifest."""
    found = WarehouseFolder(tmp_path)
    found.make()
    found.database.write_bytes(b"first")
    save_manifest(found, Manifest((Publication(fingerprint(found.database), {"study": ENTRY}, {"other": "run-0"}),)))
    return found


def test_what_is_saved_is_read(folder):
    [state] = read_manifest(folder).states
    assert state.projects == {"study": ENTRY}
    assert state.left_out == {"other": "run-0"}
    assert state.file == fingerprint(folder.database)
    assert state.file.is_of(folder.database)
    assert manifest_path(folder).stat().st_mode & 0o777 == 0o600


def flip_a_digit(path: Path) -> None:
    path.write_text(path.read_text().replace('"run-1"', '"run-2"'))


def of_another_version(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 0}))


def without_a_checksum(path: Path) -> None:
    content = json.loads(path.read_text())
    del content["crc32"]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no manifest"),
        lambda path: path.write_bytes(b"\xff\x00\xfe"),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text("null"),
        lambda path: os.truncate(path, path.stat().st_size - 1),
        lambda path: (path.unlink(), path.mkdir()),
        flip_a_digit,
        of_another_version,
        without_a_checksum,
    ],
)
def test_a_manifest_that_is_not_whole_says_nothing(folder, spoil):
    spoil(manifest_path(folder))
    assert read_manifest(folder) == Manifest()
    assert last_published(folder) is None


def two_states(folder: WarehouseFolder, new: bytes) -> tuple[Publication, Publication]:
    """The manifest as it is while a file is being replaced: the new state and the old one."""
    [old] = read_manifest(folder).states
    path = folder.path / "new"
    path.write_bytes(new)
    state = Publication(fingerprint(path), {"study": replace(ENTRY, run="run-2")})
    save_manifest(folder, Manifest((state, old)))
    return read_manifest(folder).states


@pytest.mark.parametrize("content", [b"other", b"longer than the first"])
def test_after_a_crash_the_state_is_that_of_the_file_that_is_found(folder, content):
    new, old = two_states(folder, content)
    # Of the same size or not, copied back or not: the bytes tell.
    assert last_published(folder) == old
    (folder.path / "new").replace(folder.database)
    assert last_published(folder) == new
    os.utime(folder.database, ns=(1, 1))
    assert last_published(folder) == new
    folder.database.unlink()
    folder.database.write_bytes(b"first")
    assert last_published(folder) == old


def test_without_a_file_to_tell_the_state_is_the_last_that_was_written(folder):
    new, _ = two_states(folder, b"other")
    folder.database.unlink()
    assert last_published(folder) == new
    folder.database.write_bytes(b"neither of both")
    assert last_published(folder) == new


def test_a_file_is_not_opened_to_learn_which_state_it_is_where_sizes_tell(folder):
    two_states(folder, b"other")
    folder.database.unlink()
    # Opening a pipe into which nobody writes would wait for ever.
    os.mkfifo(folder.database)
    assert last_published(folder) is not None


def test_a_file_that_only_the_system_takes_for_another_has_its_bytes_still(folder):
    state = last_published(folder)
    os.utime(folder.database, ns=(1, 1))
    assert not state.file.is_of(folder.database)
    again = renewed(state, folder.database)
    assert again.file.is_of(folder.database)
    assert again.file.crc32 == state.file.crc32 == crc32(folder.database)


def test_a_project_is_named_while_it_is_published_or_left_out(folder):
    state = last_published(folder)
    assert [state.names(project) for project in ("study", "other", "third")] == [True, True, False]
    assert not state.without("study").names("study")
    assert not state.without("other").names("other")
    assert state.without("other").projects == state.projects


def test_what_a_process_left_that_died_while_it_saved_is_found(folder):
    left = manifest_path(folder).with_name(".published.json.123")
    left.touch()
    assert unfinished_manifests(folder) == [left]
