"""The batches of a work plan: every record in one of them, in the order of the tasks."""

from datetime import datetime

import pytest

from pipelines.extract.chunks import FetchPlan
from pipelines.extract.planner import FetchTask
from pipelines.extract.scopes import Scope
from pipelines.sync.plan import WorkPlan
from pipelines.warehouse.tables.layout import make_layout
from redcap_source import Calls
from tests.support.structures import field, structure

EVERYTHING = FetchPlan("study", "id", Scope((), (), (), ()))


def plan(*sizes, chunk_records=None):
    names = [tuple(f"{at}-{number}" for number in range(size)) for at, size in enumerate(sizes)]
    return WorkPlan(
        run_id="run",
        began=datetime.fromisoformat("2026-03-02T04:00"),
        mode="full",
        baseline=False,
        layout=make_layout(structure([field("id", "base")])),
        tasks=tuple(FetchTask(EVERYTHING, None, records, (0,) * len(records)) for records in names),
        vanished=(),
        in_redcap=sum(sizes),
        upto=None,
        remarks=(),
        chunk_records=chunk_records,
        calls=Calls(),
    )


@pytest.mark.parametrize("sizes", [(), (0,), (1,), (10,), (3, 4), (5, 0, 2), (1, 1, 1, 1)])
@pytest.mark.parametrize("batches", [1, 2, 3, 7])
def test_every_record_is_in_one_batch(sizes, batches):
    found = plan(*sizes)
    records = [
        record
        for number in range(batches)
        for at, part in found.batch(number, batches)
        for record in found.tasks[at].records[part]
    ]
    assert records == [record for task in found.tasks for record in task.records]
    assert len(records) == found.size


@pytest.mark.parametrize(("chunk_records", "requests"), [(None, 3), (10, 13), (1000, 2)])
def test_requests_are_estimated_from_the_size_that_was_learned(chunk_records, requests):
    assert plan(100, 30, chunk_records=chunk_records).requests == requests
