"""What another machine loads is not loaded here, unless its load ends badly."""

from datetime import UTC, datetime

from pipelines.fleet.load_one import Ended
from pipelines.fleet.waiting import BETWEEN_LOOKS, REPEATS, Waiting
from tests.fleet.test_turns import NORTH, projects

BEGAN = datetime(2026, 1, 1, 2, tzinfo=UTC)
HELD = {"held": True}
LOST = {"lost": True}


class Others:
    """What is known of other machines, for a test to set."""

    def __init__(self):
        self.now, self.looks = 0.0, 0
        self.has, self.did = {}, {}

    def held(self):
        self.looks += 1
        return dict(self.has)

    def loaded(self, since):
        assert since == BEGAN
        return dict(self.did)

    def clock(self):
        return self.now


def waiting(count):
    others = Others()
    return Waiting(projects(*[NORTH] * count), others, BEGAN, clock=others.clock), others


def failed(project, **why):
    return Ended(project.name, None, "it failed", **why)


def test_a_project_that_another_machine_has_is_loaded_when_nothing_else_is_left_and_it_is_free():
    queue, others = waiting(2)
    others.has = {"0": "there:1"}
    assert queue.loaded_elsewhere() == []
    assert queue.take([]).name == "1"
    assert queue.take([]) is None and len(queue) == 1
    others.has = {}
    others.now += BETWEEN_LOOKS
    assert queue.loaded_elsewhere() == []
    assert queue.take([]).name == "0" and not queue


def test_what_another_machine_has_loaded_waits_no_more():
    queue, others = waiting(2)
    others.did = {"0": "there:1", "strange": "there:1"}
    assert queue.loaded_elsewhere() == [Ended("0", None, elsewhere="there:1")]
    assert queue.loaded_elsewhere() == []
    assert queue.take([]).name == "1"


def test_while_all_that_is_left_is_held_others_are_looked_at_twice_a_second():
    queue, others = waiting(1)
    others.has = {"0": "there:1"}
    for _ in range(5):
        assert queue.loaded_elsewhere() == [] and queue.take([]) is None
    assert others.looks == 1
    others.now += BETWEEN_LOOKS
    queue.loaded_elsewhere()
    assert others.looks == 2


def test_a_load_that_found_its_project_held_waits_until_others_were_looked_at_again():
    queue, others = waiting(1)
    project = queue.take([])
    assert queue.waits_again(failed(project, **HELD), project)
    assert queue.loaded_elsewhere() == [] and queue.take([]) is None
    others.now += BETWEEN_LOOKS
    queue.loaded_elsewhere()
    assert queue.take([]) is project


def test_a_load_that_lost_its_project_is_repeated_a_few_times():
    alone = Waiting(projects(NORTH))
    project = alone.take([])
    for _ in range(REPEATS):
        assert alone.waits_again(failed(project, **LOST), project)
        assert alone.loaded_elsewhere() == [] and alone.take([]) is project
    assert not alone.waits_again(failed(project, **LOST), project)


def test_where_nothing_is_shared_a_project_that_is_held_has_failed():
    alone = Waiting(projects(NORTH))
    project = alone.take([])
    assert not alone.waits_again(failed(project, **HELD), project)
    assert not alone.waits_again(failed(project), project) and not alone
