"""What a record export looks like, byte for byte where it matters."""

import pytest

from redcap_source.simulator import Behaviour
from tests.simulator.grids import classic, repeating

ADA = {"id": "1", "name": "Ada", "age": "41", "born": "1983-02-01", "sex": "1", "race___1": "1", "basics_complete": "2"}
BRAM = {"id": "2", "name": 'Bram "B", two\nlines', "kg": "80.5", "basics_complete": "0", "note": "été/β"}
HEAD = "id,name,age,born,sex,race___1,race____4,race___aa,kg,twice,scan,basics_complete,seen,note,visit_complete\n"


def test_flat_csv_quotes_only_what_needs_it(asker):
    ask = asker(classic(ADA, BRAM))
    assert ask(content="record", format="csv") == (
        HEAD + "1,Ada,41,1983-02-01,1,1,0,0,,,,2,,,0\n" + '2,"Bram ""B"", two\nlines",,,,0,0,0,80.5,,,0,,été/β,0\n'
    )


def test_flat_json_is_compact_with_escaped_slashes_and_letters(asker):
    ask = asker(classic(BRAM))
    body = ask(content="record", format="json", fields="id,note")
    assert body == '[{"id":"2","note":"\\u00e9t\\u00e9\\/\\u03b2"}]'


def test_flat_xml_wraps_values_in_cdata(asker):
    ask = asker(classic(ADA))
    assert ask(content="record", fields="id,name,age,kg") == (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<records>\n<item><id><![CDATA[1]]></id><name><![CDATA[Ada]]></name>'
        "<age><![CDATA[41]]></age><kg></kg></item>\n</records>"
    )


@pytest.mark.parametrize(
    ("style", "cells"),
    [
        ({}, ["1", "1", "0", "0", "2"]),
        ({"rawOrLabel": "label"}, ["Female", "Checked", "Unchecked", "Unchecked", "Complete"]),
        ({"rawOrLabel": "label", "exportCheckboxLabel": "true"}, ["Female", "One", "", "", "Complete"]),
        ({"exportBlankForGrayFormStatus": "true"}, ["1", "1", "0", "0", "2"]),
        ({"combineCheckboxOptions": "true"}, ["1", "1", "2"]),
    ],
)
def test_values_come_as_codes_or_labels(asker, style, cells):
    ask = asker(classic(ADA))
    [row] = ask.json(
        content="record", **{"fields[0]": "sex", "fields[1]": "race", "fields[2]": "basics_complete"}, **style
    )
    assert list(row.values()) == cells


def test_label_headers_repeat_the_status_and_name_the_choice(asker):
    ask = asker(classic(ADA))
    head = ask(content="record", format="csv", rawOrLabelHeaders="label", fields="id,race,basics_complete").split("\n")[
        0
    ]
    assert head == ('"Study ID","Race (choice=One)","Race (choice=Minus four)","Race (choice=Letters)",Complete?')


def test_gray_status_is_blank_only_on_request(asker):
    ask = asker(classic(ADA))
    plain, [gray] = ask.json(content="record")[0], ask.json(content="record", exportBlankForGrayFormStatus="true")
    assert (plain["visit_complete"], gray["visit_complete"], gray["basics_complete"]) == ("0", "", "2")


def test_rows_of_repeats_come_after_the_base_row_and_blank_what_does_not_apply(asker):
    ask = asker(repeating())
    rows = ask.csv(content="record", exportDataAccessGroups="true")
    keys = ["redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group"]
    assert [[row["id"], *(row[key] for key in keys)] for row in rows] == [
        ["1", "start_arm_1", "", "", "site_a"],
        ["1", "start_arm_1", "visit", "1", "site_a"],
        ["1", "start_arm_1", "visit", "2", "site_a"],
        ["1", "later_arm_1", "", "1", "site_a"],
        ["2", "start_arm_1", "", "", ""],
    ]
    assert [row["race___1"] for row in rows] == ["0", "", "", "", "0"]
    assert [row["visit_complete"] for row in rows] == ["", "0", "2", "0", ""]


def test_the_instance_is_the_one_number_in_json(asker):
    ask = asker(repeating())
    rows = ask.json(content="record", fields="id,seen")
    assert [row["redcap_repeat_instance"] for row in rows] == ["", 1, 2, 1, ""]


def test_asking_for_the_id_alone_gives_base_rows_and_repeating_events(asker):
    ask = asker(repeating())
    rows = ask.csv(content="record", fields="id")
    assert [(row["id"], row["redcap_event_name"]) for row in rows] == [
        ("1", "start_arm_1"),
        ("1", "later_arm_1"),
        ("2", "start_arm_1"),
    ]


