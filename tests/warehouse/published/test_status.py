"""The status of every project, whatever has become of the published file and while mirrors are in use."""

import subprocess
import sys

import pytest

from pipelines.warehouse.manifest import manifest_path
from pipelines.warehouse.published.status import statuses
from tests.support.published import add_small

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def held(site):
    """Holds a project's mirror open, as a load in another process does, as long as the test runs."""
    holders = []

    def hold(name):
        command = [sys.executable, "-c", HOLD, str(site.warehouse.mirror(name))]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holders.append(holder)
        assert holder.stdout.readline() == "held\n"

    yield hold
    for holder in holders:
        holder.communicate("")


def test_the_status_is_told_whatever_became_of_the_published_file(site, held):
    for name in ("one", "two"):
        add_small(site, 4, name)
        site.load(name)
    site.publish()
    site.load("two")
    right = statuses(site.warehouse, ["one", "two"])
    assert [(status.records, status.waiting) for status in right] == [(4, False), (4, True)]
    held("two")
    [one, two] = statuses(site.warehouse, ["one", "two"])
    assert (one, two.loading, two.records) == (right[0], True, 4)
    for content in (b"no database at all", b""):
        site.warehouse.database.write_bytes(content)
        [one, two] = statuses(site.warehouse, ["one", "two"])
        assert (one, two.loading, two.records) == (right[0], True, None)
    manifest_path(site.warehouse).unlink()
    site.warehouse.database.write_bytes(b"no database at all")
    assert statuses(site.warehouse, ["one"], others=True)[0] == right[0]
