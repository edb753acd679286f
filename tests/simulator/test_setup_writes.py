"""Requests that change the design and the people: what they refuse, and what else they change."""

import json

import pytest

from redcap_source.simulator import Simulator
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic, repeating


def send(ask, content, rows, **options):
    return ask.raw(content=content, format="json", data=json.dumps(rows), **options)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda rows: rows[0].update(field_name=""),
            "Each row MUST have a variable/field name, but the following cells have a field name missing: A2.",
        ),
        (
            lambda rows: rows[2].update(field_name="name"),
            "Each variable/field name must be unique, but the following are duplicated: name (A4).",
        ),
        (lambda rows: rows[1].update(field_type="odd"), "The following cells have a field type that is not valid: D3."),
        (lambda rows: rows.clear(), "The data dictionary has no fields"),
    ],
)  # fmt: skip
def test_a_bad_dictionary_is_refused_by_its_cells(asker, change, sentence):
    ask = asker(classic())
    rows = ask.json(content="metadata")
    change(rows)
    status, body, _ = send(ask, "metadata", rows)
    assert (status, json.loads(body)["error"]) == (400, sentence)


def test_a_new_dictionary_replaces_the_old_and_hides_what_it_drops(asker):
    ask = asker(classic({"id": "1", "age": "5", "note": "x"}))
    rows = [row for row in ask.json(content="metadata") if row["form_name"] == "basics" and row["field_name"] != "age"]
    assert send(ask, "metadata", rows)[1] == "8"
    assert [row["instrument_name"] for row in ask.json(content="instrument")] == ["basics"]
    assert "age" not in ask.csv(content="record")[0] and "note" not in ask.csv(content="record")[0]


def test_a_dictionary_in_production_stands(asker):
    ask = asker(classic())
    ask.project.project.settings["in_production"] = 1
    assert send(ask, "metadata", ask.json(content="metadata"))[0] == 400


def test_arms_and_events_that_go_take_their_data_along(asker):
    ask = asker(repeating())
    send(ask, "event", [{"event_name": "Last", "arm_num": 1}], action="import")
    assert ask(content="event", action="delete", **{"events[0]": "later_arm_1"}) == "1"
    assert {row["redcap_event_name"] for row in ask.csv(content="record")} == {"start_arm_1"}
    assert ask.refused(content="event", action="delete", events="later_arm_1")[0] == 400
    send(ask, "arm", [{"arm_num": 5, "name": "Only"}], action="import", override=1)
    assert ask.refused(content="arm")[0] == 400 and ask(content="record", format="csv") == "\n"


def test_events_are_renamed_by_their_unique_name(asker):
    ask = asker(repeating())
    row = {"event_name": "Very long event name here", "arm_num": 1, "unique_event_name": "start_arm_1"}
    assert send(ask, "event", [row, {**row, "unique_event_name": ""}], action="import")[1] == "2"
    names = [event["unique_event_name"] for event in ask.json(content="event")]
    assert names == ["very_long_event_na_arm_1", "later_arm_1", "very_long_event_na_arm_1b"]


def test_data_move_when_their_instrument_begins_to_repeat_and_back(asker):
    project = classic({"id": "1", "seen": "1"})
    ask = asker(project)
    assert send(ask, "repeatingFormsEvents", [{"form_name": "visit", "custom_form_label": ""}])[1] == "1"
    rows = ask.csv(content="record", fields="id,seen")
    assert [(row["redcap_repeat_instance"], row["seen"]) for row in rows] == [("", ""), ("1", "1")]
    assert send(ask, "repeatingFormsEvents", [])[1] == "0"
    assert ask.csv(content="record", fields="id,seen") == [{"id": "1", "seen": "1"}]


@pytest.mark.parametrize(
    ("content", "rows", "sentence"),
    [
        ("userRole", [{"unique_role_name": "U-X"}], "Invalid Unique Role Names: U-X"),
        ("userRole", [{"role_label": "a", "forms": {"odd": 1}}], 'The form named "odd" is incorrect for the user role'),
        ("userRoleMapping", [{"username": "nobody", "unique_role_name": ""}], "The following users do not exist"),
        (
            "dag",
            [{"data_access_group_name": "x", "unique_group_name": "odd"}],
            "The data access group 'odd' does not exist",
        ),
        (
            "userDagMapping",
            [{"username": "api_user", "redcap_data_access_group": "odd"}],
            "The data access group 'odd'",
        ),
        (
            "formEventMapping",
            [{"unique_event_name": "odd", "form": "visit"}],
            "The unique event name 'odd' does not exist",
        ),
        ("formEventMapping", [{"unique_event_name": "start_arm_1", "form": "odd"}], "The form 'odd' does not exist"),
        ("event", [{"event_name": "", "arm_num": 1}], "Each event must have an event_name"),
    ],
)
def test_names_that_do_not_exist_are_refused(asker, content, rows, sentence):
    status, body, _ = send(asker(repeating()), content, rows, action="import")
    assert status == 400 and json.loads(body)["error"].startswith(sentence)


@pytest.mark.parametrize(
    "content", ["metadata", "arm", "event", "formEventMapping", "repeatingFormsEvents", "project_settings"]
)
def test_the_setup_needs_the_design_right(asker, content):
    ask = asker(repeating())
    ask.project.set_rights(design=0)
    assert send(ask, content, [], action="import")[0] == 403


def test_roles_decide_over_own_rights(asker):
    ask = asker(classic({"id": "1"}))
    send(ask, "userRole", [{"role_label": "reader", "api_export": 1, "forms_export": {"basics": 1, "visit": 0}}])
    [role] = ask.json(content="userRole")
    assert (role["api_export"], role["logging"]) == ("1", "0")
    send(
        ask,
        "userRoleMapping",
        [{"username": "api_user", "unique_role_name": role["unique_role_name"]}],
        action="import",
    )
    assert ask.refused(content="log")[0] == 403 and "note" not in ask.csv(content="record")[0]


def test_an_expired_user_is_out(asker):
    ask = asker(classic())
    send(ask, "user", [{"username": "api_user", "expiration": "2001-01-01"}])
    assert ask.refused(content="version") == (403, "You do not have permissions to use the API")


def test_latency_is_by_request_and_cell():
    with Simulator(latency=(0.05, 1000.0)) as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic({"id": "1"}), name="x"))
        import time

        started = time.perf_counter()
        ask(content="record", format="csv")
        assert time.perf_counter() - started >= 0.05 + 15 * 2 * 0.001
