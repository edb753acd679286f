# ruff: noqa: E501 - a table
"""What may be written where: every validation type, every kind of field, every place."""

from dataclasses import replace
from datetime import date

import pytest

from pipelines.warehouse.tables.writeback import Cell, Proposal
from pipelines.writeback.decide.reasons import Reason
from pipelines.writeback.decide.rulebook import Allowed
from tests.support.structures import field, structure
from tests.support.writable_study import VALIDATED, book, classic, longitudinal


def proposal(field, new="1", record="1", event="", instrument="", instance=""):
    return Proposal(1, "b", Cell(record, event, instrument, instance, field), "", new)


def why(name, new="1", rules=None, **place):
    return (rules or classic()).why_invalid(proposal(name, new, **place))


# Validation type: values REDCap takes, values it does not (REDCAP API, Validation types).
ACCEPTS = {
    **{
        f"date_{order}": (("2024-01-05", "2024-1-5", "2024-02-29"), ("05/01/2024", "2024-13-01", "x", "2024-01-05 10:00"))
        for order in ("ymd", "mdy", "dmy")
    },
    **{
        f"datetime_{order}": (("2024-01-05 09:30", "2024-1-5 9:30"), ("2024-01-05", "2024-01-05 24:00", "2024-01-05 09:30:00"))
        for order in ("ymd", "mdy", "dmy")
    },
    **{
        f"datetime_seconds_{order}": (("2024-01-05 09:30:59",), ("2024-01-05 09:30", "2024-01-05 09:30:60"))
        for order in ("ymd", "mdy", "dmy")
    },
    "time": (("09:30", "9:30", "23:59"), ("24:00", "09:60", "09:30:00", "noon")),
    "time_hh_mm_ss": (("09:30:15", "9:30:15"), ("09:30", "09:30:61")),
    "time_mm_ss": (("59:59", "09:30"), ("60:00", "9", "09:60")),
    "integer": (("7", "-7", "+7", "007"), ("7.0", "7,0", "x", "٧")),
    "number": (("7", "-7.5", ".5", "7.", "1e5", "+1.5E-3"), ("7,5", "1.2.3", "x", "")[:3]),
    "number_1dp": (("22.0", "-1.5", ".5"), ("22", "22.00", "22,0")),
    "number_2dp": (("22.00",), ("22", "22.0", "22.000")),
    "number_3dp": (("22.000",), ("22.00",)),
    "number_4dp": (("22.0000",), ("22.000",)),
    "number_comma_decimal": (("7", "-7,5", ",5"), ("7.5", "x")),
    "number_1dp_comma_decimal": (("22,0",), ("22", "22.0")),
    "number_2dp_comma_decimal": (("22,00",), ("22,0", "22.00")),
    "number_3dp_comma_decimal": (("22,000",), ("22,00",)),
    "number_4dp_comma_decimal": (("22,0000",), ("22,000",)),
    "email": (("a.b@example.org", "A+B@EXAMPLE.co"), ("a@b", "a b@example.org", "example.org")),
    "phone": (("(405) 321-1111", "405-321-1111", "4053211111"), ("123", "105-321-1111")),
    "zipcode": (("37203", "37203-1234"), ("3720", "37203-12")),
    "ssn": (("123-45-6789",), ("123456789", "123-456-789")),
    "mrn_10d": (("0123456789",), ("123456789", "01234567890", "x123456789")),
    "mrn_generic": (("AB-123",), ()),
    "vmrn": (("1234", "123456789"), ("123", "1234567890")),
    "alpha_only": (("abc", "ABC"), ("ab1", "a b")),
    "postalcode_canada": (("K1A 0B1", "k1a0b1"), ("K1A-0B1", "D1A 0B1")),
    "postalcode_australia": (("2000",), ("200", "20000")),
    "postalcode_french": (("75001",), ("7500",)),
    "postalcode_germany": (("10115",), ("1011",)),
}  # fmt: skip


def test_the_table_has_every_validation_type():
    assert ACCEPTS.keys() == set(VALIDATED)


@pytest.mark.parametrize(("validation", "value"), [(name, v) for name, (good, _) in ACCEPTS.items() for v in good])
def test_a_value_that_follows_its_validation_may_be_written(validation, value):
    assert why(f"v_{validation}", value) is None


@pytest.mark.parametrize(("validation", "value"), [(name, v) for name, (_, bad) in ACCEPTS.items() for v in bad])
def test_a_value_that_does_not_is_refused(validation, value):
    assert why(f"v_{validation}", value) is Reason.BAD_FORMAT


def test_every_validation_takes_a_missing_data_code_and_a_blank_that_erases():
    assert {why(f"v_{name}", new) for name in VALIDATED for new in ("-99", "UNK", "")} == {None}


