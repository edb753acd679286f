"""How long requests take side by side, and into what they are cut."""

import pytest

from pipelines.extract.speed.schedule import AIM_SECONDS, ANSWER_CELLS, Capacity, fewest, pieces
from pipelines.extract.speed.server_speed import ServerSpeed

SECOND = ServerSpeed(0.0, 1.0)


@pytest.mark.parametrize(
    ("answers", "concurrency", "interval", "seconds"),
    [
        ([5, 4, 3, 3, 3], 1, 0, 18),
        ([5, 4, 3, 3, 3], 2, 0, 10),
        ([3, 3, 4, 5, 3], 3, 0, 7),
        ([10, 1, 1], 2, 0, 10),
        # The pace of five requests holds, whatever they take.
        ([5, 4, 3, 3, 3], 3, 4, 20),
        ([], 2, 1, 0),
    ],
)
def test_the_longest_is_asked_for_first_and_each_takes_the_next_free_turn(answers, concurrency, interval, seconds):
    assert Capacity(SECOND, concurrency, interval).wall(answers) == seconds


def test_every_request_costs_its_own_time_and_that_of_its_cells():
    capacity = Capacity(ServerSpeed(0.2, 1e-5), concurrency=2)
    assert capacity.wall([10_000, 10_000, 10_000]) == pytest.approx(0.6)
    assert capacity.cost([10_000] * 3) > capacity.wall([10_000] * 3)


@pytest.mark.parametrize(
    ("speed", "cells"),
    [
        (ServerSpeed(0.2, 1e-9), ANSWER_CELLS),
        (ServerSpeed(0.0, 100e-6), AIM_SECONDS / 100e-6),
        # A server that takes longer than an answer should for a request alone still gets cells to answer.
        (ServerSpeed(60.0, 100e-6), AIM_SECONDS / 2 / 100e-6),
        (ServerSpeed(0.0, 0.0), ANSWER_CELLS),
    ],
)
def test_an_answer_is_as_large_as_the_server_manages_in_time(speed, cells):
    assert Capacity(speed).most_cells == pytest.approx(cells)


def test_large_answers_are_cut_into_equal_pieces():
    assert pieces([10, 3, 7], 4) == [10 / 3] * 3 + [3] + [3.5] * 2


@pytest.mark.parametrize(
    ("speed", "answers", "requests"),
    [
        # One answer for two requests at a time: halves, unless a request takes longer than half of it.
        (ServerSpeed(0.2, 30e-6), [40_000], 2),
        (ServerSpeed(1.0, 5e-6), [20_000], 1),
        # A large one beside small ones is cut, so that the others do not wait for it.
        (ServerSpeed(0.01, 30e-6), [90_000, 10_000], 3),
        (ServerSpeed(0.2, 30e-6), [50_000, 50_000], 2),
    ],
)
def test_answers_are_cut_where_that_brings_them_sooner(speed, answers, requests):
    capacity = Capacity(speed)
    size = capacity.piece(answers, 1_000_000)
    assert len(pieces(answers, size)) == requests


def test_no_piece_is_larger_than_allowed():
    assert max(pieces([50_000, 900], Capacity().piece([50_000, 900], 7_000))) <= 7_000
    assert Capacity().piece([1e12], 100_000) == 100_000


def test_of_ways_that_hardly_differ_the_one_with_fewest_requests_is_taken():
    assert fewest([(9, 10.0, "nine"), (3, 10.2, "three"), (1, 15.0, "one")]) == "three"
