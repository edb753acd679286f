"""Several projects, one after the other or side by side."""

import multiprocessing

import pytest

from pipelines.fleet.loads import load_projects
from pipelines.fleet.waiting import Waiting
from pipelines.sync.reports import LoadOptions, Progress
from tests.fleet.conftest import explained
from tests.support.export_oracle import expected, published


class Noted(Progress):
    """The steps of a load."""

    def __init__(self):
        self.steps = []
        self.records = 0

    def step(self, name):
        self.steps.append(name)

    def fetched(self, records, cells):
        self.records += records


def load(site, jobs, **options):
    """What becomes of each project, in the order in which they end, and the progress of each."""
    noted = {}
    config = site.config
    ended = load_projects(
        config,
        Waiting(list(config.projects.values())),
        LoadOptions(**options),
        jobs=jobs,
        explain=explained,
        progress_of=lambda name: noted.setdefault(name, Noted()),
    )
    return list(ended), noted


def failures(ended):
    return {one.project: one.failure for one in ended if one.report is None}


def test_every_project_is_loaded_one_at_a_time_or_side_by_side_and_one_that_fails_stops_no_other(several):
    several.monkeypatch.setenv("TOKEN_BELLA", "0" * 32)
    with pytest.MonkeyPatch.context() as none:
        # One at a time they are loaded in their order by this process.
        none.setattr("multiprocessing.get_context", None)
        ended, noted = load(several, 1)
    assert [one.project for one in ended] == list(several.handles)
    assert list(failures(ended)) == ["bella"]
    assert "rejected the token" in failures(ended)["bella"]
    assert {one.report.outcome for one in ended if one.report} == {"ok"}
    assert_followed(noted, "anna", "clara")

    several.monkeypatch.setenv("TOKEN_BELLA", several.handles["bella"].token)
    several.monkeypatch.setenv("TOKEN_CLARA", "0" * 32)
    alive = []
    for nth in (1, 2):
        several.simulator.before_request(
            lambda: alive.append(len(multiprocessing.active_children())), nth=nth, content="metadata"
        )
    ended, noted = load(several, 2, full=True)
    assert sorted(one.project for one in ended) == sorted(several.handles)
    assert list(failures(ended)) == ["clara"]
    assert "rejected the token" in failures(ended)["clara"]
    # What was asked of a load holds in another process.
    told = {(one.report.outcome, one.report.mode, one.report.records_loaded) for one in ended if one.report}
    assert told == {("ok", "full", 5)}
    assert_followed(noted, "anna", "bella")
    # As many at once as was asked for.
    assert (len(alive), max(alive)) == (2, 2)
    assert not multiprocessing.active_children()

    several.monkeypatch.setenv("TOKEN_CLARA", several.handles["clara"].token)
    several.publish()
    for name, handle in several.handles.items():
        assert published(several, name) == expected(several.simulator.url, handle.token)


def assert_followed(noted, *names):
    """The command reported the progress of exactly these projects."""
    for name in names:
        assert noted[name].records == 5
        assert noted[name].steps[0] == "structure"
        assert noted[name].steps[-1] == "finish"


@pytest.mark.fuzz
def test_three_projects_are_loaded_three_at_once(several):
    ended, noted = load(several, 3)
    assert sorted(one.project for one in ended) == sorted(several.handles)
    assert {one.report.outcome for one in ended} == {"ok"}
    assert_followed(noted, *several.handles)
    several.publish()
    for name, handle in several.handles.items():
        assert published(several, name) == expected(several.simulator.url, handle.token)
