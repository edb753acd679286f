"""Canned servers."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.canned import CannedServer, Script


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
