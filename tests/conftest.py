"""What all tests share: the recorded answers of real servers, and the mark of the tests that need them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.quick import is_quick
from tests.support.recordings import REASON, recorded_folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests that need no server and no DuckDB file")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is not quick, without importing it, where only quick tests are wanted."""
    if config.getoption("--quick") and collection_path.name.startswith("test_") and collection_path.suffix == ".py":
        return not is_quick(collection_path) or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of the mark `recorded` where the recordings are absent, before any fixture looks for them."""
    if recorded_folder() is None:
        for item in items:
            if item.get_closest_marker("recorded"):
                item.add_marker(pytest.mark.skip(reason=REASON), append=False)


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Path:
    """The folder of recorded answers, for tests that carry the mark."""
    folder = recorded_folder()
    assert request.node.get_closest_marker("recorded"), "a test that reads the recordings needs the mark `recorded`"
    assert folder is not None, REASON
    return folder
