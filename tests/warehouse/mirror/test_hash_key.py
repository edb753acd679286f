"""The key identifiers are hashed with: one for all, whole, and the same for as long as there are hashes."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from pipelines.errors import HashKeyUnusable
from pipelines.warehouse.database.connection import connect, open_writer
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.mirror.rows.hash_key import fingerprint, read_hash_key
from pipelines.warehouse.store.file_store import FileStore
from redcap_source.simulator import Simulator
from tests.support.load_site import Site
from tests.support.published import add_small

HASHING = "identifiers: hash"


@pytest.fixture(scope="module")
def hashed_once(tmp_path_factory):
    with Simulator() as simulator, pytest.MonkeyPatch.context() as environment:
        site = Site(simulator, tmp_path_factory.mktemp("hashed"), environment, keys=HASHING)
        add_small(site, 3).change_field("town", identifier="y")
        site.night()
        yield site


@pytest.fixture
def site(hashed_once, tmp_path, monkeypatch):
    shutil.copytree(hashed_once.warehouse.path, tmp_path / "warehouse")
    handles = dict(hashed_once.handles)
    return Site(hashed_once.simulator, tmp_path, monkeypatch, keys=HASHING, handles=handles)


def test_first_loads_at_once_hash_with_one_key(tmp_path):
    loads = 4
    with ExitStack() as opened:
        connections = [opened.enter_context(connect()) for _ in range(loads)]
        read_at_once(tmp_path, connections)


def read_at_once(tmp_path, connections) -> None:
    """Let as many loads as there are connections read the key of a new warehouse at once, many times."""
    loads = len(connections)
    for trial in range(30):
        folder = WarehouseFolder(tmp_path / str(trial))
        folder.make()
        start = threading.Barrier(loads)

        def read(number: int, folder: WarehouseFolder = folder, start: threading.Barrier = start) -> str:
            start.wait(30)
            return read_hash_key(FileStore(folder), f"study{number}", connections[number])

        with ThreadPoolExecutor(loads) as pool:
            keys = set(pool.map(read, range(loads)))
        assert keys == {folder.hash_key.read_text()}
        assert len(keys.pop()) == 64
        # Nor is anything of the others left.
        assert [path.name for path in folder.work.iterdir() if "hash" in path.name] == ["hash.key"]


@pytest.mark.parametrize("text", ["", "0" * 63, "not hexadecimal at all".ljust(64, "."), "0" * 65])
def test_what_is_no_key_hashes_nothing(tmp_path, text):
    folder = WarehouseFolder(tmp_path)
    folder.make()
    folder.hash_key.write_text(text)
    with (
        open_mirror(folder.mirror("study"), "study") as mirror,
        pytest.raises(HashKeyUnusable, match=r"does not hold a key.*backup"),
    ):
        read_hash_key(FileStore(folder), "study", mirror.connection)
    assert folder.hash_key.read_text() == text


def test_a_key_that_is_gone_is_not_replaced_while_there_are_hashes(site):
    before = site.rows("SELECT town FROM study.base ORDER BY ALL")
    key = site.warehouse.hash_key.read_text()
    site.warehouse.hash_key.unlink()
    with pytest.raises(HashKeyUnusable, match=r"is missing, and identifiers of study were hashed with it"):
        site.night()
    # Nor is one made for another project, which then could not be matched with this one.
    with (
        open_mirror(site.warehouse.mirror("second"), "second") as mirror,
        pytest.raises(HashKeyUnusable, match="identifiers of study"),
    ):
        read_hash_key(site.store, "second", mirror.connection)
    assert not site.warehouse.hash_key.exists()
    site.warehouse.hash_key.write_text(key)
    site.night(full=True)
    assert site.rows("SELECT town FROM study.base ORDER BY ALL") == before


def test_another_key_than_the_one_of_the_hashes_is_refused(site):
    site.warehouse.hash_key.write_text("ab" * 32)
    before = site.warehouse.database.read_bytes()
    with pytest.raises(HashKeyUnusable, match=r"is another key than the one.*study.*--start-over"):
        site.night()
    assert site.warehouse.database.read_bytes() == before
    site.night(start_over=True)
    with open_writer(site.warehouse.mirror("study")) as connection:
        assert connection.execute("SELECT fingerprint FROM state.hash_key").fetchall() == [(fingerprint("ab" * 32),)]


def test_a_project_that_hashes_nothing_remembers_no_key(tmp_path):
    folder = WarehouseFolder(tmp_path)
    folder.make()
    with open_mirror(folder.mirror("study"), "study") as mirror:
        read_hash_key(FileStore(folder), "study", mirror.connection)
        assert mirror.connection.execute("SELECT count(*) FROM state.hash_key").fetchall() == [(0,)]
    folder.hash_key.unlink()
    with open_mirror(folder.mirror("study"), "study") as mirror:
        assert len(read_hash_key(FileStore(folder), "study", mirror.connection)) == 64
