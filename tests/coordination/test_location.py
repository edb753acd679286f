"""While a warehouse is moved, only the folder that moves it holds projects; afterwards nobody does, or all do."""

import pytest

from pipelines.coordination.location import MOVED_OUT, MOVING_IN, MOVING_OUT
from pipelines.errors import MovedAway


def holds(coordination) -> None:
    with coordination.hold_project("study", "run"):
        pass


def test_while_it_is_moved_only_the_folder_that_moves_it_holds_projects(machine):
    one, two = machine("one"), machine("two")
    holds(two)
    for state, match in ((MOVING_IN, "is being moved into the store"), (MOVING_OUT, "is being moved out of the store")):
        one.set_location(state, "folder", "host:/srv/warehouse")
        with pytest.raises(MovedAway, match=f"{match} of projects.yaml since .* host:/srv/warehouse"):
            holds(two)
        with pytest.raises(MovedAway):
            holds(one)
        with one.moving("folder"):
            holds(one)
        with two.moving("another folder"), pytest.raises(MovedAway):
            holds(two)
    one.set_location(MOVED_OUT, "folder", "host:/srv/warehouse")
    with pytest.raises(MovedAway, match=r"was moved from the store of projects\.yaml to host:/srv/warehouse"):
        holds(two)
    one.clear_location("folder")
    holds(two)


def test_of_two_folders_only_the_first_may_move(machine):
    one, two = machine("one"), machine("two")
    one.set_location(MOVING_IN, "folder", "host:/srv/warehouse")
    with pytest.raises(MovedAway, match="host:/srv/warehouse"):
        two.set_location(MOVING_IN, "another folder", "host:/srv/other")
    two.clear_location("another folder")
    location = two.location()
    assert location is not None and (location.state, location.folder_id) == (MOVING_IN, "folder")


def test_a_refused_hold_is_free_again(machine):
    one, two = machine("one"), machine("two")
    one.set_location(MOVING_IN, "folder", "host:/srv/warehouse")
    with pytest.raises(MovedAway):
        holds(two)
    assert not two.held_projects()
    with one.moving("folder"):
        holds(one)
