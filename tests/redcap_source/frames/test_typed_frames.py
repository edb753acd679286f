from datetime import date, datetime, time

import pandas as pd
import pytest

from redcap_source.dictionary import Choice, ValueKind
from redcap_source.frames.typed_frames import MISSING_DATA_CODE, type_records
from redcap_source.frames.typed_values import value_of
from redcap_source.model import Field


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (ValueKind.INTEGER, "+007", 7),
        (ValueKind.NUMBER, "-1.5e3", -1500.0),
        (ValueKind.NUMBER, ".5", 0.5),
        (ValueKind.NUMBER_COMMA, "1,54", 1.54),
        (ValueKind.NUMBER_COMMA, "1.54", 1.54),
        (ValueKind.CALC, "0.9033457249070632", 0.9033457249070632),
        (ValueKind.DATE, "2024-05-01", date(2024, 5, 1)),
        (ValueKind.DATE, "0001-05-01", date(1, 5, 1)),
        (ValueKind.NUMBER, "0.30000000000000004", 0.1 + 0.2),
        (ValueKind.NUMBER, "1.500000000000000000000", 1.5),
        (ValueKind.DATETIME, "2024-05-01 10:15", datetime(2024, 5, 1, 10, 15)),
        (ValueKind.DATETIME_SECONDS, "2024-05-01 10:15:22", datetime(2024, 5, 1, 10, 15, 22)),
        (ValueKind.TIME, "8:01", time(8, 1)),
        (ValueKind.BOOLEAN_YESNO, "1", True),
        (ValueKind.CHECKBOX, "0", False),
        (ValueKind.TEXT, " 01 ", " 01 "),
        (ValueKind.CHOICE, "01", "01"),
        (ValueKind.MINUTES_SECONDS, "59:59", "59:59"),
    ],
)
def test_values(kind, text, value):
    assert value_of(kind, text) == value
    assert type(value_of(kind, text)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ValueKind.INTEGER, "1.0"),
        (ValueKind.INTEGER, "1_000"),
        (ValueKind.INTEGER, "١"),
        (ValueKind.INTEGER, "9" * 30),
        (ValueKind.NUMBER, "nan"),
        (ValueKind.NUMBER, "inf"),
        (ValueKind.NUMBER, "1,5"),
        (ValueKind.NUMBER, "1e400"),
        (ValueKind.NUMBER, "-1e400"),
        (ValueKind.NUMBER, "1e-400"),
        (ValueKind.NUMBER, "9007199254740993"),
        (ValueKind.CALC, "123456789012345678.1"),
        (ValueKind.NUMBER_COMMA, "123456789012345678,1"),
        (ValueKind.NUMBER_COMMA, "1.000,5"),
        (ValueKind.DATE, "2018-8-1"),
        (ValueKind.DATE, "0000-01-01"),
        (ValueKind.DATETIME, "2018-8-1 10:15"),
        (ValueKind.DATE, "2024-02-30"),
        (ValueKind.DATE, "before validation 1"),
        (ValueKind.DATETIME, "2024-05-01"),
        (ValueKind.DATETIME_SECONDS, "[not completed]"),
        (ValueKind.TIME, "55:02"),
        (ValueKind.TIME, "2010-01-02"),
        (ValueKind.BOOLEAN_YESNO, "2"),
    ],
)
def test_what_is_no_value_of_its_kind(kind, text):
    with pytest.raises(ValueError) as caught:
        value_of(kind, text)
    assert text not in str(caught.value)


STUDY = [
    Field("id", "visit", "text", text_validation_type_or_show_slider_number="integer"),
    Field("age", "visit", "text", text_validation_type_or_show_slider_number="integer"),
    Field("seen", "visit", "text", text_validation_type_or_show_slider_number="date_dmy"),
    Field("zip", "visit", "text", text_validation_type_or_show_slider_number="zipcode"),
    Field("sex", "visit", "radio", select_choices_or_calculations="01, f | 02, m"),
    Field("race", "visit", "checkbox", select_choices_or_calculations="1, a | 2, b"),
    Field("bmi", "visit", "calc"),
]
RAW = pd.DataFrame(
    [
        ["007", "41", "2024-05-01", "02139", "01", "1", "24.7", "2", "odd"],
        ["8", "UNK", "0001-01-01", "", "02", "0", "", "0", "odd"],
        ["9", "forty", "", "NA", "", "", "x", "", ""],
    ],
    columns=["id", "age", "seen", "zip", "sex", "race___1", "bmi", "visit_complete", "unknown"],
    index=[5, 6, 7],
    dtype=str,
)


def test_columns_are_typed_and_what_did_not_fit_is_reported():
    typed = type_records(RAW, STUDY, missing_codes=[Choice("UNK", "Unknown")])
    assert typed.frame.dtypes.astype(str).tolist() == [
        "str", "Int64", "datetime64[s]", "str", "str", "boolean", "Float64", "Int64", "str",
    ]  # fmt: skip
    assert typed.frame.index.tolist() == [5, 6, 7]
    assert typed.frame["id"].tolist() == ["007", "8", "9"]
    assert typed.frame["zip"].tolist() == ["02139", "", "NA"]
    assert typed.frame["age"].tolist() == [41, pd.NA, pd.NA]
    assert typed.frame["seen"].dt.year.tolist()[:2] == [2024, 1]
    assert [(m.column, m.reason, m.rows, m.values) for m in typed.misfits] == [
        ("age", MISSING_DATA_CODE, (1,), ("UNK",)),
        ("age", "not a whole number", (2,), ("forty",)),
        ("bmi", "not a number", (2,), ("x",)),
    ]
    assert "forty" not in repr(typed)


def test_an_empty_frame_is_typed_too():
    assert type_records(RAW.iloc[:0], STUDY).frame["age"].dtype == "Int64"
    assert type_records(pd.DataFrame(), STUDY).frame.shape == (0, 0)


def test_a_missing_data_code_is_no_value_unless_it_is_a_choice_or_the_field_takes_none():
    fields = [
        Field("record_id", "base", "text"),
        Field("age", "base", "text", text_validation_type_or_show_slider_number="integer"),
        Field(
            "floor", "base", "text", text_validation_type_or_show_slider_number="integer", field_annotation="@NOMISSING"
        ),
        Field("asked", "base", "yesno"),
        Field("race", "base", "checkbox", select_choices_or_calculations="1, A"),
    ]
    raw = pd.DataFrame({"age": ["-9", "1"], "floor": ["-9", "1"], "asked": ["-9", "1"], "race___1": ["0", "1"]})
    codes = [Choice("-9", "Refused"), Choice("1", "Late")]
    found = type_records(raw, fields, missing_codes=codes)
    assert found.frame["age"].isna().all()
    assert found.frame["floor"].tolist() == [-9, 1]
    assert found.frame["asked"].tolist() == [pd.NA, True]
    assert found.frame["race___1"].tolist() == [False, True]
    assert {(m.column, m.reason, m.values) for m in found.misfits} == {
        ("age", MISSING_DATA_CODE, ("-9", "1")),
        ("asked", MISSING_DATA_CODE, ("-9",)),
    }
