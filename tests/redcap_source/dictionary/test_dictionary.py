import pytest

from redcap_source import dictionary
from redcap_source.dictionary import Choice, ValueKind, expected_columns, parse_choices, passes_validation, value_kind
from redcap_source.model import ExportFieldName, Field


def field(name="f", form="form_1", kind="text", validation="", **rest):
    return Field(name, form, kind, text_validation_type_or_show_slider_number=validation, **rest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1, Yes | 0, No", [("1", "Yes"), ("0", "No")]),
        ("1,Yes|0,No", [("1", "Yes"), ("0", "No")]),
        ("4, has, ,comma", [("4", "has, ,comma")]),
        ("01, a | -4, b | 4.4, c | Five.5, d", [("01", "a"), ("-4", "b"), ("4.4", "c"), ("Five.5", "d")]),
        ("A | B", [("A", "A"), ("B", "B")]),
        ("1, Yes\n0, No", [("1", "Yes"), ("0", "No")]),
        ("1, two\nlines | 2, b", [("1", "two\nlines"), ("2", "b")]),
        ("1, <b>x</b> | | 2, ", [("1", "<b>x</b>"), ("2", "")]),
        ("1, Left | right | 2, Up", [("1", "Left | right"), ("2", "Up")]),
        ("1, Red | 2, Blue |or| teal", [("1", "Red"), ("2", "Blue |or| teal")]),
        ("1, Blue || teal | 2, Red ||", [("1", "Blue || teal"), ("2", "Red")]),
        ("A | B | 3, C | D", [("A", "A"), ("B", "B"), ("3", "C | D")]),
        ("1, Left\nor right\n2, Up", [("1", "Left\nor right"), ("2", "Up")]),
        ("", []),
    ],
)
def test_choices(text, expected):
    assert parse_choices(text) == tuple(Choice(*pair) for pair in expected)


def test_implied_choices():
    assert [choice.label for choice in dictionary.choices(field(kind="yesno"))] == ["Yes", "No"]
    assert [choice.label for choice in dictionary.choices(field(kind="truefalse"))] == ["True", "False"]
    assert dictionary.choices(field(kind="sql", select_choices_or_calculations="select a, b")) == ()
    assert dictionary.choices(field(kind="calc", select_choices_or_calculations="[a], [b]")) == ()


@pytest.mark.parametrize(
    ("kind", "validation", "annotation", "expected"),
    [
        ("text", "", "", ValueKind.TEXT),
        ("text", "integer", "", ValueKind.INTEGER),
        ("text", "number_2dp", "", ValueKind.NUMBER),
        ("text", "number_2dp_comma_decimal", "", ValueKind.NUMBER_COMMA),
        ("text", "date_mdy", "", ValueKind.DATE),
        ("text", "datetime_dmy", "", ValueKind.DATETIME),
        ("text", "datetime_seconds_ymd", "", ValueKind.DATETIME_SECONDS),
        ("text", "time", "", ValueKind.TIME),
        ("text", "time_mm_ss", "", ValueKind.MINUTES_SECONDS),
        ("text", "zipcode", "", ValueKind.TEXT),
        ("text", "our_own_type", "", ValueKind.TEXT),
        ("text", "date_ymd", "@CALCDATE([a], 1, 'd')", ValueKind.DATE),
        ("notes", "", "", ValueKind.TEXT),
        ("calc", "", "", ValueKind.CALC),
        ("calc", "", "@CALCTEXT([a])", ValueKind.TEXT),
        ("slider", "number", "", ValueKind.SLIDER),
        ("file", "signature", "", ValueKind.FILE),
        ("dropdown", "autocomplete", "", ValueKind.CHOICE),
        ("sql", "", "", ValueKind.CHOICE),
        ("yesno", "", "", ValueKind.BOOLEAN_YESNO),
        ("descriptive", "", "", ValueKind.DESCRIPTIVE),
        ("from_the_future", "", "", ValueKind.TEXT),
    ],
)
def test_value_kind(kind, validation, annotation, expected):
    assert value_kind(field(kind=kind, validation=validation, field_annotation=annotation)) is expected


