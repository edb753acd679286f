"""Arms and events that clients import and delete: while a project is classic, while it becomes longitudinal, after."""

import json

import pytest

from tests.simulator.grids import classic, repeating

ARMS = [{"arm_num": 2, "name": "Second"}]
EVENTS = [{"event_name": "Visit 1", "arm_num": 1}, {"event_name": "Visit 1", "arm_num": 2}]


def send(ask, content, rows, **options):
    data = rows if isinstance(rows, str) else json.dumps(rows)
    return ask(**{"content": content, "action": "import", "format": "json", "data": data, **options})


def longitudinal(ask, setting=1):
    assert ask(content="project_settings", format="json", data=json.dumps({"is_longitudinal": setting})) == "1"


def test_a_classic_project_takes_arms_and_events_and_shows_them_once_it_is_longitudinal(asker):
    ask = asker(classic({"id": "1", "age": "5"}))
    assert send(ask, "arm", ARMS) == "1"
    assert send(ask, "event", EVENTS) == "2"
    for content, what in (("arm", "arms"), ("event", "events"), ("formEventMapping", "form/event mappings")):
        assert ask.refused(content=content) == (400, f"You cannot export {what} for classic projects")
    assert list(ask.csv(content="record", fields="id,age")[0]) == ["id", "age"]
    longitudinal(ask)
    assert ask(content="arm", format="csv") == 'arm_num,name\n1,"Arm 1"\n2,Second\n'
    names = [event["unique_event_name"] for event in ask.json(content="event")]
    assert names == ["event_1_arm_1", "visit_1_arm_1", "visit_1_arm_2"]
    # What was there stays where it was: in the first event.
    assert ask.csv(content="record", fields="id,age") == [{"id": "1", "redcap_event_name": "event_1_arm_1", "age": "5"}]


@pytest.mark.parametrize("form", ["csv", "xml"])
def test_a_classic_project_takes_arms_in_every_format(asker, form):
    data = {"csv": "arm_num,name\n2,Second\n", "xml": "<arms><item><arm_num>2</arm_num><name>B</name></item></arms>"}
    assert send(asker(classic()), "arm", data[form], format=form) == "1"


def test_a_classic_project_gives_arms_and_events_up_again(asker):
    ask = asker(classic({"id": "1", "age": "5"}))
    send(ask, "arm", ARMS)
    send(ask, "event", EVENTS)
    assert ask(content="event", action="delete", **{"events[0]": "visit_1_arm_1"}) == "1"
    assert ask(content="arm", action="delete", **{"arms[0]": "2"}) == "1"
    assert ask.refused(content="arm", action="delete", arms="2") == (400, "The following arms do not exist: 2")
    assert ask.csv(content="record", fields="id,age") == [{"id": "1", "age": "5"}]


def test_what_a_classic_project_holds_in_other_events_is_out_of_sight(asker):
    ask = asker("longitudinal", records=3)
    seen, first = ask.csv(content="record"), ask.json(content="event")[0]["unique_event_name"]
    longitudinal(ask, 0)
    shown = ask.csv(content="record")
    assert "redcap_event_name" not in shown[0]
    assert [row["record_id"] for row in shown] == [r["record_id"] for r in seen if r["redcap_event_name"] == first]
    longitudinal(ask)
    assert ask.csv(content="record") == seen


def test_a_new_dictionary_leaves_the_mapping_of_events_that_are_out_of_sight(asker):
    ask = asker("longitudinal", records=1)
    mapping = ask.json(content="formEventMapping")
    longitudinal(ask, 0)
    rows = ask.json(content="metadata")
    assert ask(content="metadata", format="json", data=json.dumps(rows)) == str(len(rows))
    longitudinal(ask)
    first = mapping[0]["unique_event_name"]
    now = ask.json(content="formEventMapping")
    assert [row for row in now if row["unique_event_name"] != first] == [
        row for row in mapping if row["unique_event_name"] != first
    ]


def test_a_project_without_any_event_answers_and_takes_records_again(asker):
    ask = asker(classic({"id": "1", "age": "5"}))
    assert ask(content="arm", action="delete", **{"arms[0]": "1", "arms[1]": "1"}) == "1"
    assert ask(content="record", format="csv") == "\n"
    assert ask(content="generateNextRecordName") == "1"
    assert len(ask.json(content="metadata")) == 11
    assert "<ODM" in ask(content="project_xml")
    assert ask(content="record", format="json", data='[{"id": "7", "age": "6"}]', returnFormat="csv") == "1"
    assert ask.csv(content="record", fields="id,age") == [{"id": "7", "age": "6"}]


def test_the_state_of_a_project_without_any_event_is_taken_up_as_it_was(asker, simulator, tmp_path):
    ask = asker(classic())
    ask(content="event", action="delete", events="event_1_arm_1")
    simulator.save_state(tmp_path / "state")
    simulator.load_state(tmp_path / "state")
    assert next(iter(simulator.projects.values())).project.events == []


