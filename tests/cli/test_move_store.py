"""`redcap-warehouse move-store`: shows what it would move, moves it when it was confirmed, and says what comes next."""

import json

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.cli.failures import expected
from tests.support.moves import moves
from tests.support.published import published, published_once

__all__ = ["moves", "published", "published_once"]


@pytest.fixture
def site(published):
    return published


def move(site, *words):
    """The command: its exit code, and what it printed; an error is its message."""
    done = CliRunner().invoke(app, ["move-store", *words, "--config", str(site.path)])
    assert done.exception is None or isinstance(done.exception, (SystemExit, *expected()))
    text = str(done.exception) if isinstance(done.exception, expected()) else ""
    return done.exit_code, done.stdout, done.stderr + text


def test_without_a_store_in_the_file_it_says_where_to_read_on(site):
    code, _, complaint = move(site)
    assert code and "there is no `store:`" in complaint and "Nothing was moved" in complaint


@pytest.mark.lake
def test_it_shows_what_it_would_move_moves_it_when_confirmed_and_can_be_repeated(moves, site):
    moves.use_store()
    code, printed, complaint = move(site)
    assert code and not printed
    assert "small" in complaint and "to be moved" in complaint and "2 projects" in complaint
    assert "Nothing was moved. Use --yes" in complaint
    code, printed, complaint = move(site, "--yes")
    assert (code, complaint) == (0, "Moved small.\nMoved study.\n")
    assert "are refused from now on" in printed and "work/moved.json" in printed
    code, printed, _ = move(site, "--yes", "--json")
    assert code == 0 and json.loads(printed)["already_moved"]
    code, printed, _ = move(site, "--back", "--yes", "--json")
    found = json.loads(printed)
    assert (code, found["already_moved"], found["failures"]) == (0, False, {})
    assert [item["state"] for item in found["projects"]] == ["to move", "to move"]
    assert sorted(found["published"]) == ["small", "study"]
    code, printed, _ = move(site, "--back", "--yes")
    assert code == 0 and "already" in printed
