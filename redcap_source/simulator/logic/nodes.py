"""The nodes of a parsed expression: closures that compare, calculate and call functions.

A node takes a function that looks up fields and the current time, and returns text or a number; blank is the empty
text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from redcap_source.simulator.logic.functions import Function, Value, as_number, is_true


class Reference(NamedTuple):
    """A reference to a field: [event][field(code)][instance]."""

    field: str
    code: str = ""
    event: str = ""
    instance: str = ""


Look = Callable[[Reference], str]
Node = Callable[[Look, datetime], Value]


def constant(value: Value) -> Node:
    """A text or a number."""
    return lambda look, now: value


def looked_up(reference: Reference) -> Node:
    """The value of a field."""
    return lambda look, now: look(reference)


def negated(inner: Node) -> Node:
    """True where a node is not."""
    return lambda look, now: 0.0 if is_true(inner(look, now)) else 1.0


def either(left: Node, right: Node) -> Node:
    """True where one of two nodes is."""
    return lambda look, now: 1.0 if is_true(left(look, now)) or is_true(right(look, now)) else 0.0


def both(left: Node, right: Node) -> Node:
    """True where both nodes are."""
    return lambda look, now: 1.0 if is_true(left(look, now)) and is_true(right(look, now)) else 0.0


def compared(sign: str, left: Node, right: Node) -> Node:
    """True where the values of two nodes compare so."""
    compare = COMPARISONS[sign]
    return lambda look, now: 1.0 if compare(left(look, now), right(look, now)) else 0.0


def calculated(sign: str, left: Node, right: Node) -> Node:
    """The result of two numbers; blank if one is missing or the result is not a number."""
    apply = _ARITHMETIC[sign]

    def node(look: Look, now: datetime) -> Value:
        a, b = as_number(left(look, now)), as_number(right(look, now))
        if a is None or b is None:
            return ""
        try:
            result = apply(a, b)
        except (ZeroDivisionError, OverflowError, ValueError):
            return ""
        return result if isinstance(result, float) and math.isfinite(result) else ""

    return node


def called(function: Function, arguments: Sequence[Node]) -> Node:
    """What a function returns; blank if it is not given a number, or has no result."""

    def node(look: Look, now: datetime) -> Value:
        try:
            return function([argument(look, now) for argument in arguments], now)
        except (ArithmeticError, ValueError):
            return ""

    return node


def _ordered(left: Value, right: Value) -> tuple[float, float] | tuple[str, str]:
    # As PHP compares: as numbers where both are numeric, else as text, so that blank is less than everything.
    a, b = as_number(left), as_number(right)
    if a is not None and b is not None:
        return a, b
    return str(_plain(left)), str(_plain(right))


def _plain(value: Value) -> Value:
    return int(value) if isinstance(value, float) and value.is_integer() else value


COMPARISONS: Mapping[str, Callable[[Value, Value], bool]] = {
    "=": lambda a, b: _ordered(a, b)[0] == _ordered(a, b)[1],
    "==": lambda a, b: _ordered(a, b)[0] == _ordered(a, b)[1],
    "<>": lambda a, b: _ordered(a, b)[0] != _ordered(a, b)[1],
    "!=": lambda a, b: _ordered(a, b)[0] != _ordered(a, b)[1],
    "<": lambda a, b: _less(_ordered(a, b)),
    ">": lambda a, b: _less(_ordered(b, a)),
    "<=": lambda a, b: not _less(_ordered(b, a)),
    ">=": lambda a, b: not _less(_ordered(a, b)),
}


def _less(pair: tuple[float, float] | tuple[str, str]) -> bool:
    return pair[0] < pair[1]  # type: ignore[operator]


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: math.fmod(a, b),
    "^": lambda a, b: a**b,
}
