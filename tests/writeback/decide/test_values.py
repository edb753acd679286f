"""How values are spelled, and which spellings are the same value."""

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from pipelines.writeback.decide.values import canonical, is_missing, looks_alike, spelled, stored_as_sent
from redcap_source import dictionary
from redcap_source.dictionary import ValueKind
from tests.support.structures import field


def kind_of(validation, kind="text"):
    return dictionary.value_kind(field("x", "base", kind, validation=validation))


@pytest.mark.parametrize(
    ("validation", "written", "kept"),
    [
        ("date_ymd", "2024-1-5", "2024-01-05"),
        ("date_mdy", "2024-01-05", "2024-01-05"),
        ("datetime_dmy", "2024-1-5 9:30", "2024-01-05 09:30"),
        ("datetime_seconds_ymd", "2024-1-5 9:30:01", "2024-01-05 09:30:01"),
        ("time", "9:30", "09:30"),
        ("time_hh_mm_ss", "9:30:15", "09:30:15"),
        ("time_mm_ss", "9:30", "09:30"),
        ("vmrn", "1234", "000001234"),
        ("number_1dp", "22", "22"),  # numbers are never reformatted
        ("integer", "+7", "+7"),
        ("", "one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("", " blanks ", " blanks "),
        ("date_ymd", "soon", "soon"),
        ("time", "", ""),
    ],
)
def test_what_redcap_makes_of_a_spelling(validation, written, kept):
    assert canonical(kind_of(validation), validation, written) == kept


def test_an_option_that_is_not_ticked_is_0_or_blank():
    kind = dictionary.ValueKind.CHECKBOX
    assert canonical(kind, "", "") == canonical(kind, "", "0") != canonical(kind, "", "1")


def test_a_value_came_through_if_redcap_padded_or_trimmed_it():
    time_kind, text = kind_of("time"), kind_of("")
    assert stored_as_sent(time_kind, "time", "9:30", "09:30")
    assert stored_as_sent(text, "", " spare ", "spare")
    assert not stored_as_sent(text, "", "spare", " spare ")
    assert not stored_as_sent(text, "", "<b>", "")


def test_to_a_person_41_and_41_0_are_one_number_and_one_text_is_another():
    assert looks_alike(kind_of("number"), "number", "41", "41.0")
    assert looks_alike(kind_of("number_comma_decimal"), "number_comma_decimal", "1,50", "1.5")
    assert not looks_alike(kind_of(""), "", "41", "41.0")
    assert not looks_alike(kind_of("number"), "number", "NASK", "UNK")
    assert not looks_alike(kind_of("number"), "number", "", "0")


@pytest.mark.parametrize(
    ("validation", "value", "text"),
    [
        ("number", 41.0, "41"),
        ("number", 0.1, "0.1"),
        ("number", 1e22, "10000000000000000000000"),
        ("number", Decimal("2.50"), "2.5"),
        ("number_1dp", 41.0, "41.0"),
        ("number_2dp", 41.5, "41.50"),
        ("number_1dp", 41.55, "41.55"),  # not ours to round: validation says so
        ("number_2dp_comma_decimal", 3.5, "3,50"),
        ("number_comma_decimal", 3.5, "3,5"),
        ("integer", 7.0, "7"),
        ("integer", True, "1"),
        ("date_ymd", date(2024, 1, 5), "2024-01-05"),
        ("date_mdy", datetime(2024, 1, 5), "2024-01-05"),
        ("date_ymd", "2024-01-05 00:00:00", "2024-01-05"),
        ("datetime_ymd", datetime(2024, 1, 5, 9, 30), "2024-01-05 09:30"),
        ("datetime_ymd", datetime(2024, 1, 5, 9, 30, 7), "2024-01-05 09:30:07"),
        ("datetime_ymd", "2024-01-05T09:30:00", "2024-01-05 09:30"),
        ("datetime_seconds_ymd", datetime(2024, 1, 5, 9, 30, 7, 123), "2024-01-05 09:30:07"),
        ("time", time(9, 30), "09:30"),
        ("time", "09:30:00", "09:30"),
        ("time", "09:30:05", "09:30:05"),
        ("time_mm_ss", time(0, 9, 30), "09:30"),
        ("", "true", "true"),
        ("", "007", "007"),
    ],
)
def test_values_of_sql_and_pandas_get_redcaps_spelling(validation, value, text):
    described = field("x", "base", validation=validation)
    assert spelled(described, dictionary.value_kind(described), value) == text


def test_truth_is_1_or_0_where_the_field_is_of_truths():
    yesno = field("x", "base", "yesno")
    kind = dictionary.value_kind(yesno)
    assert [spelled(yesno, kind, value) for value in (True, False, "true", "False", "1", "UNK")] == [
        "1", "0", "1", "0", "1", "UNK",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("described", "kind", "text", "whole"),
    [
        (field("x", "base", validation="integer"), ValueKind.INTEGER, "5.0", "5"),
        (field("x", "base", "slider"), ValueKind.SLIDER, "50,0", "50"),
        (field("x", "base", "radio", choices="1, A | 2, B"), ValueKind.CHOICE, "2.0", "2"),
        (field("x", "base", "radio", choices="1, A | 1.0, B"), ValueKind.CHOICE, "1.0", "1.0"),
        (field("x", "base", "radio", choices="1, A | 2, B"), ValueKind.CHOICE, "3.0", "3.0"),
        (field("x", "base", "yesno"), ValueKind.BOOLEAN_YESNO, "1.0", "1"),
        (field("x", "base", "checkbox", choices="7, A"), ValueKind.CHECKBOX, "1.0", "1"),
        (field("x", "base", "checkbox", choices="7, A"), ValueKind.CHECKBOX, "7.0", "7.0"),
        (None, ValueKind.STATUS, "2.0", "2"),
        (field("x", "base", validation="number"), ValueKind.NUMBER, "5.0", "5.0"),
        (field("x", "base"), ValueKind.TEXT, "5.0", "5.0"),
    ],
)
def test_the_zero_a_spreadsheet_puts_behind_a_code_is_taken_off_where_the_code_is_meant(described, kind, text, whole):
    assert spelled(described, kind, text) == whole


def test_numpy_scalars_are_values_like_any_other():
    import numpy

    assert spelled(field("x", "base", validation="integer"), kind_of("integer"), numpy.int64(7)) == "7"
    assert spelled(field("x", "base", validation="number"), kind_of("number"), numpy.float64(7.25)) == "7.25"


def test_a_narrow_float_keeps_the_digits_it_was_written_with():
    import numpy

    numbers = field("x", "base", validation="number")
    assert [spelled(numbers, kind_of("number"), kind(160.1)) for kind in (numpy.float32, numpy.float64)] == [
        "160.1", "160.1",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["float32", "Float32", "float64"])
def test_the_numbers_of_a_frame_of_narrow_floats_keep_their_digits(kind):
    import pandas

    from pipelines.writeback.proposals.propose import _rows

    frame = pandas.DataFrame({"record_id": ["1", "2"], "weight": pandas.Series([160.1, None], dtype=kind)})
    (first, second) = _rows(frame)
    assert first == ("1", 160.1)
    assert is_missing(second[1])


@pytest.mark.parametrize("value", [timedelta(hours=1), math.inf, object(), [1], {"a": 1}, b"x"])
def test_what_has_no_spelling_is_refused_without_its_value(value):
    with pytest.raises(TypeError) as refused:
        spelled(field("x", "base"), kind_of(""), value)
    assert str(value) not in str(refused.value)


def test_missing_is_none_nan_and_nat_but_no_blank():
    import pandas

    assert all(is_missing(value) for value in (None, math.nan, pandas.NaT, pandas.NA))
    assert not any(is_missing(value) for value in ("", 0, False, "nan"))
