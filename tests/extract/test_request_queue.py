"""What a load asks for next, without threads, files or a server."""

from pathlib import Path

import pytest

from pipelines.extract.chunks import JSON_RECORDS, ChunkSize, FetchPlan
from pipelines.extract.request_queue import RequestQueue
from pipelines.extract.scopes import Scope
from pipelines.extract.speed.schedule import Capacity
from pipelines.extract.speed.server_speed import ServerSpeed
from redcap_source import Received

COLUMNS = ("id", "age", "note")
NARROW = (
    Scope((), ("base",), ("one",), ("id", "age"), cells=2000),
    Scope((), ("visit",), ("two",), ("id", "note"), cells=8000),
)
FIRST, SECOND, BOTH = 1, 2, 3
# So slow that no request is one too many, and so fast.
SLOW = Capacity(ServerSpeed(0.001, 0.01))
USUAL = Capacity(ServerSpeed(0.2, 30e-6))


def queue(records, masks=None, *, size=None, capacity=USUAL, cells=0, at_hand=None):
    """A queue of records that have so many cells each."""
    whole = Scope((), (), (), COLUMNS, cells=cells * 100)
    plan = FetchPlan("study", "id", whole, NARROW if masks else (), records=100 if cells else 0, capacity=capacity)
    found = names(records)
    learned = ChunkSize(size) if size else None
    return RequestQueue(plan, found, masks, staging=Path("staging"), size=learned, at_hand=at_hand)


def names(records):
    return [f"r{number}" for number in records]


def both(records):
    return dict.fromkeys(names(records), BOTH)


def received(seconds=0.1, size=1000):
    return Received(200, size, seconds, 1, None, "text/csv")


def drain(asked):
    """Every request until the queue is empty, each answered before the next."""
    found = []
    while (pair := asked.next(busy=False)) is not None:
        asked.answered(*pair, received())
        found.append(pair)
    assert not asked
    return found


def sizes(asked):
    return [len(request.records) for _, request in drain(asked)]


# -- whole records -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 4, 25, 300])
def test_every_record_is_asked_for_once(count):
    found = [record for _, request in drain(queue(range(count))) for record in request.records]
    assert sorted(found) == sorted(names(range(count)))


@pytest.mark.parametrize(("count", "forms"), [(JSON_RECORDS, ["json"]), (JSON_RECORDS + 2, ["json", "csv"])])
def test_few_records_are_asked_for_as_json(count, forms):
    found = [request.part for _, request in drain(queue(range(count)))]
    assert [part.format for part in found] == forms
    assert found[0].path == Path("staging/chunk-00001.json")


def test_the_last_record_is_asked_for_first_and_marks_the_end_of_all_other_answers():
    (_, first), *others = drain(queue(range(120), size=50))
    assert (first.part.format, first.records, first.end) == ("json", ("r119",), None)
    assert {request.end for _, request in others} == {"r119"}
    assert all(request.named == (*request.records, "r119") for _, request in others)
    assert [record for _, request in others for record in request.records] == names(range(119))


@pytest.mark.parametrize(
    ("records", "capacity", "requests"),
    [
        # A second request would take longer than the cells it takes over.
        (10, Capacity(ServerSpeed(1, 5e-6)), ["json"]),
        # Two at a time are worth it.
        (10, Capacity(ServerSpeed(0.3, 30e-6)), ["json", "json"]),
        (10, Capacity(ServerSpeed(0.3, 30e-6), concurrency=1), ["json"]),
        # One more would have to wait for the pace.
        (10, Capacity(ServerSpeed(0.3, 30e-6), interval=5.0), ["json"]),
        # JSON of so many would cost more here than it spares there.
        (200, Capacity(ServerSpeed(1, 5e-6), concurrency=1), ["json", "csv"]),
    ],
)
def test_a_few_records_take_as_many_requests_as_the_server_answers_sooner(records, capacity, requests):
    found = drain(queue(range(records), capacity=capacity, cells=1000))
    assert [request.part.format for _, request in found] == requests


def test_requests_of_the_same_load_are_equally_large():
    assert sizes(queue(range(101), capacity=Capacity(ServerSpeed(0.1, 30e-6)), cells=2000)) == [1, 50, 50]


