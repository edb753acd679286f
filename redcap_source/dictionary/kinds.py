"""The kind of value that a field holds."""

import re
from collections.abc import Mapping
from enum import Enum

from redcap_source.model import Field


class ValueKind(Enum):
    """What a field's values are."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    NUMBER_COMMA = "number_comma"
    DATE = "date"
    DATETIME = "datetime"
    DATETIME_SECONDS = "datetime_seconds"
    TIME = "time"
    TIME_SECONDS = "time_seconds"
    MINUTES_SECONDS = "minutes_seconds"
    BOOLEAN_YESNO = "yesno"
    BOOLEAN_TRUEFALSE = "truefalse"
    CHECKBOX = "checkbox"
    CHOICE = "choice"
    SLIDER = "slider"
    CALC = "calc"
    FILE = "file"
    STATUS = "status"
    DESCRIPTIVE = "descriptive"


_VALIDATED: Mapping[str, ValueKind] = {
    "integer": ValueKind.INTEGER,
    "int": ValueKind.INTEGER,
    "number": ValueKind.NUMBER,
    "float": ValueKind.NUMBER,
    "number_comma_decimal": ValueKind.NUMBER_COMMA,
    "time": ValueKind.TIME,
    "time_hh_mm_ss": ValueKind.TIME_SECONDS,
    "time_mm_ss": ValueKind.MINUTES_SECONDS,
    **{f"date_{order}": ValueKind.DATE for order in ("ymd", "mdy", "dmy")},
    **{f"datetime_{order}": ValueKind.DATETIME for order in ("ymd", "mdy", "dmy")},
    **{f"datetime_seconds_{order}": ValueKind.DATETIME_SECONDS for order in ("ymd", "mdy", "dmy")},
    **{f"number_{places}dp": ValueKind.NUMBER for places in range(1, 5)},
    **{f"number_{places}dp_comma_decimal": ValueKind.NUMBER_COMMA for places in range(1, 5)},
}


_BY_TYPE: Mapping[str, ValueKind] = {
    "yesno": ValueKind.BOOLEAN_YESNO,
    "truefalse": ValueKind.BOOLEAN_TRUEFALSE,
    "checkbox": ValueKind.CHECKBOX,
    "radio": ValueKind.CHOICE,
    "dropdown": ValueKind.CHOICE,
    "sql": ValueKind.CHOICE,
    "slider": ValueKind.SLIDER,
    "calc": ValueKind.CALC,
    "file": ValueKind.FILE,
    "descriptive": ValueKind.DESCRIPTIVE,
}


CALCULATION_TAG = r"@CALC(?:TEXT|DATE)\b"
"""The action tags that make a field of another type a calculated one, as a regular expression for Python and DuckDB."""


def value_kind(field: Field) -> ValueKind:
    """The kind of a field's values; text for validation types that are not known here."""
    if field.field_type == "text":
        return _VALIDATED.get(field.text_validation_type_or_show_slider_number, ValueKind.TEXT)
    if field.field_type == "calc" and re.search(CALCULATION_TAG, field.field_annotation):
        return ValueKind.TEXT
    return _BY_TYPE.get(field.field_type, ValueKind.TEXT)


def is_identifier(field: Field) -> bool:
    """Whether the field is tagged as one that can identify a participant."""
    return field.identifier.lower() == "y"


def is_calculated(field: Field) -> bool:
    """Whether the server calculates the field and ignores imported values."""
    return field.field_type == "calc" or bool(re.search(CALCULATION_TAG, field.field_annotation))


def action_tags(field: Field) -> frozenset[str]:
    """The action tags in the field's annotation, upper case, without their arguments."""
    return frozenset(re.findall(r"(?<!\w)@[A-Z][A-Z0-9_-]*", field.field_annotation.upper()))
