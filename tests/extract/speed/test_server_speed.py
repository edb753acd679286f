"""What a server's answers say about how fast it is."""

import pytest

from pipelines.extract.speed.server_speed import AnswerTime, ServerSpeed, first_guess, fitted

SERVERS = [ServerSpeed(0.2, 30e-6), ServerSpeed(1.0, 5e-6), ServerSpeed(0.05, 100e-6), ServerSpeed(0.004, 0.5e-6)]


def seen(speed, *cells):
    return [AnswerTime(count, speed.seconds(count)) for count in cells]


def near(found, speed):
    return (found.request, found.cell) == pytest.approx((speed.request, speed.cell), rel=0.15)


@pytest.mark.parametrize("speed", SERVERS)
def test_answers_of_different_sizes_show_both_figures(speed):
    assert near(fitted(seen(speed, 400, 20_000, 60_000, 250_000), None), speed)


@pytest.mark.parametrize("speed", SERVERS)
def test_small_requests_the_census_and_one_record_are_enough_to_begin_with(speed):
    assert near(first_guess(speed.request, seen(speed, 28_000, 7_000)), speed)


def test_before_any_large_answer_a_cell_takes_as_long_as_on_most_servers():
    assert first_guess(0.7, seen(ServerSpeed(0.7, 1e-6), 100, 400)) == ServerSpeed(0.7)


def test_an_answer_of_many_short_rows_does_not_make_cells_seem_slow():
    # A census has so many rows that its cells take twice as long as those of a record.
    speed = ServerSpeed(0.2, 30e-6)
    census = AnswerTime(28_000, 0.2 + 28_000 * 60e-6)
    assert near(first_guess(0.2, [census, *seen(speed, 7_000)]), speed)


@pytest.mark.parametrize("speed", SERVERS)
def test_one_answer_that_was_held_up_changes_little(speed):
    found = fitted([*seen(speed, 400, 20_000, 60_000, 250_000, 50_000), AnswerTime(50_000, 300.0)], speed)
    assert found.seconds(100_000) == pytest.approx(speed.seconds(100_000), rel=0.2)


def test_a_night_of_small_answers_keeps_what_is_known_of_large_ones():
    known = ServerSpeed(0.2, 30e-6)
    found = fitted(seen(ServerSpeed(0.25, 30e-6), *[300] * 5), known)
    assert found.request == pytest.approx(0.25, rel=0.1)
    assert found.cell == pytest.approx(known.cell, rel=0.1)


def test_a_server_that_became_another_is_followed_within_a_load():
    now = ServerSpeed(1.0, 5e-6)
    assert near(fitted(seen(now, *[1_000, 50_000, 200_000] * 10), ServerSpeed(0.05, 100e-6)), now)


@pytest.mark.parametrize(
    "answers",
    [
        [AnswerTime(100, 5.0), AnswerTime(100_000, 0.1)],
        [AnswerTime(0, 0.0)],
        [AnswerTime(1_000, 0.001), AnswerTime(100_000, 50.0)],
        [],
    ],
)
def test_no_answers_make_a_figure_negative(answers):
    for known in (None, ServerSpeed(0.0, 0.0), ServerSpeed(0.2, 30e-6)):
        found = fitted(answers, known)
        assert found.request >= 0
        assert found.cell >= 0


def test_a_large_answer_that_was_quicker_than_small_ones_leaves_the_time_for_a_cell_as_it_was():
    known = ServerSpeed(0.2, 30e-6)
    assert fitted([AnswerTime(100, 4.0), AnswerTime(250_000, 0.5)], known).cell == known.cell


@pytest.mark.parametrize(("seconds", "explained"), [(0.5, True), (1.5, True), (6.0, False), (0.05, False)])
def test_figures_of_another_year_are_recognised(seconds, explained):
    assert ServerSpeed(0.2, 30e-6).explains(AnswerTime(10_000, seconds)) is explained