@pytest.mark.parametrize("value", ["2023-02-29", "2024-04-31", "0000-01-01"])
def test_a_day_that_the_calendar_lacks_is_refused_although_it_has_the_form(value):
    assert why("v_date_mdy", value) is Reason.NO_SUCH_DATE


@pytest.mark.parametrize(
    ("field", "value", "refusal"),
    [
        ("plain", "anything, even this", None),
        ("plain", "nul\x00", Reason.BAD_TEXT),
        # A quote that took in the next row of a file; only a notes box has more than one line.
        ("plain", "Springfield\n9,town,Ogdenville", Reason.LINE_BREAK),
        ("plain", "Springfield\r", Reason.LINE_BREAK),
        ("v_mrn_generic", "AB\n123", Reason.LINE_BREAK),
        ("plain", "Springfield\x85Ogdenville", Reason.LINE_BREAK),
        ("plain", "Springfield\u2028Ogdenville", Reason.LINE_BREAK),
        ("notes", "two\u2028lines", None),
        ("sql", "1\n2", Reason.LINE_BREAK),
        ("notes", "two\nlines", None),
        ("notes", "two\r\nlines", None),
        ("notes", "<b>bold</b>", None),
        ("radio", "02", None),
        ("radio", "2", Reason.BAD_CHOICE),  # codes are text
        ("radio", "One", Reason.BAD_CHOICE),  # a label is no code
        ("radio", "UNK", None),
        ("strict", "UNK", Reason.BAD_CHOICE),  # @NOMISSING
        ("dropdown", "A", Reason.BAD_CHOICE),
        ("sql", "whatever", None),  # only the server knows what the query yields
        ("yesno", "1", None),
        ("yesno", "2", Reason.BAD_CHOICE),
        ("truefalse", "0", None),
        ("truefalse", "true", Reason.BAD_CHOICE),
        ("checkbox___1", "1", None),
        ("checkbox____2", "0", None),
        ("checkbox___x_y", "1", None),
        ("checkbox___1", "2", Reason.BAD_CHOICE),
        ("checkbox___1", "UNK", Reason.BAD_CHOICE),
        ("checkbox", "1", Reason.CHECKBOX_WHOLE),
        ("checkbox___9", "1", Reason.UNKNOWN_FIELD),
        ("slider", "50", None),
        ("slider", "half", Reason.BAD_FORMAT),
        ("base_complete", "2", None),
        ("base_complete", "3", Reason.BAD_CHOICE),
        ("base_complete", "", Reason.STATUS_BLANK),
        ("calc", "2", Reason.CALCULATED),
        ("calctext", "2", Reason.CALCULATED),
        ("file", "a.pdf", Reason.FILE),
        ("signature", "a.png", Reason.FILE),
        ("descriptive", "x", Reason.DESCRIPTIVE),
        ("readonly", "x", Reason.READ_ONLY),
        ("record_id", "2", Reason.RECORD_ID),
        ("nowhere", "2", Reason.UNKNOWN_FIELD),
        ("redcap_data_access_group", "north", Reason.OWN_COLUMN),
        ("redcap_event_name", "x", Reason.OWN_COLUMN),
        ("base_timestamp", "2024-01-01 00:00:00", Reason.OWN_COLUMN),
    ],
)
def test_each_kind_of_field_takes_what_redcap_takes(field, value, refusal):
    assert why(field, value) is refusal


def test_only_what_projects_yaml_names_may_be_written():
    assert why("forbidden", "x") is Reason.NOT_ALLOWED
    one = classic(allowed=Allowed(fields=frozenset({"plain", "checkbox", "ae_tick___1"})))
    assert [why(name, "1", one) for name in ("plain", "checkbox___1", "ae_tick___1")] == [None] * 3
    assert {why(name, "1", one) for name in ("notes", "base_complete")} == {Reason.NOT_ALLOWED}
    assert why("plain", "x", classic(allowed=Allowed())) is Reason.NOT_ALLOWED


def test_what_the_warehouse_does_not_hold_is_not_written_from_it():
    assert why("plain", "x", classic(loaded=("visit",))) is Reason.NOT_LOADED
    assert why("ident", "x", classic(identifiers=False)) is Reason.IDENTIFIER
    assert why("ident", "x") is None


def test_that_an_identifier_is_not_kept_comes_before_all_else_that_speaks_against_it():
    fields = [
        field("record_id", "base"),
        field("tagged", "base", annotation="@READONLY", identifier="y"),
        field("calc", "base", "calc", choices="1 + 1", identifier="y"),
        field("file", "base", "file", identifier="y"),
        field("left_out", "elsewhere", identifier="y"),
        field("ticks", "base", "checkbox", choices="1, One", identifier="y"),
        field("plain", "base"),
    ]
    rules = book(structure(fields), identifiers=False, loaded=("base",))
    told = {name: why(name, "x", rules) for name in ("tagged", "calc", "file", "left_out", "ticks___1")}
    assert set(told.values()) == {Reason.IDENTIFIER}
    # Refused for another reason, and no less withheld.
    assert why("ticks", "1", rules) is Reason.CHECKBOX_WHOLE
    withheld = [*told, "ticks", "no_such_field", "redcap_survey_identifier"]
    kept = ["plain", "record_id", "base_complete", "redcap_event_name", "base_timestamp"]
    assert [name for name in (*withheld, *kept) if rules.withholds(name)] == withheld
    assert not any(book(structure(fields)).withholds(name) for name in (*withheld, *kept))


