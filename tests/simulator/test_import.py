"""Record import and the other requests that change records, with REDCap's own words."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from redcap_source.simulator import Behaviour, Simulator, make_study
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic, repeating

BAD_FORMAT = (
    "The value you provided could not be validated because it does not follow the expected format. Please try again."
)
LOCKED_FORM = "This field is located on a form that is locked. You must first unlock this form for this record."
LOCKED_RECORD = "This record has been locked at the record level. No value within this record can be modified."
CATEGORY = "The value is not a valid category for {}"


def send(ask, rows, **options):
    return ask.raw(**{"content": "record", "format": "json", "data": json.dumps(rows), **options})


def stored(ask, **asked):
    return {row.pop("id"): {k: v for k, v in row.items() if v} for row in ask.csv(content="record", **asked)}


def problems(body):
    return list(csv.reader(io.StringIO(json.loads(body)["error"])))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sex", "9", CATEGORY.format("sex")),
        ("race___1", "x", CATEGORY.format("race___1")),
        ("seen", "2", CATEGORY.format("seen")),
        ("age", "4.5", BAD_FORMAT),
        ("kg", "80", BAD_FORMAT),
        ("born", "2020-13-01", BAD_FORMAT),
        ("basics_complete", "3", CATEGORY.format("basics_complete")),
    ],
)
def test_a_wrong_cell_is_named_and_nothing_is_saved(asker, name, value, message):
    ask = asker(classic({"id": "1"}))
    status, body, _ = send(ask, [{"id": "2", "name": "Good"}, {"id": "1", name: value}])
    assert (status, problems(body)) == (400, [["1", name, value, message]])
    assert stored(ask, fields="id") == {"1": {}}


def test_every_wrong_cell_gets_a_line(asker):
    ask = asker(classic())
    _, body, _ = send(ask, [{"id": "1", "age": 'a"b', "sex": "7"}, {"id": "2", "kg": "1"}])
    assert [line[:3] for line in problems(body)] == [["1", "age", 'a"b'], ["1", "sex", "7"], ["2", "kg", "1"]]


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ({"redcap_event_name": "later_arm_1", "age": "5"}, "age", "not designated for the event named 'Later (Arm 1: "),
        ({"redcap_event_name": "start_arm_1", "seen": "1"}, "seen", "exists on a Repeating Instrument named 'visit'."),
        (
            {"redcap_event_name": "start_arm_1", "redcap_repeat_instrument": "basics", "redcap_repeat_instance": "1"},
            "redcap_repeat_instrument",
            "must be the unique form name of a Repeating Instrument.",
        ),
        (
            {"redcap_event_name": "start_arm_1", "redcap_repeat_instance": "2", "age": "5"},
            "redcap_repeat_instance",
            "cannot have a value since this instrument or event is not a repeating instrument",
        ),
        ({"redcap_event_name": "never_arm_1"}, "redcap_event_name", "event name"),
    ],
)
def test_data_in_the_wrong_place_are_refused(asker, row, field, message):
    status, body, _ = send(asker(repeating()), [{"id": "1", **row}])
    [line] = problems(body)
    assert status == 400 and line[1] == field and message in line[3]


@pytest.mark.parametrize(
    ("data", "options", "sentence"),
    [
        ("{bad", {}, "The data being imported is not formatted correctly. PHP error from JSON decoder: Syntax error."),
        ("[]]", {"format": "xml"}, "The data is not in the specified format."),
        ('[{"id":"1"}]', {"format": "csv"}, "The data is not in the specified format."),
        (
            '[{"id":"1","x":"","y":""}]',
            {},
            "The following fields were not found in the project as real data fields: x, y",
        ),
        ('[{"id":"1","race":"1"}]', {}, "The following fields were not found in the project as real data fields: race"),
    ],
)
def test_what_cannot_be_read_is_refused(asker, data, options, sentence):
    status, body, _ = asker(classic()).raw(
        **{"content": "record", "format": "json", "data": data, "returnFormat": "csv"} | options
    )
    assert status == 400 and body.startswith("ERROR: " + sentence)


@pytest.mark.parametrize(
    ("content", "form", "body"),
    [
        ("count", "json", '{"count":2}'),
        ("count", "csv", "2"),
        ("count", "xml", '<?xml version="1.0" encoding="UTF-8" ?><count>2</count>'),
        ("ids", "json", '["7","8"]'),
        ("ids", "csv", "id\n7\n8"),
        ("nothing", "json", ""),
        ("auto_ids", "json", '["7,7","8,8"]'),
    ],
)
def test_results_count_records_not_rows(asker, content, form, body):
    ask = asker(repeating())
    ask.project.project.settings["record_autonumbering_enabled"] = 0
    rows = [
        {"id": "7", "redcap_event_name": "start_arm_1", "age": "5"},
        {"id": "7", "redcap_event_name": "later_arm_1", "redcap_repeat_instance": "1", "note": "x"},
        {"id": "8", "redcap_event_name": "start_arm_1"},
    ]
    assert send(ask, rows, returnContent=content, returnFormat=form, forceAutoNumber="true")[1] == body


def test_one_object_is_not_understood_and_counts_nothing(asker):
    assert send(asker(classic()), {"id": "1"})[:2] == (200, '{"count":0}')


def test_blanks_are_kept_out_unless_overwriting(asker):
    ask = asker(classic({"id": "1", "age": "5", "race___1": "1", "name": "Ada"}))
    send(ask, [{"id": "1", "age": "", "race___1": ""}])
    assert stored(ask, fields="id,age,race,name")["1"] == {
        "name": "Ada",
        "age": "5",
        "race___1": "1",
        "race____4": "0",
        "race___aa": "0",
    }
    send(ask, [{"id": "1", "age": "", "race___1": ""}], overwriteBehavior="overwrite")
    assert stored(ask, fields="id,age,race,name")["1"] == {
        "name": "Ada",
        "race___1": "0",
        "race____4": "0",
        "race___aa": "0",
    }


@pytest.mark.parametrize(
    ("order", "value"), [("YMD", "2020-02-01"), ("DMY", "01/02/2020"), ("MDY", "02/01/2020"), ("DMY", "2020-02-01")]
)
def test_dates_come_in_any_order(asker, order, value):
    ask = asker(classic())
    send(ask, [{"id": "1", "born": value}], dateFormat=order)
    assert stored(ask, fields="id,born") == {"1": {"born": "2020-02-01"}}


@pytest.mark.parametrize("form", ["json", "csv", "xml"])
@pytest.mark.parametrize("kind", ["flat", "eav"])
def test_all_formats_bring_the_same(asker, form, kind):
    ask = asker(classic())
    rows = [{"id": "1", "name": "Ada, B", "race____4": "1"}]
    if kind == "eav":
        rows = [{"record": "1", "field_name": name, "value": rows[0][name]} for name in ("name", "race____4")]
    data = {
        "json": json.dumps(rows),
        "csv": "\n".join([",".join(rows[0]), *(",".join(f'"{v}"' for v in row.values()) for row in rows)]),
        "xml": "<records>" + "".join(
            "<item>" + "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in row.items()) + "</item>" for row in rows
        ) + "</records>",
    }[form]  # fmt: skip
    assert ask.raw(content="record", format=form, type=kind, data=data)[0] == 200
    row = stored(ask, fields="id,name,race")["1"]
    assert row == {"name": "Ada, B", "race___1": "0", "race____4": "1", "race___aa": "0"}


def test_new_instances_take_the_next_free_number(asker):
    ask = asker(repeating())
    row = {
        "id": "1",
        "redcap_event_name": "start_arm_1",
        "redcap_repeat_instrument": "visit",
        "redcap_repeat_instance": "new",
    }
    send(ask, [{**row, "note": "a"}, {**row, "note": "b"}])
    rows = [r for r in ask.csv(content="record", fields="id,note", records="1") if r["note"] in ("a", "b")]
    assert [(r["redcap_repeat_instance"], r["note"]) for r in rows] == [("3", "a"), ("4", "b")]


def test_ids_are_assigned_when_asked_for(asker):
    ask = asker(classic({"id": "9"}))
    body = send(ask, [{"id": "a", "age": "1"}, {"id": "b"}], forceAutoNumber="true", returnContent="auto_ids")[1]
    assert json.loads(body) == ["10,a", "11,b"]


def test_groups_are_assigned_and_taken_away(asker):
    ask = asker(repeating())
    start = {"redcap_event_name": "start_arm_1"}
    send(ask, [{"id": "2", **start, "redcap_data_access_group": "site_a"}])
    assert ask.project.project.records.get("2").group == "site_a"
    send(ask, [{"id": "2", **start, "redcap_data_access_group": ""}])
    assert ask.project.project.records.get("2").group == "site_a"
    send(ask, [{"id": "2", **start, "redcap_data_access_group": ""}], overwriteBehavior="overwrite")
    assert ask.project.project.records.get("2").group == ""


def test_users_in_a_group_stay_in_it(asker):
    ask = asker(repeating())
    ask.project.set_rights(dag="site_a")
    start = {"redcap_event_name": "start_arm_1"}
    body = send(ask, [{"id": "3", **start, "redcap_data_access_group": "site_a"}])[1]
    assert json.loads(body)["error"] == "Illegal use of 'redcap_data_access_group' field!"
    send(ask, [{"id": "7-1", **start, "age": "5"}])
    assert ask.project.project.records.get("7-1").group == "site_a"
    assert send(ask, [{"id": "2", **start, "age": "5"}])[0] == 403


def test_locked_forms_and_records_refuse(asker):
    ask = asker(classic({"id": "1"}, {"id": "2"}))
    ask.project.lock_record("1", instrument="basics")
    ask.project.lock_record("2")
    body = send(ask, [{"id": "1", "age": "5"}, {"id": "2", "age": "5"}, {"id": "1", "note": "free"}])[1]
    assert [(line[0], line[3]) for line in problems(body)] == [("1", LOCKED_FORM), ("2", LOCKED_RECORD)]
    assert send(ask, [{"id": "1", "note": "free"}])[0] == 200
    ask.project.unlock_record("1")
    assert send(ask, [{"id": "1", "age": "5"}])[0] == 200


def test_a_lock_in_an_event_names_the_event(asker):
    ask = asker(repeating())
    ask.project.lock_record("1", instrument="visit", event="start_arm_1", instance=2)
    rows = [
        {"id": "1", "redcap_event_name": "start_arm_1", "redcap_repeat_instrument": "visit",
         "redcap_repeat_instance": instance, "note": "x"}
        for instance in ("1", "2")
    ]  # fmt: skip
    assert problems(send(ask, rows)[1]) == [["1 (start_arm_1)", "note", "x", LOCKED_FORM]]
    assert json.loads(send(ask, rows, backgroundProcess="true")[1]) == {"success": True}
    assert ask.project.value("1", "note", instance=1) == ""


def test_the_secondary_unique_field_is_unique(asker):
    ask = asker(classic({"id": "1", "name": "Ada"}))
    ask.project.project.settings["secondary_unique_field"] = "name"
    assert problems(send(ask, [{"id": "2", "name": "Ada"}])[1])[0][:3] == ["2", "name", "Ada"]
    assert send(ask, [{"id": "1", "name": "Ada"}])[0] == 200


def test_missing_codes_are_taken_in_any_field(asker):
    ask = asker(classic())
    ask.project.project.set_missing_codes("UNK, Unknown")
    send(ask, [{"id": "1", "age": "UNK", "sex": "UNK", "born": "UNK", "race___unk": "1"}])
    row = stored(ask, fields="id,age,sex,born,race")["1"]
    assert [row[name] for name in ("age", "sex", "born", "race___unk")] == ["UNK", "UNK", "UNK", "1"]


def test_the_background_saves_what_it_can(asker):
    ask = asker(classic())
    body = send(ask, [{"id": "1", "age": "x"}, {"id": "2", "age": "5"}], backgroundProcess="true")[1]
    assert json.loads(body) == {"success": True} and list(stored(ask, fields="id")) == ["2"]
    assert ask.json(content="log", logtype="record")[0]["username"] == "SYSTEM (api_user)"


def test_imports_are_logged_by_what_changed():
    with Simulator(clock=lambda: datetime(2024, 7, 1, tzinfo=UTC)) as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic({"id": "1", "age": "5"}), name="s"))
        send(ask, [{"id": "1", "age": "6", "sex": "1"}, {"id": "2", "kg": "2.0"}])
        send(ask, [{"id": "1", "age": "6", "sex": "1"}])
        rows = [(row["action"], row["details"]) for row in ask.json(content="log", logtype="record")[:3]]
    assert rows == [
        ("Update record (Auto calculation) 2", "twice = '4'"),
        ("Create record (API) 2", "id = '2', kg = '2.0', basics_complete = '0'"),
        ("Update record (API) 1", "age = '6', sex = '1', basics_complete = '0'"),
    ]


@pytest.mark.parametrize(
    ("behaviour", "row", "message"),
    [
        (Behaviour(import_calculated="refuse"), {"twice": "4"}, "is calculated"),
        (Behaviour(import_checks_form_rights=True), {"note": "x"}, "edit rights"),
        (Behaviour(import_checks_limits=True), {"age": "121"}, "outside the range"),
        (Behaviour(import_checks_limits=True), {"born": "1899-12-31"}, "outside the range"),
        (Behaviour(import_checks_limits=True), {"note": "x"}, "read-only"),
    ],
)
def test_what_the_api_passes_over_can_be_minded(asker, simulator, behaviour, row, message):
    ask = asker(classic({"id": "1"}))
    ask.project.change_field("age", text_validation_min="0", text_validation_max="120")
    ask.project.change_field("born", text_validation_min="1900-01-01", text_validation_max="today")
    ask.project.change_field("note", field_annotation="@READONLY")
    ask.project.set_rights()
    user = ask.project.project.users["api_user"]
    ask.project.project.users["api_user"] = replace(user, forms={"basics": 1, "visit": 2})
    assert send(ask, [{"id": "1", **row}])[:2] == (200, '{"count":1}')
    simulator.behaviour = behaviour
    [line] = problems(send(ask, [{"id": "1", **row}])[1])
    assert message in line[3]
    assert send(ask, [{"id": "1", "age": "120", "born": "1900-01-01"}])[0] == 200


def test_deleting_needs_every_record_to_be_there(asker):
    ask = asker(classic({"id": "1"}, {"id": "2"}))
    assert ask.refused(content="record", action="delete", **{"records[0]": "1", "records[1]": "7"}) == (
        400,
        "One or more of the records provided cannot be deleted because they do not exist in the project. "
        "The following records do not exist: 7",
    )
    assert ask(content="record", action="delete", records="1", format="json") == "1"
    assert ask.project.records() == ["2"]


def test_parts_of_a_record_can_be_deleted(asker):
    ask = asker(repeating())
    one = {"content": "record", "action": "delete", "records": "1", "event": "start_arm_1"}
    assert ask(**one, instrument="visit", repeat_instance="1") == "1"
    assert [row["redcap_repeat_instance"] for row in ask.csv(content="record", fields="id,seen", records="1")] == [
        "",
        "2",
        "1",
    ]
    ask(**{**one, "event": "later_arm_1"})
    assert len(ask.csv(content="record", fields="id,seen", records="1")) == 2
    assert ask.json(content="log", logtype="record_delete") == []


def test_renaming(asker):
    ask = asker(classic({"id": "1", "age": "5"}, {"id": "2"}))
    assert ask(content="record", action="rename", record="1", new_record_name="A 1") == "1"
    assert ask.project.records() == ["2", "A 1"]
    assert ask.refused(content="record", action="rename", record="2", new_record_name="A 1")[0] == 400
    assert ask.refused(content="record", action="rename", record="1", new_record_name="3")[0] == 400


def test_randomizing_takes_the_next_allocation(asker):
    ask = asker(classic({"id": "1"}, {"id": "2"}))
    ask.project.add_randomization(5, "sex", ("2", "1"))
    answer = ask.json(content="record", action="randomize", record="1", randomization_id="5")
    assert (answer["target_field"], ask.project.value("1", "sex")) == ("2", "2")
    assert ask.refused(content="record", action="randomize", record="1", randomization_id="5")[0] == 400


@pytest.mark.parametrize(
    ("right", "asked", "sentence"),
    [
        ("api_import", {"data": "[]"}, "You do not have API Import/Update privileges"),
        ("record_delete", {"action": "delete", "records": "1"}, "You do not have Delete Record privileges"),
    ],
)
def test_changing_needs_a_right(asker, right, asked, sentence):
    ask = asker(classic({"id": "1"}))
    ask.project.set_rights(**{right: 0})
    assert ask.refused(content="record", **asked) == (403, sentence)


@pytest.mark.parametrize("kind", ["classic", "longitudinal", "repeating"])
def test_export_then_import_into_an_empty_twin_is_the_identity(simulator, kind):
    source = Asker(simulator.url, simulator.add_project(make_study(kind, records=15), name="source"))
    twin = Asker(simulator.url, simulator.add_project(make_study(kind, records=0), name="twin"))
    asked = {"content": "record", "exportDataAccessGroups": "true"}
    exported = source(format="csv", **asked)
    status, body, _ = twin.raw(content="record", format="csv", returnFormat="json", data=exported)
    assert (status, body) == (200, '{"count":15}')
    files = ("consent_file", "consent_signature")
    left, right = source.csv(**asked), twin.csv(**asked)
    for row in (*left, *right):
        for name in files:
            row.pop(name, None)
        for name in [name for name in row if name.endswith("_complete") and kind == "classic"]:
            row[name] = row[name] or "0"
    assert left == right
