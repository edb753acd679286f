"""Who is on the participant list of a survey, and for whom there is a link."""

import pytest

from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.records import Record
from tests.simulator.grids import classic, repeating


@pytest.fixture
def ask(asker):
    """Records 1 and 2 are in the first arm, record 3 is in the second alone."""
    project = repeating()
    project.surveys = {"visit"}
    project.arms = {1: "One", 2: "Two"}
    project.events.append(Event(3, "Start", 2, "start_arm_2"))
    project.mapping[3] = ("visit",)
    project.mapping[1] = ("basics", "visit")
    project.records.put(Record("3", {(3, "", 0): {"note": "x"}}))
    return asker(project)


def listed(ask, event):
    asked = {"content": "participantList", "instrument": "visit", "event": event}
    return [row["record"] for row in ask.json(**asked)]


def test_the_participants_of_an_event_are_the_records_of_its_arm(ask):
    assert listed(ask, "start_arm_1") == ["1", "2"]
    # Record 2 holds nothing in this event, but it can be invited to it.
    assert listed(ask, "later_arm_1") == ["1", "2"]
    assert listed(ask, "start_arm_2") == ["3"]
    assert ask(content="record", action="delete", records="3") == "1"
    assert listed(ask, "start_arm_2") == []


@pytest.mark.parametrize("content", ["surveyLink", "surveyAccessCode", "surveyReturnCode"])
def test_a_record_has_no_link_in_an_arm_in_which_it_does_not_exist(ask, content):
    asked = {"content": content, "record": "3", "instrument": "visit"}
    assert len(ask(event="start_arm_2", **asked)) >= 8
    assert ask.refused(event="start_arm_1", **asked) == (400, 'The record "3" does not exist')


@pytest.mark.parametrize("content", ["participantList", "surveyLink"])
def test_an_event_that_does_not_have_the_survey_is_refused(ask, content):
    ask.project.project.surveys = {"basics"}
    asked = {"content": content, "record": "3", "instrument": "basics", "event": "start_arm_2"}
    sentence = 'The instrument "basics" is not designated for the event "start_arm_2"'
    assert ask.refused(**asked) == (400, sentence)
    assert ask.refused(**{**asked, "event": "nowhere"})[0] == 400
    assert ask.refused(**{**asked, "event": ""})[0] == 400


def test_every_record_of_a_classic_project_is_a_participant(asker):
    project = classic({"id": "1"}, {"id": "2", "age": "5"})
    project.surveys = {"visit"}
    rows = asker(project).json(content="participantList", instrument="visit")
    assert [row["record"] for row in rows] == ["1", "2"]
