"""Design, people and settings as the API exports them."""

import json

import pytest

from redcap_source.simulator import Behaviour
from tests.simulator.grids import classic, repeating


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("arm", "You cannot export arms for classic projects"),
        ("event", "You cannot export events for classic projects"),
        ("formEventMapping", "You cannot export form/event mappings for classic projects"),
        ("repeatingFormsEvents", "You cannot export repeating instruments and events because the project does not "
         "contain any repeating instruments and events"),
        ("bogus", 'The value of the parameter "content" is not valid'),
    ],
)  # fmt: skip
def test_what_a_classic_project_cannot_export(asker, content, sentence):
    assert asker(classic()).refused(content=content) == (400, sentence)


def test_events_arms_mapping_and_repeats(asker):
    ask = asker(repeating())
    assert ask.json(content="arm") == [{"arm_num": 1, "name": "Arm 1"}]
    assert ask.json(content="event")[0] == {
        "event_name": "Start", "arm_num": 1, "unique_event_name": "start_arm_1", "custom_event_label": None,
        "event_id": 1,
    }  # fmt: skip
    assert [(row["unique_event_name"], row["form"]) for row in ask.csv(content="formEventMapping")] == [
        ("start_arm_1", "basics"),
        ("start_arm_1", "visit"),
        ("later_arm_1", "visit"),
    ]
    assert ask(content="repeatingFormsEvents", format="csv") == (
        "event_name,form_name,custom_form_label\nstart_arm_1,visit,\nlater_arm_1,,\n"
    )


def test_export_field_names_leave_files_out_and_put_statuses_in(asker):
    names = [row["export_field_name"] for row in asker(classic()).json(content="exportFieldNames")]
    assert names == [
        "id", "name", "age", "born", "sex", "race___1", "race____4", "race___aa", "kg", "twice", "basics_complete",
        "seen", "note", "visit_complete",
    ]  # fmt: skip


def test_metadata_is_filtered_by_field_and_form(asker):
    ask = asker(classic())
    assert [row["field_name"] for row in ask.json(content="metadata", forms="visit", fields="age")] == [
        "age",
        "seen",
        "note",
    ]
    assert "},\n{" in ask(content="metadata", format="json")


def test_project_info_is_one_object(asker):
    info = asker("repeating", records=1).json(content="project")
    assert (info["is_longitudinal"], info["has_repeating_instruments_or_events"], info["in_production"]) == (1, 1, 0)
    assert info["missing_data_codes"] == "-99, Not done | UNK, Unknown"


def test_user_csv_ends_without_a_newline_and_json_has_integers(asker):
    ask = asker(classic())
    body = ask(content="user", format="csv")
    assert not body.endswith("\n") and body.endswith('"basics:1,visit:1","basics:1,visit:1"')
    [user] = ask.json(content="user")
    assert user["api_export"] == 1 and user["forms_export"] == {"basics": 1, "visit": 1}


def test_groups_and_who_is_in_them(asker):
    ask = asker(repeating())
    assert ask.json(content="dag") == [
        {"data_access_group_name": "Site A", "unique_group_name": "site_a", "data_access_group_id": 7}
    ]
    token = ask.project.add_user("kim", dag="site_a")
    assert ask.json(content="userDagMapping")[1] == {"username": "kim", "redcap_data_access_group": "site_a"}
    status, text = ask.refused(token=token, content="dag")
    assert status == 403 and "do not have permission" in text


@pytest.mark.parametrize(
    ("right", "content"),
    [
        ("design", "repeatingFormsEvents"),
        ("logging", "log"),
        ("user_rights", "user"),
        ("data_access_groups", "dag"),
        ("api_export", "record"),
    ],
)
def test_a_missing_right_is_a_403(asker, right, content):
    ask = asker(classic())
    ask.project.set_rights(**{right: 0})
    assert ask.refused(content=content)[0] == 403


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("json", '{"error":"You do not have permissions to use the API"}'),
        ("csv", "ERROR: You do not have permissions to use the API"),
        (
            "xml",
            '<?xml version="1.0" encoding="UTF-8" ?><hash><error>You do not have permissions to use the API'
            "</error></hash>",
        ),
    ],
)
def test_a_bad_token_is_refused_in_the_format_asked_for(asker, form, body):
    ask = asker(classic())
    status, text, _ = ask.raw(token="0" * 32, content="version", format=form)
    assert (status, text) == (403, body)


def test_errors_follow_return_format(asker):
    status, text, _ = asker(classic()).raw(content="arm", format="csv", returnFormat="json")
    assert (status, json.loads(text)) == (400, {"error": "You cannot export arms for classic projects"})


def test_the_next_record_name_counts_whole_numbers_only(asker):
    ask = asker(classic({"id": "3"}, {"id": "7-1"}, {"id": "x"}))
    assert ask(content="generateNextRecordName") == "4"
    ask.project.add_dag("north")
    ask.project.set_rights(dag="north")
    assert ask(content="generateNextRecordName") == "1-1"


def test_variants_are_switchable(asker, simulator):
    simulator.behaviour = Behaviour(bad_token_status=401, event_offsets=True, log_has_record=False)
    ask = asker(repeating())
    assert "day_offset" in ask.json(content="event")[0]
    assert "record" not in ask.json(content="log")[0]
    assert ask.raw(token="x")[0] == 401


@pytest.mark.parametrize(
    ("label", "cell"),
    [
        ("[weight_date] [weight_time]", "[weight_date] [weight_time]"),
        ("[sbp], [dbp]", '"[sbp], [dbp]"'),
        ('the "first" one', '"the ""first"" one"'),
        ("two\nlines", '"two\nlines"'),
    ],
)
def test_the_label_of_what_repeats_is_not_quoted_for_its_blanks(asker, label, cell):
    project = classic()
    project.repeating_forms = {(project.events[0].event_id, "visit"): label}
    ask = asker(project)
    body = ask(content="repeatingFormsEvents", format="csv")
    assert body == f"form_name,custom_form_label\nvisit,{cell}\n"
    assert ask(content="repeatingFormsEvents", format="csv", data=body) == "1"
    assert project.repeating_forms == {(project.events[0].event_id, "visit"): label}