def test_events_that_are_named_twice_are_deleted_once(asker):
    ask = asker("longitudinal", records=1)
    before = ask.json(content="event")
    name = before[-1]["unique_event_name"]
    assert ask(content="event", action="delete", **{"events[0]": name, "events[1]": name}) == "1"
    assert ask.json(content="event") == before[:-1]


def is_longitudinal(ask):
    return ask.json(content="project")["is_longitudinal"]


def test_a_project_is_longitudinal_only_while_it_has_more_than_one_event_or_arm_and_the_setting_is_on(asker):
    ask = asker(classic({"id": "1", "age": "5"}))
    longitudinal(ask)
    assert is_longitudinal(ask) == 0
    assert ask.refused(content="event") == (400, "You cannot export events for classic projects")
    send(ask, "event", EVENTS[:1])
    assert is_longitudinal(ask) == 1
    assert ask(content="event", action="delete", events="visit_1_arm_1") == "1"
    assert is_longitudinal(ask) == 0
    send(ask, "arm", ARMS)
    assert is_longitudinal(ask) == 1
    assert "<is_longitudinal><![CDATA[1]]></is_longitudinal>" in ask(content="project", format="xml")
    longitudinal(ask, 0)
    assert is_longitudinal(ask) == 0
    longitudinal(ask)
    assert ask(content="arm", action="delete", **{"arms[0]": "2"}) == "1"
    assert is_longitudinal(ask) == 0
    assert ask.csv(content="record", fields="id,age") == [{"id": "1", "age": "5"}]


def test_arms_and_events_that_are_made_and_deleted_leave_a_classic_project_each_time(asker):
    ask = asker(classic())
    ask(content="arm", action="delete", **{"arms[0]": "1"})
    longitudinal(ask)
    arms = [{"arm_num": number, "name": f"Arm {number}"} for number in (1, 2, 3)]
    events = [{"event_name": "event_1", "arm_num": number} for number in (1, 2, 3)]
    for way in ("event", "arm"):
        assert (send(ask, "arm", arms), send(ask, "event", events), is_longitudinal(ask)) == ("3", "3", 1)
        assert ask.json(content="arm") == arms
        assert names(ask) == ["event_1_arm_1", "event_1_arm_2", "event_1_arm_3"]
        gone = names(ask) if way == "event" else ["1", "2", "3"]
        asked = {f"{way}s[{at}]": name for at, name in enumerate(gone)}
        assert (ask(content=way, action="delete", **asked), is_longitudinal(ask)) == ("3", 0)


COPIED = [
    {"event_name": "Start", "arm_num": 1, "unique_event_name": "start_arm_1"},
    {"event_name": "Week 2", "arm_num": 1, "unique_event_name": "wrong_name_arm_9"},
    {"event_name": "Brand new", "arm_num": 1, "unique_event_name": ""},
]


def names(ask):
    return [event["unique_event_name"] for event in ask.json(content="event")]


def test_events_with_names_that_do_not_exist_are_made_under_redcaps_own(asker):
    ask = asker(repeating())
    assert send(ask, "event", COPIED) == "3"
    assert names(ask) == ["start_arm_1", "later_arm_1", "week_2_arm_1", "brand_new_arm_1"]
    assert ask.csv(content="record", fields="id")[0]["redcap_event_name"] == "start_arm_1"


def test_events_that_replace_all_others_are_made_under_redcaps_own_names_too(asker):
    ask = asker(repeating())
    assert send(ask, "event", COPIED, override=1) == "3"
    assert names(ask) == ["start_arm_1", "week_2_arm_1", "brand_new_arm_1"]
    assert {row["redcap_event_name"] for row in ask.csv(content="record")} == {"start_arm_1"}


def test_an_event_that_replaces_one_of_its_label_gets_the_name_that_this_had(asker):
    ask = asker(repeating())
    assert send(ask, "event", [{"event_name": "Later", "arm_num": 1}], override=1) == "1"
    assert [event.unique_name for event in ask.project.project.events] == ["later_arm_1"]


def test_the_events_of_one_project_are_copied_into_another(asker):
    source, target = asker("longitudinal", records=1), asker(classic())
    arms, events = source.json(content="arm"), source.json(content="event")
    assert send(target, "arm", arms, override=1) == str(len(arms))
    assert send(target, "event", events, override=1) == str(len(events))
    longitudinal(target)
    assert names(target) == names(source)


def test_a_bad_event_among_good_ones_changes_nothing(asker):
    ask = asker(repeating())
    rows = [*COPIED, {"event_name": "Lost", "arm_num": 7}]
    assert ask.refused(content="event", action="import", data=json.dumps(rows), override=1) == (
        400,
        "The arm number '7' does not exist",
    )
    assert names(ask) == ["start_arm_1", "later_arm_1"]
