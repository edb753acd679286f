"""What a load asks for next, without threads, files or a server."""

from pathlib import Path

import pytest

from pipelines.extract.chunks import JSON_RECORDS, ChunkSize, FetchPlan
from pipelines.extract.request_queue import RequestQueue
from pipelines.extract.scopes import Scope

WHOLE = Scope((), (), (), ("id", "age", "note"), cells=400)
NARROW = (Scope((), ("base",), ("one",), ("id", "age"), cells=100), Scope((), ("visit",), ("two",), ("id", "note")))
FIRST, SECOND, BOTH = 1, 2, 3


def queue(records, masks=None, *, size=10):
    plan = FetchPlan("study", "id", WHOLE, NARROW if masks else ())
    return RequestQueue(plan, names(records), masks, staging=Path("staging"), size=ChunkSize(size))


def names(records):
    return [f"r{number}" for number in records]


def sizes(asked):
    """How many records each request asks for, until the queue is empty."""
    found = []
    while request := asked.next(busy=False):
        found.append(len(request.records))
    assert not asked
    return found


def test_every_record_is_asked_for_once_in_the_order_it_was_given():
    asked = queue(range(25))
    found = []
    while request := asked.next(busy=False):
        found += request.records
    assert found == names(range(25))
    assert not asked


@pytest.mark.parametrize(("count", "form"), [(JSON_RECORDS, "json"), (JSON_RECORDS + 1, "csv")])
def test_few_records_are_asked_for_as_json(count, form):
    (part,) = queue(range(count)).next(busy=False).parts
    assert (part.format, part.path) == (form, Path(f"staging/chunk-00001.{form}"))


def test_a_small_remainder_waits_while_requests_are_under_way():
    asked = queue(range(12))
    assert len(asked.next(busy=True).records) == 10
    assert asked.next(busy=True) is None
    assert asked
    assert len(asked.next(busy=False).records) == 2


def test_chunks_follow_what_the_server_manages_and_grow_at_most_fourfold():
    asked = queue(range(500))
    first = asked.next(busy=False)
    asked.learn(first, seconds=0.1, size=1000)
    assert len(asked.next(busy=False).records) == 40
    asked.learn(first, seconds=20.0, size=1000)
    assert len(asked.next(busy=False).records) == 5


def test_a_request_for_too_much_comes_again_in_halves_before_anything_else():
    asked = queue(range(30))
    assert asked.ask_less(asked.next(busy=False))
    assert [asked.next(busy=False).records for _ in range(3)] == [
        tuple(names(range(5))),
        tuple(names(range(5, 10))),
        tuple(names(range(10, 15))),
    ]


def test_a_single_record_is_not_asked_for_in_halves():
    asked = queue(range(1))
    assert not asked.ask_less(asked.next(busy=False))
    assert not asked


def test_what_an_answer_leaves_in_doubt_is_asked_for_with_the_next_records():
    asked = queue(range(20))
    request = asked.next(busy=False)
    asked.ask_first(request.records[-1:])
    assert asked.next(busy=False).records == tuple(names(range(9, 19)))


def test_what_an_answer_lacks_is_asked_for_without_the_records_that_came():
    asked = queue(range(20))
    request = asked.next(busy=False)
    asked.ask_apart(request.records[3:5])
    assert asked.next(busy=False).records == ("r3", "r4")


# -- with narrow scopes --------------------------------------------------------------------------------------


def test_each_record_is_asked_for_in_the_scopes_in_which_it_has_rows():
    masks = dict(zip(names(range(6)), (FIRST, SECOND, BOTH, BOTH, FIRST, 0), strict=True))
    asked = queue(range(6), masks)
    request = asked.next(busy=False)
    assert request.narrow
    assert request.records == tuple(names(range(5)))
    assert [part.scope for part in request.parts] == [0, 1]
    assert request.shares == (("r0", "r2", "r3", "r4"), ("r1", "r2", "r3"))
    rest = asked.next(busy=False)
    assert (rest.narrow, rest.records) == (False, ("r5",))


def test_a_scope_without_any_record_of_a_chunk_is_not_asked_for():
    request = queue(range(5), dict.fromkeys(names(range(5)), SECOND)).next(busy=False)
    assert [(part.scope, share) for part, share in zip(request.parts, request.shares, strict=True)] == [
        (1, tuple(names(range(5))))
    ]


def test_narrow_chunks_hold_more_records_and_have_a_size_of_their_own():
    asked = queue(range(100), dict.fromkeys(names(range(100)), FIRST))
    first = asked.next(busy=False)
    assert len(first.records) == 40
    assert asked.ask_less(first)
    asked.ask_whole(names(range(100, 120)))
    assert sizes(asked) == [20, 20, 20, 20, 20, 10, 10]


def test_where_narrow_requests_cannot_be_trusted_everything_is_asked_for_whole():
    asked = queue(range(60), dict.fromkeys(names(range(60)), BOTH))
    first = asked.next(busy=False)
    asked.abandon_narrow(first)
    assert not asked.next(busy=False).narrow
    assert sum(sizes(asked)) == 50


@pytest.mark.parametrize(("masks", "scopes"), [(None, [None]), ({"r0": FIRST}, [0, 1]), ({"r0": 0}, [None])])
def test_answers_are_split_by_scope_only_beside_narrow_ones(masks, scopes):
    assert list(queue(range(5), masks).scopes) == scopes
