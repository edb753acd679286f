"""Moves that are killed: repeated, they end in the same state as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from pipelines.errors import MovedAway
from tests.support.moves import Moves, moves
from tests.support.published import published, published_once

__all__ = ["moves", "published", "published_once"]

pytestmark = pytest.mark.lake

PROGRAM = """
import os, signal, sys
from pathlib import Path
from pipelines.config.load import load_config
from pipelines.store import open_ends
from pipelines.warehouse.moving.into_files import move_into_files
from pipelines.warehouse.moving.into_store import move_into_store
from pipelines.warehouse.moving.plan import plan_into_files, plan_into_store

path, way, kill_at = sys.argv[1:]

def step(name):
    if name == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

config = load_config(Path(path))
with open_ends(config) as ends:
    ends.store.copies._step = step
    if way == "back":
        move_into_files(ends, plan_into_files(ends), sharing=config.published, step=step)
    else:
        move_into_store(ends, plan_into_store(ends), step=step)
"""
INTO = [
    *("noted in the folder", "noted in the store", "key", "digest", "put", "checked in", "moved small"),
    *("marked small", "moved study", "marked study", "published", "free"),
]
BACK = [
    *("noted in the folder", "noted in the store", "key", "held", "checked out", "moved small", "moved study"),
    *("marks", "published", "left", "released"),
]


@pytest.fixture
def site(published):
    return published


def killed(moves: Moves, way: str, step: str) -> None:
    """A move that is killed at a step."""
    moves.use_store()
    words = [sys.executable, "-c", PROGRAM, str(moves.site.path), way, step]
    assert subprocess.run(words, env=dict(os.environ), check=False).returncode == -signal.SIGKILL


@pytest.mark.fuzz
def test_killed_again_and_again_and_repeated_a_move_loses_nothing_and_doubles_nothing(moves, site):
    at_first = moves.in_files()
    site.warehouse.hash_key.write_text("a" * 64)
    for step in ("published",):
        killed(moves, "into", step)
        moves.use_files()
        with pytest.raises(MovedAway, match="is being moved out of"):
            site.publish()
    moves.into_store()
    assert moves.in_store() == at_first
    assert not moves.marks()
    with site.store as store:
        assert store.hash_key.read() == "a" * 64
    site.warehouse.hash_key.unlink()
    for step in ("moved small",):
        killed(moves, "back", step)
        with pytest.raises(MovedAway), site.store.mirrors.working("small", "other"):
            pass
    moves.into_files()
    assert moves.in_files() == at_first
    assert site.warehouse.hash_key.read_text() == "a" * 64
    assert not site.publish().written, "what was published is known"


@pytest.mark.fuzz
@pytest.mark.parametrize("step", INTO)
def test_killed_at_a_step_into_the_store_and_repeated(moves, step):
    at_first = moves.in_files()
    killed(moves, "into", step)
    moves.into_store()
    assert moves.in_store() == at_first


@pytest.mark.fuzz
@pytest.mark.parametrize("step", INTO)
def test_killed_at_a_step_into_the_store_and_given_up(moves, site, step):
    at_first = moves.in_files()
    killed(moves, "into", step)
    moves.into_files()
    assert moves.in_files() == at_first
    assert not site.publish().written


@pytest.mark.fuzz
@pytest.mark.parametrize("step", BACK)
def test_killed_at_a_step_out_of_the_store_and_repeated(moves, site, step):
    at_first = moves.in_files()
    moves.into_store()
    killed(moves, "back", step)
    moves.into_files()
    assert moves.in_files() == at_first
    assert not site.publish().written


@pytest.mark.fuzz
@pytest.mark.parametrize("step", BACK)
def test_killed_at_a_step_out_of_the_store_and_given_up(moves, step):
    at_first = moves.in_files()
    moves.into_store()
    killed(moves, "back", step)
    moves.into_store()
    assert moves.in_store() == at_first
    assert not moves.marks()
