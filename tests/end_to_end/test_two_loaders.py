"""Two machines load the same projects into one lake: each project once a night, and all as if one had loaded them.

The machines are the real command in processes of their own, over a real PostgreSQL and an S3 server.
"""

import random
import time

import pytest

from redcap_source.simulator import Project, Simulator
from redcap_source.simulator.studies.grid import dictionary_from
from tests.support.loaders import Loaders, ended_in_the_end, loads_in, most_in_a_minute, outputs
from tests.support.postgres import RunningPostgres

pytestmark = pytest.mark.lake

BASE = """
# base ~ Base
record_id ~ text ~ ~ Study ID
town ~ text ~ ~ Town
age ~ text ~ integer ~ Age
sex ~ radio ~ ~ Sex ~ 1, Female | 2, Male
"""
WEIGHT = {
    "field_name": "weight",
    "form_name": "base",
    "field_type": "text",
    "field_label": "Weight",
    "text_validation_type_or_show_slider_number": "number",
}
# Requests per minute: what the server allows, and what projects.yaml says.
ALLOWED, CONFIGURED = 400, 360


@pytest.fixture
def loaders(s3, postgres: RunningPostgres, tmp_path):
    with Simulator() as simulator:
        database = postgres.new_database(f"loaders_{abs(hash(tmp_path)):x}")
        data = f"{s3.bucket(f'loaders-{abs(hash(tmp_path)):x}')}/redcap"
        yield Loaders(tmp_path, simulator, database, data, s3.environment)
        assert not simulator.failures


def small_projects(loaders, count):
    """Small projects of a few records, no two alike."""
    for number in range(count):
        handle = loaders.add(f"p{number:02}", Project(dictionary=dictionary_from(BASE)))
        for record in range(3):
            handle.save(f"{record + 1}", {"town": f"Town {number}", "age": str(20 + record), "sex": "1"})


def a_day(loaders, night, chance):
    """Edits in most projects, deletes in some, and on the first day another field in one of four."""
    for number, handle in enumerate(loaders.handles.values()):
        records = handle.records()
        if night == 1 and number % 4 == 0:
            handle.add_field(WEIGHT)
            handle.save(records[0], {"weight": "71.5"})
        if chance.random() < 0.7:
            handle.save(chance.choice(records), {"town": f"Town of night {night}", "age": f"{chance.randint(18, 90)}"})
        # A load refuses to delete all records there are.
        if chance.random() < 0.3 and len(records) > 2:
            handle.delete(records[-1])
        if chance.random() < 0.5:
            handle.save(f"new-{night}", {"town": "New town", "sex": "2"})


def another_has_asked(simulator, before):
    """Wait until the server has answered a request of the other machine, as it answers none of the first meanwhile."""
    until = time.monotonic() + 60
    while len(simulator.requests) <= before and time.monotonic() < until:
        time.sleep(0.02)


def a_night(loaders, *options):
    """Both machines begin at once and end well; what they printed, and what the server was asked.

    The first to ask gets its first answer when the other has come, so that both have something to load.
    """
    before = len(loaders.simulator.requests)
    loaders.simulator.before_request(lambda: another_has_asked(loaders.simulator, before))
    started = [loaders.loader(name).start("sync", *options) for name in ("one", "two")]
    with ended_in_the_end(*started):
        told, requests = loaders.requests_of(lambda: outputs(*started))
    loaders.check()
    assert loads_in(requests) == dict.fromkeys(loaders.handles, 1), "\n".join(told)
    return told, requests


@pytest.mark.parametrize(
    ("projects", "nights", "jobs"),
    [pytest.param(4, 2, 1, marks=[pytest.mark.fuzz]), pytest.param(40, 3, 2, marks=[pytest.mark.fuzz])],
    ids=["4 projects", "40 projects"],
)
def test_two_machines_load_every_project_once_a_night_and_the_lake_is_what_redcap_has(loaders, projects, nights, jobs):
    loaders.server = f"requests_per_minute: {CONFIGURED}, concurrency: 2"
    small_projects(loaders, projects)
    chance, asked = random.Random(1), []
    for night in range(nights):
        if night:
            a_day(loaders, night, chance)
        told, requests = a_night(loaders, "--jobs", str(jobs))
        asked += requests
        shared = [text.count("loaded meanwhile by") for text in told]
        assert sum(shared) == projects and all(shared), "both have loaded some, and know of the others"
    assert most_in_a_minute(asked) <= ALLOWED
