"""The functions of REDCap's logic that work on dates and times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from redcap_source.simulator.logic.functions import Function, Signature, Value, is_true

# Seconds of each unit, as REDCap counts them: a year has 365.2425 days, a month 30.44.
_SECONDS = {"y": 31_556_952.0, "M": 2_630_016.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_FORMATS = ("ymd", "mdy", "dmy")
_TURNED = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(.*)", re.DOTALL)
_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
# The day of two times without a date; any will do.
_SOME_DAY = "2000-01-01"


def moment(value: Value, now: datetime, order: str = "ymd") -> datetime | None:
    """The date or time that a value denotes; a literal may have day and month in the order given."""
    text = str(value).strip()
    if text.lower() == "today":
        return now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if text.lower() == "now":
        return now.replace(tzinfo=None)
    try:
        return datetime.fromisoformat(_in_order(text, order)).replace(tzinfo=None)
    except ValueError:
        return None


def _in_order(text: str, order: str) -> str:
    # Stored dates have the year first, whatever the format on the screen.
    parts = _TURNED.fullmatch(text)
    if parts is None or order == "ymd":
        return text
    first, second, year, rest = parts.groups()
    month, day = (first, second) if order == "mdy" else (second, first)
    return f"{year}-{int(month):02d}-{int(day):02d}{rest}"


def _datediff(values: Sequence[Value], now: datetime) -> Value:
    unit = str(values[2])
    order = next((str(value).lower() for value in values[3:] if str(value).lower() in _FORMATS), "ymd")
    texts = [str(value).strip() for value in values[:2]]
    if all(_TIME.fullmatch(text) for text in texts):
        texts = [f"{_SOME_DAY} {text.zfill(len(text) + (text[1:2] == ':'))}" for text in texts]
    first, second = (moment(text, now, order) for text in texts)
    if first is None or second is None:
        return ""
    difference = (second - first).total_seconds() / _SECONDS.get(unit, _SECONDS["d"])
    return difference if any(_is_signed(value) for value in values[3:]) else abs(difference)


def _is_signed(value: Value) -> bool:
    return value == 1.0 or str(value).lower() in ("true", "1")


def _age_at_date(values: Sequence[Value], now: datetime) -> Value:
    born, other = moment(values[0], now), moment(values[1], now)
    if born is None or other is None:
        return ""
    years = other.year - born.year - ((other.month, other.day) < (born.month, born.day))
    if len(values) < 3 or not is_true(values[2]) or str(values[2]).lower() == "false":
        return float(years)
    last, following = (_birthday(born, born.year + count).toordinal() for count in (years, years + 1))
    return years + (other.toordinal() - last) / (following - last)


def _birthday(born: datetime, year: int) -> datetime:
    is_leap_day = (born.month, born.day) == (2, 29)
    return born.replace(year=year, month=3, day=1) if is_leap_day and not _is_leap(year) else born.replace(year=year)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _part(read: Callable[[datetime], int]) -> Function:
    """The function that returns a part of a date; blank for a value that is not a date."""

    def function(values: Sequence[Value], now: datetime) -> Value:
        found = moment(values[0], now)
        return "" if found is None else float(read(found))

    return function


DATE_FUNCTIONS: Mapping[str, Signature] = {
    "datediff": (_datediff, 3, 5),
    "age_at_date": (_age_at_date, 2, 3),
    "dayoftheweek": (_part(datetime.isoweekday), 1, 1),
    "year": (_part(lambda date: date.year), 1, 1),
    "month": (_part(lambda date: date.month), 1, 1),
    "day": (_part(lambda date: date.day), 1, 1),
}
