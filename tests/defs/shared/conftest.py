"""A projects.yaml with a store that several machines share, and the fixtures of the neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.coordination.conftest import database

__all__ = ["database", "shared_path"]


@pytest.fixture
def shared_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str) -> Path:
    """A projects.yaml with a store that several machines share."""
    monkeypatch.setenv("CATALOG", database)
    monkeypatch.setenv("TOKEN", "0123456789ABCDEF0123456789ABCDEF")
    path = tmp_path / "shared.yaml"
    path.write_text(
        "time_zone: Europe/Berlin\n"
        f"store: {{catalog: {{env: CATALOG}}, data: {tmp_path / 'shared'}}}\n"
        "servers: {campus: {url: http://127.0.0.1:9/api/}}\n"
        "projects: {study: {token: {env: TOKEN}}}\n"
    )
    return path
