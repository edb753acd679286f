"""Parse one value of a field by its kind (dictionary/kinds.py); ValueError if the text is not of that kind.

Not here: blanks, which mean that there is no value.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time

from redcap_source.dictionary import ValueKind

Value = str | int | float | bool | date | datetime | time

_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([Ee][+-]?[0-9]+)?")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")


def value_of(kind: ValueKind, text: str) -> Value:
    """The text as a value of the kind; kinds without a type of their own stay text."""
    read = _READERS.get(kind)
    return text if read is None else read(text.strip())


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("not a whole number")
    number = int(text)
    # Wider ones are ids that a project validates as integers; no integer column has room for them.
    if not -(2**63) <= number < 2**63:
        raise ValueError("a whole number beyond 64 bits")
    return number


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    number = float(text)
    # Too large, too small, or more digits than a float has: the float is another number than the one entered.
    if _digits(text) != _digits(repr(number)):
        raise ValueError("a number that a float cannot hold exactly")
    return number


def _digits(number: str) -> str:
    """The significant digits, without sign, point, exponent and the zeros around them."""
    return re.sub(r"[eE].*|[^0-9]", "", number).strip("0")


def _number_comma(text: str) -> float:
    # decimalCharacter may have replaced the comma by a point, so both are accepted, but not together.
    if "," in text and "." in text:
        raise ValueError("not a number")
    return _number(text.replace(",", "."))


def _date(text: str) -> date:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("not a date")
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise ValueError("a day the calendar does not have") from None


def _time(text: str) -> time:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError("not a time of day")
    try:
        return time(int(found[1]), int(found[2]), int(found[3] or 0))
    except ValueError:
        raise ValueError("a time the clock does not have") from None


def _datetime(text: str) -> datetime:
    day, blank, clock = text.partition(" ")
    if not blank:
        raise ValueError("not a date with a time")
    return datetime.combine(_date(day), _time(clock.strip()))


def _truth(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("neither 0 nor 1")
    return text == "1"


_READERS: Mapping[ValueKind, Callable[[str], Value]] = {
    ValueKind.INTEGER: _integer,
    ValueKind.SLIDER: _integer,
    ValueKind.STATUS: _integer,
    ValueKind.NUMBER: _number,
    ValueKind.CALC: _number,
    ValueKind.NUMBER_COMMA: _number_comma,
    ValueKind.DATE: _date,
    ValueKind.DATETIME: _datetime,
    ValueKind.DATETIME_SECONDS: _datetime,
    ValueKind.TIME: _time,
    ValueKind.TIME_SECONDS: _time,
    ValueKind.BOOLEAN_YESNO: _truth,
    ValueKind.BOOLEAN_TRUEFALSE: _truth,
    ValueKind.CHECKBOX: _truth,
}
