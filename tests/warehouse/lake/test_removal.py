"""What is removed from a lake is in none of its files, snapshots or statistics afterwards."""

from pathlib import Path

import duckdb
import pytest

from pipelines.warehouse.lake.attach import attach_to_publish, reading
from pipelines.warehouse.lake.removal import remove_project, traces_of
from tests.support.lake import everything_in, rows_in
from tests.support.postgres import ask
from tests.support.published import of_projects

pytestmark = pytest.mark.lake
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'redcap_lake'"


def traces(lake, word: str) -> list[str]:
    """Where a word is found: in a data file, or in the tables of the catalog."""
    found = []
    with duckdb.connect() as connection:
        for path in Path(lake.data).rglob("*.parquet"):
            rows = connection.execute(f"FROM read_parquet('{path}')").fetchall()
            found += [str(path)] * (word in repr(rows) or word.encode() in path.read_bytes())
    tables = [table for (table,) in ask(lake.catalog, TABLES)]
    rows = ask(lake.catalog, " UNION ALL ".join(f"SELECT '{t}', t::text FROM redcap_lake.{t} t" for t in tables))
    return sorted({*found, *(table for table, row in rows if word in row)})


@pytest.fixture
def both(published_once, publishing):
    """Two projects in a lake, in two publications."""
    folder = published_once.warehouse
    into = publishing(small=folder.mirror("small"), study=folder.mirror("study"))
    into.publish("small")
    into.publish("study")
    return into


def test_a_forgotten_project_is_nowhere_and_the_others_are_as_they_were(both):
    before = everything_in(both.lake)
    data = Path(both.lake.data)
    [written] = (data / "study" / "base").glob("*.parquet")
    for folder in ("study/base", "redcap/records"):
        # As a publisher leaves it that dies before its commit.
        (data / folder / "ducklake-dead.parquet").write_bytes(written.read_bytes())
    mirror = data / "mirrors" / "small" / "00000001.duckdb"
    mirror.parent.mkdir(parents=True)
    mirror.touch()
    assert traces(both.lake, "Town 3") and traces(both.lake, "study")
    both.publisher.forget("study")
    assert mirror.exists()
    assert traces(both.lake, "Town 3") == []
    assert traces(both.lake, "study") == []
    found = everything_in(both.lake)
    assert found == of_projects(before, "small")
    assert both.publisher.entries().keys() == {"small"}
    assert rows_in(both.lake, "SELECT record FROM redcap.records WHERE record >= '0' ORDER BY ALL") == [
        ("1",), ("2",), ("3",)
    ]  # fmt: skip
    assert both.publish("study").written, "it can be published again"
    assert rows_in(both.lake, "SELECT town FROM study.base WHERE record_id = '3'") == [("Town 3",)]


# The test above removes without an interruption.
@pytest.mark.fuzz
def test_a_removal_that_was_interrupted_is_finished_by_the_next_publish(both):
    both.publisher.close()
    folder = Path(both.lake.data).parent
    with attach_to_publish(both.lake, readable=(), spill=folder / "spill") as connection:
        remove_project(connection, "study")
    assert traces(both.lake, "Town 3"), "an earlier snapshot has it"
    with reading(both.lake) as connection:
        assert traces_of(connection, "study") == ((), {}, True), "so that the same command finishes it, too"
    assert both.publish("small", anew=True).written
    assert traces(both.lake, "Town 3") == []
