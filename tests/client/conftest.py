"""Canned servers, and the recorded answers of real ones."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .canned import CannedServer, Script


@pytest.fixture
def serve() -> Iterator[Callable[..., CannedServer]]:
    """Start canned servers; they end with the test."""
    servers: list[CannedServer] = []

    def start(*scripts: Script) -> CannedServer:
        servers.append(CannedServer(*scripts))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded answers of real servers, where there is one."""
    given = os.environ.get("REDCAP_RECORDED")
    folder = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "recorded"
    if not folder.is_dir():
        pytest.skip("no recorded answers: set REDCAP_RECORDED to their folder")
    return folder
