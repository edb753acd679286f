"""The functions that REDCap's logic and calculations may call, except those on dates (dates.py)."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

Value = str | float
Function = Callable[[Sequence[Value], datetime], Value]
# A function, and the fewest and the most arguments that it takes; None is any number.
Signature = tuple[Function, int, int | None]

_NUMBER = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)([Ee][-+]?\d+)?\s*$")


def as_number(value: Value) -> float | None:
    """The number that a value is or that its text denotes, if any."""
    if isinstance(value, float):
        return value
    return float(value) if _NUMBER.match(value) else None


def is_true(value: Value) -> bool:
    """Whether a value counts as true: all but a blank and zero."""
    return value not in ("", "0", 0.0)


def number_text(value: Value) -> str:
    """A result as REDCap stores it: a whole number has no decimal point."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


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
    """Round a number without its sign: up is away from zero, down is towards it."""

    def function(values: Sequence[Value], now: datetime) -> Value:
        numbers = [as_number(value) for value in values]
        if numbers[0] is None:
            return ""
        scale = 10.0 ** int(numbers[1] or 0) if len(numbers) > 1 else 1.0
        return math.copysign(compute(abs(numbers[0]) * scale) / scale, numbers[0])

    return function


# Removes floating-point noise, as in 2.675 * 100.
_NOISE = 1e-9


def _half_up(number: float) -> float:
    return math.floor(number + 0.5 + _NOISE)


def _log(values: Sequence[Value], now: datetime) -> Value:
    number, base = as_number(values[0]), as_number(values[1]) if len(values) > 1 else math.e
    return "" if number is None or base is None else math.log(number, base)


def _mod(values: Sequence[Value], now: datetime) -> Value:
    number, divisor = as_number(values[0]), as_number(values[1])
    return "" if number is None or divisor is None else math.fmod(number, divisor)


def _if(values: Sequence[Value], now: datetime) -> Value:
    return values[1] if is_true(values[0]) else (values[2] if len(values) > 2 else "")


def truth(is_so: bool) -> float:
    """1 for true, 0 for false."""
    return 1.0 if is_so else 0.0


def _text(compute: Callable[..., Value]) -> Function:
    return lambda values, now: compute(*(number_text(value) for value in values))


FUNCTIONS: Mapping[str, Signature] = {
    "if": (_if, 2, 3),
    "round": (_rounding(_half_up), 1, 2),
    "roundup": (_rounding(lambda number: math.ceil(number - _NOISE)), 1, 2),
    "rounddown": (_rounding(lambda number: math.floor(number + _NOISE)), 1, 2),
    "abs": (_one(abs), 1, 1),
    "sqrt": (_one(math.sqrt), 1, 1),
    "exponential": (_one(math.exp), 1, 1),
    "log": (_log, 1, 2),
    "mod": (_mod, 2, 2),
    "min": (_many(min), 1, None),
    "max": (_many(max), 1, None),
    "sum": (_many(sum), 1, None),
    "mean": (_many(statistics.fmean), 1, None),
    "median": (_many(statistics.median), 1, None),
    "stdev": (_many(lambda numbers: statistics.stdev(numbers) if len(numbers) > 1 else 0.0), 1, None),
    "isnumber": (lambda values, now: truth(as_number(values[0]) is not None), 1, 1),
    "isinteger": (lambda values, now: truth(re.fullmatch(r"[-+]?\d+", number_text(values[0])) is not None), 1, 1),
    "contains": (_text(lambda text, part: truth(part.lower() in text.lower())), 2, 2),
    "not_contain": (_text(lambda text, part: truth(part.lower() not in text.lower())), 2, 2),
    "starts_with": (_text(lambda text, part: truth(text.lower().startswith(part.lower()))), 2, 2),
    "ends_with": (_text(lambda text, part: truth(text.lower().endswith(part.lower()))), 2, 2),
    "find": (_text(lambda part, text: float(text.lower().find(part.lower()) + 1)), 2, 2),
    "left": (_text(lambda text, count: text[: int(count)]), 2, 2),
    "right": (_text(lambda text, count: text[-int(count) :] if int(count) else ""), 2, 2),
    "mid": (_text(lambda text, start, count: text[int(start) - 1 : int(start) - 1 + int(count)]), 3, 3),
    "length": (_text(lambda text: float(len(text))), 1, 1),
    "concat": (_text(lambda *parts: "".join(parts)), 1, None),
    "concat_ws": (_text(lambda separator, *parts: separator.join(part for part in parts if part)), 2, None),
    "replace_text": (_text(lambda text, old, new: text.replace(old, new) if old else text), 3, 3),
    "upper": (_text(str.upper), 1, 1),
    "lower": (_text(str.lower), 1, 1),
    "trim": (_text(str.strip), 1, 1),
}


def missing_code_functions(codes: Collection[str]) -> Mapping[str, Signature]:
    """The functions that ask about a project's missing data codes."""

    def has(values: Sequence[Value], now: datetime) -> Value:
        wanted = {code.strip() for code in str(values[1]).split(",")}
        return truth(values[0] in codes and values[0] in wanted)

    return {
        "isblankormissingcode": (lambda values, now: truth(values[0] == "" or values[0] in codes), 1, 1),
        "isblanknotmissingcode": (lambda values, now: truth(values[0] == ""), 1, 1),
        "ismissingcode": (lambda values, now: truth(values[0] in codes), 1, 1),
        "hasmissingcode": (has, 2, 2),
    }