def test_without_the_record_id_no_key_columns_come(asker):
    ask = asker(repeating())
    assert list(ask.csv(content="record", fields="sex")[0]) == ["sex"]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"records": "2,99"}, ["2"]),
        ({"records[0]": "10", "records[1]": "1"}, ["1", "10"]),
        ({"filterLogic": "[age] > 40"}, ["1"]),
        ({"filterLogic": "[sex] = '' and [race(1)] = '0'"}, ["2", "10"]),
        ({"filterLogic": "contains([name], 'bram') or [id] = 10"}, ["2", "10"]),
        ({"dateRangeBegin": "2999-01-01 00:00:00"}, []),
    ],
)
def test_records_are_chosen_by_id_logic_or_date(asker, asked, ids):
    ask = asker(classic(ADA, BRAM, {"id": "10"}))
    assert [row["id"] for row in ask.csv(content="record", fields="id", **asked)] == ids


def test_no_match_is_an_empty_list_or_a_lone_newline(asker):
    ask = asker(classic(ADA))
    assert ask(content="record", format="csv", records="9") == "\n"
    assert ask(content="record", format="json", records="9") == "[]"


def test_eav_has_a_row_for_each_stored_value(asker):
    ask = asker(classic(ADA))
    assert ask(content="record", format="csv", type="eav").split("\n") == [
        "record,field_name,value", "1,id,1", "1,name,Ada", "1,age,41", "1,born,1983-02-01", "1,sex,1", "1,race,1",
        "1,basics_complete,2", "",
    ]  # fmt: skip


def test_eav_of_a_longitudinal_project_names_event_and_instance(asker):
    ask = asker(repeating())
    rows = ask.json(content="record", type="eav", fields="seen")
    assert rows == [
        {
            "record": "1", "redcap_event_name": "start_arm_1", "redcap_repeat_instrument": "visit",
            "redcap_repeat_instance": number, "field_name": "seen", "value": value,
        }
        for number, value in ((1, "1"), (2, "0"))
    ]  # fmt: skip


@pytest.mark.parametrize(("delimiter", "sign"), [("tab", "\t"), (";", ";"), ("|", "|"), ("^", "^"), ("", ",")])
def test_csv_takes_other_delimiters(asker, delimiter, sign):
    ask = asker(classic(ADA))
    assert ask(content="record", format="csv", fields="id,age", csvDelimiter=delimiter) == f"id{sign}age\n1{sign}41\n"


def test_the_decimal_character_turns_numbers_only(asker):
    ask = asker(classic(BRAM))
    assert ask.csv(content="record", fields="kg,name", decimalCharacter=",")[0]["kg"] == "80,5"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"fields": "x,y"}, "The following values in the parameter \"fields\" are not valid: 'x', 'y'"),
        ({"forms": "x"}, "The following values in the parameter \"forms\" are not valid: 'x'"),
        (
            {"fields": "redcap_event_name"},
            "The following values in the parameter \"fields\" are not valid: 'redcap_event_name'",
        ),
        ({"type": "long"}, 'The value of the parameter "type" is not valid'),
    ],
)
def test_unknown_names_are_refused(asker, asked, sentence):
    assert asker(classic(ADA)).refused(content="record", **asked) == (400, sentence)


def test_bad_logic_is_an_error_not_an_empty_answer(asker):
    status, text = asker(classic(ADA)).refused(content="record", filterLogic="[age] >")
    assert status == 400 and "filterLogic" in text


def test_an_old_server_ignores_unknown_names(asker, simulator):
    simulator.behaviour = Behaviour(unknown_names="ignore", file_value="document")
    ask = asker(classic(ADA))
    assert ask.csv(content="record", fields="id,x") == [{"id": "1"}]


@pytest.mark.parametrize(
    ("level", "columns"),
    [
        (1, ["id", "name", "age", "born", "note"]),
        (3, ["id", "age", "born", "note"]),
        (2, ["id", "age"]),
    ],
)
def test_export_rights_make_fields_vanish(asker, level, columns):
    ask = asker(classic(ADA))
    ask.project.set_rights(forms_export=level)
    assert list(ask.csv(content="record", fields="id,name,age,born,note")[0]) == columns


def test_without_any_export_right_the_export_is_refused(asker):
    ask = asker(classic(ADA))
    ask.project.set_rights(forms_export=0)
    assert ask.refused(content="record")[0] == 403


def test_a_user_in_a_group_sees_only_its_records_and_no_group_column(asker):
    ask = asker(repeating())
    ask.project.set_rights(dag="site_a")
    rows = ask.csv(content="record", exportDataAccessGroups="true")
    assert {row["id"] for row in rows} == {"1"} and "redcap_data_access_group" not in rows[0]


def test_survey_columns_come_on_request(asker):
    ask = asker("repeating", records=30)
    rows = ask.csv(content="record", exportSurveyFields="true")
    names = list(rows[0])
    assert names[4] == "redcap_survey_identifier"
    assert names[names.index("act_1") - 1] == "control_survey_timestamp"
    assert {row["control_survey_timestamp"] for row in rows} >= {"", "[not completed]"}
    assert "control_survey_timestamp" not in ask.csv(content="record")[0]
