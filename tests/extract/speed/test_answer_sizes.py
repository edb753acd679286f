"""How large the next request is, by what the server managed before."""

import pytest

from pipelines.extract.chunks import AIM_BYTES, CHUNK_BYTES, JSON_RECORDS, ChunkSize, FetchPlan
from pipelines.extract.scopes import Scope
from pipelines.extract.speed.answer_sizes import AnswerSizes
from pipelines.extract.speed.schedule import FIRST_CELLS, Capacity
from pipelines.extract.speed.server_speed import AnswerTime, ServerSpeed

FAST = Capacity(ServerSpeed(0.0, 1e-9))


def sizes(*, cells=1000, narrow=(100, 300), records=100, capacity=FAST, size=None):
    """Sizes for a project whose records have so many cells each, and so many in each narrow scope."""
    scopes = tuple(Scope((), (), (), ("id", "age"), cells=count * records) for count in narrow)
    plan = FetchPlan("study", "id", Scope((), (), (), ("id",), cells * records), scopes, records, capacity)
    return AnswerSizes(plan, ChunkSize(size) if size else None)


@pytest.mark.parametrize(("cells", "records"), [(1000, FIRST_CELLS / 1000), (FIRST_CELLS * 2, 1)])
def test_the_first_requests_of_a_project_have_as_many_cells_as_any_server_bears(cells, records):
    assert sizes(cells=cells, records=1).whole_records(10**6, 1e12) == pytest.approx(records, abs=1)


def test_of_a_slow_server_less_is_asked_at_first():
    slow = Capacity(ServerSpeed(0.0, 1e-3))
    assert sizes(capacity=slow).whole_records(10**6, 1e12) == 10


def test_what_the_previous_load_learned_comes_first():
    assert sizes(size=20).whole_records(1000, 1e12) == 20


def test_a_narrow_answer_has_as_many_cells_as_a_whole_one():
    found = sizes()
    assert found.part_records(0, 10**6, 1e12) == pytest.approx(FIRST_CELLS / 100, rel=0.01)
    assert found.part_records(1, 10**6, 1e12) == pytest.approx(FIRST_CELLS / 300, rel=0.01)


def test_narrow_answers_grow_at_most_fourfold_and_shrink_after_a_failure():
    found = sizes(size=10)
    first = found.part_records(1, 10**6, 1e12)
    found.answered(1, first, 0.1, 1000)
    assert found.part_records(1, 10**6, 1e12) == pytest.approx(4 * first, rel=0.05)
    found.failed(1, first)
    assert found.part_records(1, 10**6, 1e12) == pytest.approx(first / 2, abs=1)
    found.answered(1, first // 2, 0.1, 1000)
    assert found.part_records(1, 10**6, 1e12) > first / 2


def test_answers_and_chunks_have_no_more_bytes_than_memory_should_hold():
    found = sizes()
    records = 2000
    # Half a kilobyte a cell.
    found.answered(1, records, 1.0, records * 300 * 500)
    assert found.part_records(1, 10**6, 1e12) * 300 * 500 <= AIM_BYTES * 1.03
    assert found.chunk_records(10**6) * 400 * 500 <= CHUNK_BYTES * 1.01


def test_records_with_more_cells_than_were_expected_are_asked_for_in_smaller_numbers():
    found = sizes()
    before = found.part_records(1, 10**6, 1e12)
    found.measured(1, 50, AnswerTime(50 * 900, 0.1))
    assert found.part_records(1, 10**6, 1e12) == pytest.approx(before / 3, rel=0.05)


def test_the_speed_follows_the_answers_of_the_load():
    found = sizes()
    assert found.speed == FAST.speed
    for cells in (1000, 50_000, 200_000) * 5:
        found.measured(0, 1, AnswerTime(cells, 0.5 + cells * 2e-5))
    assert (found.speed.request, found.speed.cell) == pytest.approx((0.5, 2e-5), rel=0.25)
    assert found.capacity.speed == found.speed


@pytest.mark.parametrize(
    ("speed", "few"),
    [(ServerSpeed(0.2, 30e-6), 100), (ServerSpeed(0.0, 1e-6), 14)],
)
def test_as_many_records_are_few_as_are_sooner_read_as_json_than_a_second_request_answered(speed, few):
    assert sizes(capacity=Capacity(speed)).few == pytest.approx(few, abs=1)


def test_where_nothing_is_known_of_the_cells_a_few_records_are_three():
    assert sizes(records=0).few == JSON_RECORDS
    assert sizes(records=0).whole_records(1000, 1e12) == 50
