"""Which project is loaded next, and how many at once."""

from dataclasses import replace

from pipelines.config.settings import ProjectConfig, ServerConfig
from pipelines.fleet.turns import next_project, usual_jobs

NORTH = ServerConfig("north", "https://north.example/api/", None, 120, 2, None)
SOUTH = ServerConfig("south", "https://south.example/api/", None, 120, 4, None)


def projects(*servers):
    """A project on each of these servers, named by its place."""
    plain = ProjectConfig("", NORTH, None, None, "keep", None, None, None, "none")
    return [replace(plain, name=str(at), server=server) for at, server in enumerate(servers)]


def test_as_many_are_loaded_at_once_as_their_servers_answer_requests_at_a_time():
    assert usual_jobs(projects(*[NORTH] * 5), processors=16) == 2
    assert usual_jobs(projects(*[NORTH] * 5, *[SOUTH] * 3), processors=16) == 5
    assert usual_jobs(projects(NORTH), processors=16) == 1


def test_no_more_are_loaded_at_once_than_there_are_processors():
    assert usual_jobs(projects(*[SOUTH] * 9), processors=3) == 3
    assert usual_jobs(projects(*[SOUTH] * 9), processors=1) == 1
    assert usual_jobs([], processors=8) == 1


def test_two_names_of_one_server_are_one_server():
    other_name = replace(NORTH, name="again")
    assert usual_jobs(projects(NORTH, other_name, NORTH, other_name), processors=16) == 2


def test_the_next_project_is_one_whose_server_is_least_busy():
    north_1, north_2, south_1, south_2, south_3 = waiting = projects(NORTH, NORTH, SOUTH, SOUTH, SOUTH)
    assert next_project(waiting, []) is north_1
    assert next_project([north_2, south_1], [north_1]) is south_1
    # One of two requests at a time is more than one of four.
    assert next_project([north_2, south_2], [north_1, south_1]) is south_2
    assert next_project([north_2, south_3], [north_1, south_1, south_2]) is north_2
