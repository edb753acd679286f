"""Several projects, one after the other or side by side."""

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


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_project_is_loaded_however_many_are_at_once(several, jobs):
    ended, noted = load(several, jobs)
    assert sorted(one.project for one in ended) == sorted(several.handles)
    assert {one.report.outcome for one in ended} == {"ok"}
    several.publish()
    for name, handle in several.handles.items():
        assert published(several, name) == expected(several.simulator.url, handle.token)
        assert noted[name].records == 5
        assert noted[name].steps[0] == "structure"
        assert noted[name].steps[-1] == "finish"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_project_that_fails_stops_no_other(several, jobs):
    several.monkeypatch.setenv("TOKEN_BELLA", "0" * 32)
    ended, _ = load(several, jobs)
    failures = {one.project: one.failure for one in ended if one.report is None}
    assert list(failures) == ["bella"]
    assert "rejected the token" in failures["bella"]
    assert len(ended) == 3


def test_one_at_a_time_they_are_loaded_in_their_order_by_this_process(several):
    several.monkeypatch.setattr("multiprocessing.get_context", None)
    ended, _ = load(several, 1)
    assert [one.project for one in ended] == list(several.handles)


def test_what_was_asked_of_a_load_holds_in_another_process(several):
    load(several, 1)
    ended, _ = load(several, 2, full=True)
    assert {(one.report.mode, one.report.records_loaded) for one in ended} == {("full", 5)}