@pytest.mark.parametrize(
    ("validation", "good", "bad"),
    [
        ("integer", ["1", "-3", "+007"], ["1.0", "", "1e3"]),
        ("number", ["1", "-1.5", ".5", "5.", "1e-3"], ["1,5", ".", "x"]),
        ("number_1dp", ["22.0", ".5"], ["22", "22.00"]),
        ("number_comma_decimal", ["1,5", "1"], ["1.5"]),
        ("number_2dp_comma_decimal", ["1,50"], ["1,5", "1.50"]),
        ("date_dmy", ["2024-05-01"], ["01-05-2024", "2024-13-01"]),
        ("datetime_ymd", ["2024-05-01 10:15"], ["2024-05-01", "2024-05-01 10:15:00"]),
        ("datetime_seconds_mdy", ["2024-05-01 10:15:00"], ["2024-05-01 10:15"]),
        ("time", ["8:01", "23:59"], ["24:00", "8:01:01"]),
        ("email", ["a.b+c@example.edu"], ["a@b"]),
        ("zipcode", ["02139", "02139-1234"], ["2139"]),
        ("phone", ["(405) 321-1111", "405-321-1111", "4053211111"], ["555", "105-321-1111"]),
        ("our_own_type", ["anything"], []),
        ("", ["anything"], []),
    ],
)
def test_validation(validation, good, bad):
    tested = field(validation=validation)
    assert [value for value in good if not passes_validation(tested, value)] == []
    assert [value for value in bad if passes_validation(tested, value)] == []


@pytest.mark.parametrize(
    ("code", "column"),
    [("1", "f___1"), ("-4", "f____4"), ("k>=9", "f___k__9"), ("Five.5", "f___five_5"), ("0-zero", "f___0_zero")],
)
def test_checkbox_columns(code, column):
    assert dictionary.checkbox_column("f", code) == column


def test_action_tags():
    assert dictionary.action_tags(field(field_annotation="@HIDDEN a@b.c @DEFAULT='x' @none-of")) == {
        "@HIDDEN",
        "@DEFAULT",
        "@NONE-OF",
    }


def test_identifiers_and_calculated_fields():
    assert dictionary.is_identifier(field(identifier="y"))
    assert not dictionary.is_identifier(field())
    assert dictionary.is_calculated(field(kind="calc"))
    assert dictionary.is_calculated(field(field_annotation="@CALCTEXT(1)"))
    assert not dictionary.is_calculated(field(field_annotation="@CALCULATED"))


STUDY = [
    field("record_id", "enrol"),
    field("age", "enrol"),
    field("about", "enrol", "descriptive"),
    field("race", "history", "checkbox", select_choices_or_calculations="1, a | -2, b"),
    field("scan", "history", "file"),
]
ALL = ["age", "enrol_complete", "race___1", "race____2", "scan", "history_complete"]


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        ({}, ["record_id", *ALL]),
        ({"longitudinal": True}, ["record_id", "redcap_event_name", *ALL]),
        (
            {"longitudinal": True, "repeating": True, "data_access_groups": True},
            [
                "record_id",
                "redcap_event_name",
                "redcap_repeat_instrument",
                "redcap_repeat_instance",
                "redcap_data_access_group",
                *ALL,
            ],
        ),
        (
            {"survey_fields": True, "survey_forms": ["history"]},
            [
                "record_id",
                "redcap_survey_identifier",
                "age",
                "enrol_complete",
                "history_timestamp",
                *ALL[2:],
            ],
        ),
        # Without the record id there are no key columns at all.
        ({"forms": ["history"], "longitudinal": True, "repeating": True}, ALL[2:]),
        ({"fields": ["record_id", "race"]}, ["record_id", "race___1", "race____2"]),
        ({"fields": ["record_id"], "forms": ["history"]}, ["record_id", *ALL[2:]]),
        ({"fields": ["scan", "record_id", "enrol_complete"]}, ["record_id", "enrol_complete", "scan"]),
    ],
)
def test_expected_columns(asked, columns):
    assert expected_columns(STUDY, **asked) == columns


def test_the_servers_own_export_names_decide_about_checkboxes():
    names = [ExportFieldName("race", "race___1", "1"), ExportFieldName("race", "race___unk", "UNK")]
    assert expected_columns(STUDY, names, fields=["race"]) == ["race___1", "race___unk"]


def test_missing_data_codes_add_checkbox_columns_where_the_server_gave_no_names():
    codes = dictionary.missing_data_codes("UNK, Unknown")
    assert expected_columns(STUDY, fields=["race"], missing_codes=codes) == ["race___1", "race____2", "race___unk"]
