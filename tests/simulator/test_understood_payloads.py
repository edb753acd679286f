"""Payloads that cannot be understood are refused, and rows that are stored are counted; found by random requests."""

import json
from xml.etree import ElementTree

import pytest

from redcap_source.simulator.state.names import natural_key, unique_group_name
from redcap_source.simulator.wire.import_data import BAD_FORMAT, BAD_JSON
from tests.simulator.grids import classic, repeating

DIGITS = "9" * 5000


@pytest.mark.parametrize("content", ["arm", "event", "dag", "user", "repeatingFormsEvents", "record"])
@pytest.mark.parametrize("data", ["[1]", '["a"]', f'[{{"a": {DIGITS}}}]', '[{"a": "\\ud800"}]'])
def test_json_that_is_no_list_of_objects_of_text_is_refused(asker, content, data):
    assert asker(repeating()).refused(content=content, action="import", data=data) == (400, BAD_JSON)


@pytest.mark.parametrize("content", ["arm", "event", "dag", "user", "userRole", "repeatingFormsEvents", "record"])
def test_csv_without_headers_is_refused(asker, content):
    status, body, _ = asker(repeating()).raw(content=content, action="import", format="csv", data="\n\n")
    assert (status, body) == (400, f"ERROR: {BAD_FORMAT}")


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ("arm", "arm_num,name\n2,New\n"),
        ("repeatingFormsEvents", "event_name,form_name\nstart_arm_1,visit\n"),
        ("userRole", "role_label,design\nHelper,1\n"),
        ("userDagMapping", "username\napi_user\n"),
        ("userRoleMapping", "username\napi_user\n"),
        ("dag", "data_access_group_name,unique_group_name\nNew,\n"),
    ],
)
def test_rows_without_a_key_that_is_known_change_nothing(asker, content, data):
    # With commas where the request names a tab there is one column, and it is unknown.
    ask = asker(repeating())
    before = ask(content=content, format="csv")
    assert ask.raw(content=content, action="import", format="csv", csvDelimiter="tab", data=data)[0] == 400
    assert ask(content=content, format="csv") == before


@pytest.mark.parametrize(
    ("content", "parameter"),
    [("record", "records"), ("arm", "arms"), ("event", "events"), ("user", "users"), ("userRole", "roles"),
     ("dag", "dags")],
)  # fmt: skip
def test_a_deletion_that_names_nothing_is_refused(asker, content, parameter):
    sentence = f'The parameter "{parameter}" is missing'
    assert asker(repeating()).refused(content=content, action="delete") == (400, sentence)


def test_a_group_that_is_named_twice_is_deleted_once(asker):
    ask = asker(repeating())
    assert ask(content="dag", action="delete", **{"dags[0]": "site_a", "dags[1]": "site_a"}) == "1"


def test_eav_rows_without_a_record_are_refused(asker):
    status, sentence = asker(classic()).refused(content="record", type="eav", data='[{"id": "1", "name": "Ada"}]')
    assert status == 400 and "record identifier field 'record'" in sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"field_name": "1st"}, "'1st' is not a field name"),
        ({"field_name": "a b"}, "'a b' is not a field name"),
        ({"field_name": "redcap_event_name"}, "REDCap uses itself"),
        ({"field_name": "basics_complete"}, "REDCap uses itself"),
        ({"form_name": ""}, "no instrument"),
        ({"form_name": '"'}, "is not an instrument"),
        ({"field_type": "radio", "select_choices_or_calculations": ""}, "no choices"),
        ({"field_type": "checkbox", "select_choices_or_calculations": "1, A | 1, B"}, "the code '1' is used twice"),
    ],
)
def test_the_api_refuses_the_dictionaries_that_loading_refuses(asker, change, words):
    ask = asker(classic())
    rows = ask.json(content="metadata")
    rows[1] |= change
    status, sentence = ask.refused(content="metadata", data=json.dumps(rows))
    assert status == 400 and words in sentence and sentence.startswith("row 3, column '")


def test_an_instrument_of_the_api_does_not_begin_with_a_digit(asker):
    ask = asker(classic())
    rows = ask.json(content="metadata")
    rows[1]["form_name"] = "1st"
    status, sentence = ask.refused(content="metadata", data=json.dumps(rows))
    assert (status, sentence) == (400, "The following cells have a form name that begins with a digit: B3.")


def test_randomization_in_an_event_that_is_gone_is_refused(asker):
    ask = asker(repeating())
    ask.project.add_randomization(1, "sex", ["1", "2"], event="later_arm_1")
    assert ask(content="event", action="delete", events="later_arm_1") == "1"
    assert ask.refused(content="record", action="randomize", record="2", randomization_id="1")[0] == 400


def test_characters_that_no_xml_can_hold_are_left_out_of_xml(asker):
    ask = asker(classic({"id": "1", "name": "A\x01d\ufffea"}))
    assert ElementTree.fromstring(ask(content="record", format="xml")).findtext("item/name") == "Ada"
    _, body, _ = ask.raw(content="record", fields="\x00odd", format="xml")
    assert "'odd'" in (ElementTree.fromstring(body).findtext("error") or "")
    assert "Ada" in ask(content="project_xml")


@pytest.mark.parametrize(
    "parameters",
    [
        {"content": "fileRepository", "action": "export", "doc_id": DIGITS},
        {"content": "fileRepository", "action": "list", "folder_id": DIGITS},
        {"content": "report", "report_id": DIGITS},
        {"content": "arm", "action": "delete", "arms": DIGITS},
        {"content": "record", "action": "randomize", "record": "1", "randomization_id": DIGITS},
    ],
)
def test_numbers_of_any_length_are_refused_as_unknown_ones(asker, parameters):
    assert asker(repeating()).refused(**parameters)[0] == 400


def test_ids_of_any_length_have_their_place():
    assert sorted([DIGITS, "b", "10", "2"], key=natural_key) == ["2", "10", DIGITS, "b"]


def test_equal_labels_get_names_of_their_own_beyond_the_alphabet():
    names: list[str] = []
    for _ in range(30):
        names.append(unique_group_name("Site", names))
    assert len(set(names)) == 30 and names[:2] == ["site", "siteb"]