def test_a_small_remainder_waits_while_requests_are_under_way():
    asked = queue(range(12))
    pairs = [asked.next(busy=True) for _ in range(2)]
    asked.ask_whole(["r3"])
    assert asked.next(busy=True) is None
    assert asked
    for pair in pairs:
        asked.answered(*pair, received())
    assert asked.next(busy=False)[1].records == ("r3",)


def test_chunks_follow_what_the_server_manages_and_grow_at_most_fourfold():
    asked = queue(range(411), size=10)
    assert asked.next(busy=False)[1].records == ("r410",)
    pair = asked.next(busy=False)
    assert len(pair[1].records) == 10
    asked.answered(*pair, received(seconds=0.1))
    pair = asked.next(busy=False)
    assert len(pair[1].records) == 40
    asked.answered(*pair, received(seconds=82.0))
    assert len(asked.next(busy=False)[1].records) == 5


def test_a_request_for_too_much_comes_again_in_halves_before_anything_else():
    asked = queue(range(30), size=10)
    asked.next(busy=False)
    chunk, request = asked.next(busy=False)
    asked.failed(chunk, request)
    assert asked.ask_less(chunk.records)
    found = [asked.next(busy=False)[1].records for _ in range(3)]
    assert found == [tuple(names(range(5))), tuple(names(range(5, 10))), tuple(names(range(10, 15)))]


def test_halves_of_a_half_come_before_the_other_half():
    asked = queue(range(33), size=16)
    asked.next(busy=False)
    chunk, _ = asked.next(busy=False)
    asked.ask_less(chunk.records)
    first, _ = asked.next(busy=False)
    asked.ask_less(first.records)
    assert asked.next(busy=False)[1].records == first.records[:4]


def test_a_single_record_is_not_asked_for_in_halves():
    asked = queue(range(1))
    chunk, _ = asked.next(busy=False)
    assert not asked.ask_less(chunk.records)
    assert not asked


def test_what_an_answer_leaves_in_doubt_is_asked_for_with_the_next_records():
    asked = queue(range(30), size=10)
    asked.next(busy=False)
    _, request = asked.next(busy=False)
    asked.ask_first(request.records[-1:])
    assert asked.next(busy=False)[1].records == tuple(names(range(9, 19)))


def test_what_an_answer_lacks_is_asked_for_without_the_records_that_came():
    asked = queue(range(30), size=10)
    asked.next(busy=False)
    _, request = asked.next(busy=False)
    asked.ask_apart(request.records[3:5])
    assert asked.next(busy=False)[1].records == ("r3", "r4")


# -- with narrow scopes --------------------------------------------------------------------------------------


def test_each_record_is_asked_for_in_the_scopes_in_which_it_has_rows():
    masks = dict(zip(names(range(8)), (FIRST, SECOND, BOTH, BOTH, FIRST, FIRST, BOTH, 0), strict=True))
    *others, (_, apart) = drain(queue(range(8), masks))
    # The last one of both scopes marks their ends.
    assert (apart.part.scope, apart.records) == (None, ("r6", "r7"))
    assert {request.part.scope: (request.records, request.end) for _, request in others} == {
        0: (("r0", "r2", "r3", "r4", "r5"), "r6"),
        1: (("r1", "r2", "r3"), "r6"),
    }
    chunks = {chunk for chunk, _ in others}
    assert [chunk.records for chunk in chunks] == [tuple(names(range(6)))]
    assert all(chunk.is_complete for chunk in chunks)


def test_all_requests_of_a_chunk_may_be_under_way_at_once_and_the_largest_begins():
    asked = queue(range(40), both(range(40)), cells=100)
    chunk, request = asked.next(busy=False)
    assert (request.part.scope, chunk.is_complete) == (1, False)
    other, request = asked.next(busy=True)
    assert (request.part.scope, other) == (0, chunk)


@pytest.mark.parametrize(("cells", "scopes"), [(5000, [None, 1, 0]), (1000, [1, None, 0]), (100, [1, 0, None])])
def test_the_records_that_mark_ends_are_asked_for_where_their_size_puts_them(cells, scopes):
    # In the scopes the others have 3,120 and 780 cells together.
    found = drain(queue(range(40), both(range(40)), cells=cells))
    assert [request.part.scope for _, request in found] == scopes


