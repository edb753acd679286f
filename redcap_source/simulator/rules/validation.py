"""Which values REDCap accepts in a field, and the form in which it stores dates and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from redcap_source.simulator.state.dictionary import STATUS_LABELS, Column, Dictionary, Field

BAD_FORMAT = (
    "The value you provided could not be validated because it does not follow the expected format. Please try again."
)

_DATE = r"[0-9]{1,4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01])"
_HOURS = r"([0-9]|[01][0-9]|2[0-3]):[0-5][0-9]"
_NUMBER = r"[-+]?(([0-9]+\{}?[0-9]*)|(\{}[0-9]+))([Ee][+-]?[0-9]+)?"

_PATTERNS: dict[str, str] = {
    "date": _DATE,
    "datetime": f"{_DATE} {_HOURS}",
    "datetime_seconds": f"{_DATE} {_HOURS}:[0-5][0-9]",
    "time": _HOURS,
    "time_hh_mm_ss": f"{_HOURS}:[0-5][0-9]",
    "time_mm_ss": r"[0-5][0-9]:[0-5][0-9]",
    "integer": r"[-+]?[0-9]+",
    "number": _NUMBER.format(".", "."),
    "number_comma_decimal": _NUMBER.format(",", ","),
    **{f"number_{n}dp": rf"[-+]?[0-9]*\.[0-9]{{{n}}}" for n in range(1, 5)},
    **{f"number_{n}dp_comma_decimal": rf"[-+]?[0-9]*,[0-9]{{{n}}}" for n in range(1, 5)},
    "email": r"(?i)[A-Z0-9._%+-]+@[A-Z0-9.-]+\.[A-Z]{2,}",
    "phone": r"\(?[2-9][0-8][0-9]\)?[-. ]?[2-9][0-9]{2}[-. ]?[0-9]{4}( *(x|ext\.?) *[0-9]+)?",
    "phone_australia": r"(\(0[2-8]\)|0[2-8])[ ]?[0-9]{4}[ ]?[0-9]{4}",
    "zipcode": r"\d{5}(-\d{4})?",
    "ssn": r"\d{3}-\d\d-\d{4}",
    "mrn_10d": r"\d{10}",
    "vmrn": r"\d{4,9}",
    "postalcode_australia": r"\d{4}",
    "postalcode_canada": r"(?i)[ABCEGHJKLMNPRSTVXY]\d[A-Z] ?\d[A-Z]\d",
    "postalcode_french": r"\d{5}",
    "postalcode_germany": r"\d{5}",
    "alpha_only": r"(?i)[a-z]+",
}
_COMPILED = {name: re.compile(rf"^(?:{pattern})$" if not pattern.startswith("(?i)") else rf"(?i)^(?:{pattern[4:]})$")
             for name, pattern in _PATTERNS.items()}  # fmt: skip
_FLAVOUR = re.compile(r"_(ymd|mdy|dmy)$")
_SLASHED = re.compile(r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(.*)$")


def value_problem(dictionary: Dictionary, column: Column, value: str) -> str | None:
    """REDCap's message about a value that a column does not accept; None for one that it does."""
    if column.kind == "status":
        return None if value in STATUS_LABELS else f"The value is not a valid category for {column.name}"
    field = dictionary.by_name[column.field]
    if column.kind == "checkbox":
        return None if value in ("0", "1") else f"The value is not a valid category for {column.name}"
    if value in dictionary.missing_codes and "@NOMISSING" not in field.field_annotation.upper():
        return None
    return _text_problem(field, dictionary.options(field), value)


def _text_problem(field: Field, options: Mapping[str, str], value: str) -> str | None:
    if field.field_type in ("yesno", "truefalse", "radio", "dropdown"):
        return None if value in options else f"The value is not a valid category for {field.field_name}"
    if field.field_type == "slider":
        whole = value.lstrip("-").isdecimal()
        return None if whole else BAD_FORMAT
    if field.field_type == "text" and not matches(field.validation, value):
        return BAD_FORMAT
    return None


def limit_problem(field: Field, value: str) -> str | None:
    """What the screen refuses and the API accepts: values outside limits, required blanks, read-only fields."""
    if "@READONLY" in field.field_annotation.upper():
        return f"The field {field.field_name} is read-only."
    if not value:
        return f"The field {field.field_name} is required." if field.required_field else None
    number = _ordered(field, value)
    for bound, sign in ((field.text_validation_min, 1), (field.text_validation_max, -1)):
        limit = _ordered(field, bound)
        if number is not None and limit is not None and (number > limit) - (number < limit) == -sign:
            return f"The value is outside the range of {field.field_name}."
    return None


def _ordered(field: Field, value: str) -> tuple[float, str] | None:
    """What a value is compared by; None for values without an order, and for limits such as `today`."""
    if field.validation.startswith(("date", "time")):
        return (0.0, value) if value[:1].isdigit() else None
    try:
        return (float(value.replace(",", ".")), "")
    except ValueError:
        return None


def matches(validation: str, value: str) -> bool:
    """Whether a value fits a validation type; unknown types accept anything."""
    pattern = _COMPILED.get(_FLAVOUR.sub("", validation))
    return pattern is None or pattern.match(value) is not None


def stored_form(field: Field, value: str, date_format: str) -> str:
    """A value as it is stored: dates as Y-M-D, hours with two digits."""
    if field.validation.startswith("date"):
        return _padded_date(_year_first(value, date_format))
    if field.validation.startswith("time") and re.match(r"^\d:", value) and field.validation != "time_mm_ss":
        return "0" + value
    if field.validation == "vmrn" and value.isdecimal():
        return value.zfill(9)
    return value


def _year_first(value: str, date_format: str) -> str:
    parts = _SLASHED.match(value)
    if parts is None or date_format not in ("MDY", "DMY"):
        return value
    first, second, year, rest = parts.groups()
    month, day = (first, second) if date_format == "MDY" else (second, first)
    return f"{year}-{month}-{day}{rest}"


def _padded_date(value: str) -> str:
    parts = re.match(r"^(\d{1,4})-(\d{1,2})-(\d{1,2})(.*)$", value)
    if parts is None:
        return value
    return f"{int(parts[1]):04d}-{int(parts[2]):02d}-{int(parts[3]):02d}{parts[4]}"
