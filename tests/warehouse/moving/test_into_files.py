"""There and back again, everything is as it was: rows, history, journal, ledger, marks; and work goes on in between."""

import os
import subprocess
import sys

import pytest

from pipelines.errors import MovedAway, WarehouseError
from pipelines.writeback import publish_results
from tests.support.root import ROOT
from tests.support.writeback_site import row, values

pytestmark = pytest.mark.lake


@pytest.mark.fuzz
def test_there_and_back_again_everything_is_as_it_was_and_work_goes_on_in_between(moves, site, study):
    site.propose([row("1", "weight", "91.5"), row("2", "weight", "92.5")])
    outcome = site.apply()
    publish_results(site.config, site.project(), outcome)
    at_first = moves.in_files()
    moves.into_store()
    assert moves.in_store() == at_first

    moves.use_files()
    with pytest.raises(MovedAway, match=r"was moved from .*warehouse to .*shared"):
        site.load()
    with pytest.raises(MovedAway):
        site.publish()

    moves.use_store()
    study.save("3", {"weight": "77.7"})
    assert site.night().mode == "incremental"
    site.revert()
    assert site.night().mode == "incremental"
    weights = {
        key[0]: value for key, value in values(study).items() if key[2] == "weight" and key[0] in ("1", "2", "3")
    }
    assert weights == {"1": "80.0", "2": "81.0", "3": "77.7"}, "the write-back made before the move was undone after it"
    later = moves.in_store()
    assert later != at_first

    moves.into_files()
    assert moves.in_files() == later
    moves.use_store()
    told = r"was moved from the store of projects\.yaml to .*warehouse"
    with pytest.raises(MovedAway, match=told):
        site.load()
    with pytest.raises(WarehouseError, match=told), site.store as store:
        store.check()
    moves.use_files()
    study.save("3", {"weight": "78.8"})
    assert site.night().mode == "incremental"
    assert list(site.warehouse.work.glob("*.checkout.json")) == []

    last = moves.in_files()
    moves.into_store()
    assert moves.in_store() == last
    study.save("3", {"weight": "79.9"})
    assert site.night().mode == "incremental"


WRITE = """
import os, sys
from pathlib import Path
from pipelines.warehouse.database.connection import open_writer
for name in sys.argv[1:]:
    with open_writer(Path(name)) as connection:
        connection.execute("UPDATE redcap.sync_runs SET message = 'by another version'")
"""


@pytest.mark.fuzz
def test_mirrors_that_another_version_of_duckdb_wrote_move_in_and_out_of_the_store(moves, site, study):
    other = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def with_the_other_version(*words: str) -> None:
        subprocess.run([sys.executable, *words], env=other, check=True, cwd=ROOT)

    mirrors = [str(site.warehouse.mirror(name)) for name in site.handles]
    with_the_other_version("-c", WRITE, *mirrors)
    with_the_other_version("-m", "pipelines.cli", "publish", "--rebuild", "--config", str(site.path))
    at_first = moves.in_files()
    moves.into_store()
    assert moves.in_store() == at_first
    study.save("3", {"weight": "77.7"})
    assert site.night().mode == "incremental"
    later = moves.in_store()
    moves.into_files()
    with_the_other_version("-c", WRITE, *mirrors)
    with_the_other_version("-m", "pipelines.cli", "publish", "--rebuild", "--config", str(site.path))
    found = moves.in_files()
    assert {name for name in later if found[name] != later[name]} == {"redcap.sync_runs"}
