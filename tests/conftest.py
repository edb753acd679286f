"""What all tests share: the recorded answers of real servers, and the mark of the tests that need them."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.quick import is_quick
from tests.support.recordings import REASON, recorded_folder

# Files in memory; a disk takes half as long again, because each load and each publish waits for it several times.
IN_MEMORY = Path("/dev/shm")
# Several times what the tests of two processes hold at once.
MUCH = 3 << 30
# A test module without these words has no test of the lake (see pytest_collection_modifyitems).
MARKS_OF_THE_LAKE = ("mark.lake", "mark.both_stores")


def pytest_configure() -> None:
    """Put the tests' folders into memory, unless TMPDIR says where they go or there is no room for them."""
    there = os.access(IN_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(IN_MEMORY).free > MUCH
    if there and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests that need no server and no DuckDB file")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, without importing it, what is not quick or not of the lake, where only such tests are wanted."""
    if not (collection_path.name.startswith("test_") and collection_path.suffix == ".py"):
        return None
    wanted = str(config.getoption("markexpr")).split()
    of_the_lake = wanted[:1] == ["lake"] and "or" not in wanted
    if of_the_lake and not names_the_lake(collection_path):
        return True
    return (config.getoption("--quick") and not is_quick(collection_path)) or None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of the mark `both_stores` with a warehouse in files and with a lake.

    With the lake, those of `both_stores("always")` run in every run of the lake's tests, and the others in the long
    ones; those of `both_stores("files only")`, about files that a lake has not, in none.
    """
    mark = metafunc.definition.get_closest_marker("both_stores")
    if mark is not None and "files only" not in mark.args and "store_settings" in metafunc.fixturenames:
        marks = [pytest.mark.lake, *([] if "always" in mark.args else [pytest.mark.fuzz])]
        stores = [pytest.param("files"), pytest.param("lake", marks=marks)]
        metafunc.parametrize("store_settings", stores, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of the mark `recorded` where the recordings are absent, before any fixture looks for them.

    A test of the lake that a run of the lake would leave out, because its module does not name the mark, is an error.
    """
    if recorded_folder() is None:
        for item in items:
            if item.get_closest_marker("recorded"):
                item.add_marker(pytest.mark.skip(reason=REASON), append=False)
    if (lake := [item for item in items if item.get_closest_marker("lake")]) and not has_extensions():
        for item in lake:
            item.add_marker(pytest.mark.skip(reason="DuckDB's extensions are not installed (.venv/lake)"), append=False)
    for path in {item.path for item in lake}:
        if not names_the_lake(path):
            raise pytest.UsageError(f"{path} has tests of the lake, and none of {MARKS_OF_THE_LAKE} is written in it.")


def names_the_lake(path: Path) -> bool:
    """Whether a test module may have tests of the lake."""
    return any(mark in path.read_text("utf-8") for mark in MARKS_OF_THE_LAKE)


def has_extensions() -> bool:
    """Whether the DuckDB that runs has the extensions that the tests of the mark `lake` need."""
    from pipelines.warehouse.database.extensions import EXTRAS, find_extension

    return all(find_extension(name) for name in EXTRAS)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what thousands of tests are made of: a tenth of their time was its own."""
    gc.collect()
    gc.freeze()
    # As the command does.
    gc.set_threshold(50_000)


def pytest_unconfigure() -> None:
    """Let everything be collected in the end, or DuckDB takes what is frozen for leaked."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def first_nights(tmp_path_factory) -> Iterator[object]:
    """Studies that were loaded and published once, for `Site.loaded_study`."""
    # Tests that need neither a server nor DuckDB do not wait for these imports.
    from tests.support.load_site import FirstNights

    with FirstNights(tmp_path_factory.mktemp("first-nights")) as kept:
        yield kept


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> Iterator[object]:
    """A PostgreSQL server, started once, that tests may also stop and start again (tests.support.postgres)."""
    from tests.support.postgres import restartable_postgres

    with restartable_postgres(tmp_path_factory.mktemp("postgres") / "server") as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[object]:
    """An S3 server, started once; each test makes a bucket of its own (tests.support.s3)."""
    from tests.support.s3 import running_s3

    with running_s3() as server:
        yield server


@pytest.fixture
def way(s3) -> Iterator[object]:
    """A way to the S3 server on which requests can be refused."""
    from tests.support.s3 import way_to

    with way_to(s3) as proxy:
        yield proxy


@pytest.fixture
def store_settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key `store` of projects.yaml, with its value, for a lake that does not exist yet; blank for files."""
    if getattr(request, "param", "files") == "files":
        return ""
    from tests.support.lake import new_store

    return new_store(request.getfixturevalue("postgres"), tmp_path / "shared", monkeypatch)


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Path:
    """The folder of recorded answers, for tests that carry the mark."""
    folder = recorded_folder()
    assert request.node.get_closest_marker("recorded"), "a test that reads the recordings needs the mark `recorded`"
    assert folder is not None, REASON
    return folder
