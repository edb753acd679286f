"""A record's row in an event once its last form there is cleared: over the API, and by a person at the screen."""

import pytest

from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.records import Record, RecordStore
from tests.simulator.grids import classic, repeating


def visits():
    """Record 1 holds one form in each of two events, and instances at the first."""
    project = repeating()
    project.events.append(Event(3, "Last", 1, "last_arm_1"))
    project.mapping[3] = ("basics", "visit")
    project.records = RecordStore(
        [
            Record("1", {(1, "", 0): {"name": "Ada", "basics_complete": "2"}, (3, "", 0): {"note": "x"}}),
            Record("2", {(1, "", 0): {"name": "Bo"}, (1, "visit", 1): {"seen": "1"}, (3, "", 0): {"note": "y"}}),
            Record("3", {(1, "", 0): {"name": "Cy"}, (2, "", 1): {"note": "a"}, (2, "", 2): {"note": "b"}}),
        ]
    )
    return project


def rows(ask, record):
    keys = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
    return [tuple(row[key] for key in keys) for row in ask.csv(content="record", records=record)]


def clear(ask, how, record, instrument, event, instance=None):
    if how == "screen":
        ask.project.wipe(record, instrument, event, instance)
        return
    where = {"repeat_instance": instance} if instance else {}
    asked = {"instrument": instrument, "event": event, **where}
    assert ask(content="record", action="delete", **{"records[0]": record}, **asked) == "1"


@pytest.fixture(params=["api", "screen"])
def how(request):
    return request.param


def test_the_row_of_an_event_goes_with_the_last_form_there(asker, how):
    ask = asker(visits())
    clear(ask, how, "1", "visit", "last_arm_1")
    assert rows(ask, "1") == [("start_arm_1", "", "")]
    # A record is not deleted by clearing forms: its last row stays, blank.
    clear(ask, how, "1", "basics", "start_arm_1")
    assert rows(ask, "1") == [("start_arm_1", "", "")] and ask.csv(content="record", records="1")[0]["name"] == ""


def test_the_row_of_an_event_stays_while_another_form_or_an_instance_is_there(asker, how):
    ask = asker(visits())
    ask.project.save("1", {"name": "Ada"}, event="last_arm_1")
    clear(ask, how, "1", "visit", "last_arm_1")
    assert rows(ask, "1") == [("start_arm_1", "", ""), ("last_arm_1", "", "")]
    clear(ask, how, "2", "basics", "start_arm_1")
    assert rows(ask, "2")[:2] == [("start_arm_1", "", ""), ("start_arm_1", "visit", "1")]


def test_the_blank_row_of_an_event_goes_with_its_last_instance(asker, how):
    ask = asker(visits())
    clear(ask, how, "2", "basics", "start_arm_1")
    clear(ask, how, "2", "visit", "start_arm_1", 1)
    assert rows(ask, "2") == [("last_arm_1", "", "")]


def test_an_instance_of_a_repeating_event_goes_and_the_others_stay(asker, how):
    ask = asker(visits())
    clear(ask, how, "3", "visit", "later_arm_1", 1)
    assert rows(ask, "3") == [("start_arm_1", "", ""), ("later_arm_1", "", "2")]


def test_the_last_row_of_all_stays_also_where_it_repeats(asker, how):
    ask = asker(visits())
    ask.project.wipe("3", None, "start_arm_1")
    for instance in (1, 2):
        clear(ask, how, "3", "visit", "later_arm_1", instance)
    assert rows(ask, "3") == [("later_arm_1", "", "2")]


def test_clearing_a_form_that_holds_nothing_changes_nothing(asker, how):
    ask = asker(visits())
    assert ask(content="record", format="csv", data="id,redcap_event_name\n1,later_arm_1\n").strip() == "1"
    ask(content="record", format="csv", data="id,redcap_event_name\n3,last_arm_1\n")
    before = rows(ask, "3")
    clear(ask, how, "3", "visit", "last_arm_1")
    assert rows(ask, "3") == before and ("last_arm_1", "", "") in before


def test_a_record_of_a_classic_project_stays_when_its_only_form_is_cleared(asker, how):
    ask = asker(classic({"id": "1", "age": "5"}))
    clear(ask, how, "1", "basics", None if how == "screen" else "")
    assert ask.csv(content="record", fields="id,age") == [{"id": "1", "age": ""}]