def test_a_chunk_is_over_when_all_of_its_requests_and_the_records_apart_were_asked_for():
    asked = queue(range(40), both(range(40)), cells=100)
    states = []
    while asked:
        states.append(asked.is_between_chunks)
        asked.answered(*asked.next(busy=False), received())
    assert (states, asked.is_between_chunks) == ([False] * 3, True)


@pytest.mark.parametrize(("masks", "scopes"), [(None, [None, None]), (both(range(100)), [0, 1])])
def test_a_record_at_hand_marks_the_end_of_answers_and_is_not_asked_for_again(masks, scopes):
    found = drain(queue(range(100), masks, at_hand="r99"))
    assert [request.part.scope for _, request in found] == scopes
    assert {request.end for _, request in found} == {"r99"}
    assert not [request for _, request in found if "r99" in request.records]


def test_a_record_at_hand_that_is_not_the_last_is_not_asked_for_and_marks_no_end():
    found = drain(queue(range(60), size=30, at_hand="r7"))
    assert [request.end for _, request in found] == [None, "r59", "r59"]
    assert not [request for _, request in found if "r7" in request.named]


def test_a_large_scope_is_asked_for_in_parts_that_arrive_together_with_the_small_one():
    asked = queue(range(100), both(range(100)), capacity=SLOW, cells=1000)
    found = [request for chunk, request in drain(asked) if chunk.narrow]
    count = {scope: sum(request.part.scope == scope for request in found) for scope in (0, 1)}
    assert count[1] > count[0]
    for scope in (0, 1):
        records = [record for request in found if request.part.scope == scope for record in request.records]
        assert records == names(range(99))
    assert len({request.part.path for request in found}) == len(found)


def test_a_scope_without_any_record_of_a_chunk_is_not_asked_for():
    found = drain(queue(range(9), dict.fromkeys(names(range(9)), SECOND)))
    assert [(request.part.scope, request.records) for _, request in found] == [
        (1, tuple(names(range(8)))),
        (None, ("r8",)),
    ]


def test_a_narrow_request_that_fails_comes_again_in_halves_and_the_others_of_the_chunk_stay():
    asked = queue(range(9), both(range(9)))
    chunk, first = asked.next(busy=False)
    _, second = asked.next(busy=False)
    asked.answered(chunk, second, received())
    asked.failed(chunk, first)
    assert not chunk.is_complete
    halves = [asked.next(busy=False) for _ in range(2)]
    assert all(again is chunk and request.part.scope == first.part.scope for again, request in halves)
    assert halves[0][1].records + halves[1][1].records == first.records
    for pair in halves:
        asked.answered(*pair, received())
    assert chunk.is_complete
    assert [request for request, _ in chunk.answers] == [second, halves[0][1], halves[1][1]]


def test_a_single_record_that_fails_in_a_scope_is_lost_to_its_chunk():
    asked = queue(range(6), both(range(6)))
    chunk, request = asked.next(busy=False)
    while len(request.records) > 1:
        asked.failed(chunk, request)
        _, request = asked.next(busy=False)
    asked.failed(chunk, request)
    assert chunk.lost == {"r0"}


def test_after_a_failure_the_other_answers_of_the_load_are_smaller_too():
    asked = queue(range(100), both(range(100)), cells=1000)
    chunk, request = asked.next(busy=False)
    whole = len(request.records)
    asked.failed(chunk, request)
    assert max(len(r.records) for c, r in drain(asked) if r.part.scope == request.part.scope) <= whole / 2 + 1


def test_where_narrow_requests_cannot_be_trusted_everything_is_asked_for_whole():
    asked = queue(range(61), both(range(61)))
    chunk, _ = asked.next(busy=False)
    asked.abandon_narrow([chunk])
    asked.abandon_narrow([chunk])
    found = drain(asked)
    assert not any(chunk.narrow for chunk, _ in found)
    assert sum(len(request.records) for _, request in found) == 61
    assert chunk.abandoned


@pytest.mark.parametrize(
    ("masks", "scopes"), [(None, [None]), ({"r0": FIRST, "r1": FIRST}, [0, 1]), ({"r0": 0}, [None])]
)
def test_answers_are_split_by_scope_only_beside_narrow_ones(masks, scopes):
    assert list(queue(range(5), masks).scopes) == scopes
