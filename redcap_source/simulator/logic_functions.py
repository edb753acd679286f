"""The functions that REDCap's logic and calculations may call."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

Value = str | float
Function = Callable[[Sequence[Value], datetime], Value]

_NUMBER = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)([Ee][-+]?\d+)?\s*$")
_DAYS = {"y": 365.2425, "M": 30.44, "d": 1.0, "h": 1 / 24, "m": 1 / 1440, "s": 1 / 86400}


def as_number(value: Value) -> float | None:
    """The number a value stands for, if it does."""
    if isinstance(value, float):
        return value
    return float(value) if _NUMBER.match(value) else None


def is_true(value: Value) -> bool:
    """Whether a value counts as true."""
    return value not in ("", "0", 0.0)


def number_text(value: Value) -> str:
    """A result as REDCap stores it: whole numbers without a point."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def moment(value: Value, now: datetime) -> datetime | None:
    """The date or time a value stands for."""
    text = str(value).strip()
    if text.lower() == "today":
        return now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if text.lower() == "now":
        return now.replace(tzinfo=None)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _numbers(values: Sequence[Value]) -> list[float]:
    return [number for number in map(as_number, values) if number is not None]


def _many(compute: Callable[[list[float]], float]) -> Function:
    def function(values: Sequence[Value], now: datetime) -> Value:
        numbers = _numbers(values)
        return float(compute(numbers)) if numbers else ""

    return function


def _one(compute: Callable[[float], float]) -> Function:
    def function(values: Sequence[Value], now: datetime) -> Value:
        number = as_number(values[0]) if values else None
        try:
            return "" if number is None else float(compute(number))
        except (ValueError, OverflowError):
            return ""

    return function


def _rounding(compute: Callable[[float], float]) -> Function:
    def function(values: Sequence[Value], now: datetime) -> Value:
        numbers = [as_number(value) for value in values[:2]]
        if not numbers or numbers[0] is None:
            return ""
        scale = 10.0 ** int(numbers[1] or 0) if len(numbers) > 1 else 1.0
        return compute(numbers[0] * scale) / scale

    return function


def _half_away(number: float) -> float:
    # PHP rounds halves away from zero; the nudge undoes binary noise such as 2.675 * 100.
    return math.copysign(math.floor(abs(number) + 0.5 + 1e-9), number)


def _datediff(values: Sequence[Value], now: datetime) -> Value:
    first, second = moment(values[0], now), moment(values[1], now)
    if first is None or second is None:
        return ""
    unit = str(values[2]) if len(values) > 2 else "d"
    days = (second - first).total_seconds() / 86400 / _DAYS.get(unit, 1.0)
    signed = any(str(value).lower() in ("true", "1") for value in values[3:])
    return days if signed else abs(days)


def _if(values: Sequence[Value], now: datetime) -> Value:
    return values[1] if is_true(values[0]) else (values[2] if len(values) > 2 else "")


def _said(yes: bool) -> float:
    return 1.0 if yes else 0.0


def _text(compute: Callable[..., Value]) -> Function:
    return lambda values, now: compute(*(number_text(value) for value in values))


FUNCTIONS: Mapping[str, Function] = {
    "round": _rounding(_half_away),
    "roundup": _rounding(math.ceil),
    "rounddown": _rounding(math.floor),
    "abs": _one(abs),
    "sqrt": _one(math.sqrt),
    "exponential": _one(math.exp),
    "log": _one(math.log),
    "min": _many(min),
    "max": _many(max),
    "sum": _many(sum),
    "mean": _many(statistics.fmean),
    "median": _many(statistics.median),
    "stdev": _many(lambda numbers: statistics.stdev(numbers) if len(numbers) > 1 else 0.0),
    "datediff": _datediff,
    "if": _if,
    "isnumber": lambda values, now: _said(as_number(values[0]) is not None),
    "isinteger": lambda values, now: _said(re.fullmatch(r"[-+]?\d+", str(values[0])) is not None),
    "isblankormissingcode": lambda values, now: _said(values[0] == ""),
    "contains": _text(lambda text, part: _said(part.lower() in text.lower())),
    "not_contain": _text(lambda text, part: _said(part.lower() not in text.lower())),
    "starts_with": _text(lambda text, part: _said(text.lower().startswith(part.lower()))),
    "ends_with": _text(lambda text, part: _said(text.lower().endswith(part.lower()))),
    "find": _text(lambda part, text: float(text.lower().find(part.lower()) + 1)),
    "left": _text(lambda text, count: text[: int(count)]),
    "right": _text(lambda text, count: text[-int(count) :]),
    "mid": _text(lambda text, start, count: text[int(start) - 1 : int(start) - 1 + int(count)]),
    "length": _text(lambda text: float(len(text))),
    "concat": _text(lambda *parts: "".join(parts)),
    "upper": _text(str.upper),
    "lower": _text(str.lower),
    "trim": _text(str.strip),
}
