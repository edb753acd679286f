"""What became of the published file, told without opening it."""

import pytest

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import Manifest, Publication, fingerprint, log_beside, save_manifest
from pipelines.warehouse.published.file_state import published_file
from pipelines.warehouse.store.results import PublishedState


@pytest.fixture
def folder(tmp_path):
    """A published file, as the manifest has it."""
    made = WarehouseFolder(tmp_path / "warehouse")
    made.make()
    made.database.write_bytes(b"published")
    save_manifest(made, Manifest((Publication(fingerprint(made.database), left_out={"asthma": "a run"}),)))
    return made


@pytest.mark.parametrize(
    ("become", "state", "reason"),
    [
        (lambda folder: None, PublishedState.AS_PUBLISHED, None),
        (lambda folder: folder.database.chmod(0o640), PublishedState.AS_PUBLISHED, None),
        (lambda folder: folder.database.write_bytes(b"published"), PublishedState.AS_PUBLISHED, None),
        (
            lambda folder: folder.database.write_bytes(b"publishes"),
            PublishedState.CHANGED,
            "its content had been changed",
        ),
        (lambda folder: folder.database.write_bytes(b"publish"), PublishedState.CHANGED, "7 bytes instead of 9"),
        (lambda folder: folder.database.write_bytes(b""), PublishedState.CHANGED, "it was empty"),
        (lambda folder: log_beside(folder).write_bytes(b"more"), PublishedState.CHANGED, "left a log beside it"),
        (lambda folder: folder.database.unlink(), PublishedState.MISSING, "it was missing"),
        (lambda folder: save_manifest(folder, Manifest()), PublishedState.UNKNOWN, "there is no record"),
    ],
)
def test_whatever_became_of_the_file_is_told(folder, become, state, reason):
    become(folder)
    found = published_file(folder)
    assert found.state is state
    assert found.reason is None if reason is None else reason in found.reason
    assert not found.is_right
    assert found.left_out == ({} if state is PublishedState.UNKNOWN else {"asthma": "a run"})


def test_where_nothing_was_published_nothing_is_wrong(tmp_path):
    assert published_file(WarehouseFolder(tmp_path)).state is PublishedState.NEVER
    assert published_file(WarehouseFolder(tmp_path)).is_right
