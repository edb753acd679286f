"""What one project, batch or record goes through leaves the others as they were, and each is counted by itself."""

import pytest

from pipelines.writeback import publish_results, withdraw
from tests.support.writeback_site import row, values

TABLES = ("writeback.batches", "writeback.proposals", "writeback.journal", "redcap.record_changes", "redcap.sync_runs")


def published(site, project):
    asked = [f"SELECT * FROM {table} WHERE project = '{project}' ORDER BY ALL" for table in TABLES]
    with site.store as store, store.published.open() as connection:
        return [connection.execute(query).fetchall() for query in asked]


def test_another_projects_batches_of_the_same_name_stay_as_they_are(site, study):
    neighbour = site.handles["neighbour"]
    before, held = published(site, "neighbour"), values(neighbour)
    working = site.work("SELECT * FROM writeback.proposals ORDER BY proposal", "neighbour")
    assert [len(rows) for rows in before[:2]] == [1, 2]
    site.propose([row("1", "weight", "60.5"), row("2", "weight", "61.5")], author="rw")
    site.apply()
    site.revert()
    site.propose([row("3", "weight", "62.5")])
    publish_results(site.config, site.project(), withdraw(site.config, site.project(), "b"))
    assert published(site, "neighbour") == before
    assert values(neighbour) == held
    assert site.work("SELECT * FROM writeback.proposals ORDER BY proposal", "neighbour") == working
    # And the other way round.
    mine = published(site, "study")
    publish_results(site.config, site.project("neighbour"), site.apply("neighbour"))
    assert site.kept("batches", "batch, proposals, open, confirmed", "neighbour") == [("b", 2, 0, 2)]
    assert published(site, "study") == mine


# The test above has two projects with batches.
@pytest.mark.fuzz
def test_each_batch_is_counted_by_itself(site, study):
    study.save("3", {"weight": "99.9"})
    site.propose([row("1", "weight", "60.5"), row("2", "remarks", "new"), row("2", "weight", "no number")])
    site.propose([row("2", "weight", "61.5"), row("3", "weight", "62.5"), row("4", "remarks", "remark 4")], batch="c")
    site.propose([row("4", "weight", "63.5")], batch="d")
    withdraw(site.config, site.project(), "d")
    assert site.apply(batch="b").confirmed == 2
    # Only the batch that was named.
    assert study.value("2", "weight") == "81.0"
    site.apply(batch="c")
    assert site.work(
        "SELECT batch, proposals, open, confirmed, already_there, conflicts, invalid, followed, applied_at IS NULL "
        "FROM writeback.batches ORDER BY batch"
    ) == [
        ("b", 3, 0, 2, 0, 0, 1, 1, False),
        ("c", 3, 1, 1, 1, 1, 0, 1, False),
        ("d", 1, 0, 0, 0, 0, 0, 0, True),
    ]