@pytest.mark.parametrize(
    ("field", "event", "instance", "refusal"),
    [
        ("plain", "start_arm_1", "", None),
        ("plain", "later_arm_1", "", None),
        ("plain", "", "", Reason.NO_EVENT),
        ("plain", "end_arm_1", "", Reason.UNKNOWN_EVENT),
        ("plain", "round_arm_1", "", Reason.NOT_DESIGNATED),
        ("plain", "start_arm_1", "1", Reason.NOT_REPEATING),
        ("ae_term", "start_arm_1", "1", None),
        ("ae_term", "start_arm_1", "12", None),
        ("ae_term", "start_arm_1", "new", None),
        ("ae_term", "start_arm_1", "new-2", None),
        ("ae_term", "start_arm_1", "", Reason.NO_INSTANCE),
        ("ae_term", "start_arm_1", "0", Reason.BAD_INSTANCE),
        ("ae_term", "start_arm_1", "01", Reason.BAD_INSTANCE),
        ("ae_term", "start_arm_1", "next", Reason.BAD_INSTANCE),
        ("ae_complete", "start_arm_1", "2", None),
        ("visit_note", "round_arm_1", "3", None),
        ("visit_note", "round_arm_1", "new", None),
        ("visit_note", "round_arm_1", "", Reason.NO_INSTANCE),
        ("visit_note", "start_arm_1", "", None),
        ("visit_note", "start_arm_1", "1", Reason.NOT_REPEATING),
    ],
)
def test_a_cell_is_where_its_instrument_lives(field, event, instance, refusal):
    value = "2" if field.endswith("_complete") else "x"
    assert why(field, value, longitudinal(), event=event, instance=instance) is refusal


def test_a_classic_project_has_no_events_and_no_instances():
    assert why("plain", "x", event="start_arm_1") is Reason.CLASSIC_EVENT
    assert why("plain", "x", instance="1") is Reason.NOT_REPEATING
    assert why("plain", "x", record=" ") is Reason.NO_RECORD


def test_an_instrument_that_is_named_has_to_be_the_fields_own():
    assert why("plain", "x", instrument="base") is None
    assert why("plain", "x", instrument="visit") is Reason.OTHER_INSTRUMENT


def test_where_the_repeating_setup_may_not_be_read_instances_are_left_alone():
    book = replace(longitudinal(), repeating_unknown=True)
    assert why("ae_term", "x", book, event="start_arm_1", instance="1") is Reason.REPEATING_UNKNOWN
    assert why("plain", "x", book, event="start_arm_1") is None


TODAY = date(2024, 6, 1)


@pytest.mark.parametrize(
    ("validation", "low", "high", "value", "warning"),
    [
        ("integer", "0", "10", "5", None),
        ("integer", "0", "10", "-1", Reason.BELOW),
        ("integer", "0", "10", "11", Reason.ABOVE),
        ("number_1dp_comma_decimal", "1,0", "2,0", "2,5", Reason.ABOVE),
        ("number", "", "", "1e9", None),
        ("number", "0", "10", "UNK", None),
        ("number", "0", "10", "", None),
        ("number", "[other]", "", "-5", None),
        ("date_dmy", "2024-01-01", "today", "2024-6-1", None),
        ("date_dmy", "2024-01-01", "today", "2024-06-02", Reason.ABOVE),
        ("date_dmy", "2024-01-01", "today", "2023-12-31", Reason.BELOW),
        ("datetime_ymd", "", "now", "2024-06-02 08:00", Reason.ABOVE),
        ("time", "8:00", "17:00", "7:59", Reason.BELOW),
        ("time", "8:00", "17:00", "17:01", Reason.ABOVE),
        ("", "0", "10", "99", None),
    ],
)
def test_a_value_out_of_range_is_warned_of_and_not_refused(validation, low, high, value, warning):
    book = classic()
    rule = book.rules["plain"]
    changed = replace(
        rule.field,
        text_validation_type_or_show_slider_number=validation,
        text_validation_min=low,
        text_validation_max=high,
    )
    from redcap_source import dictionary

    ranged = replace(rule, field=changed, kind=dictionary.value_kind(changed))
    assert book.warning(ranged, value, TODAY) is warning
