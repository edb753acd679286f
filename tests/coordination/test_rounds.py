"""Commands that run at the same time know since when the first of them does."""

from __future__ import annotations

from tests.support.postgres import ask


def test_a_round_began_with_the_first_command_that_is_still_under_way(machine):
    one, two, three = machine("one"), machine("two"), machine("three")
    with one.round() as began, two.round() as seen:
        assert seen == began
    with three.round() as later:
        assert later > began


def test_the_next_command_begins_a_round_when_none_is_under_way_any_more(machine):
    one, two = machine("one"), machine("two")
    with one.round() as first, two.round():
        pass
    with two.round() as began, one.round() as seen:
        assert first < began == seen


def test_a_command_goes_on_when_its_session_was_ended(machine, database):
    one, two = machine("one"), machine("two")
    with one.round() as began:
        ask(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> ''")
        with two.round() as later:
            assert later > began
