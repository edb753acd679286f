"""REDCap's logic: what filterLogic, branching and calculated fields are written in.

An expression is parsed into a small tree of closures. Values are text or numbers; blank is the empty text. Fields are
looked up by the caller, so this module knows no records.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from redcap_source.simulator.logic.dates import DATE_FUNCTIONS
from redcap_source.simulator.logic.functions import FUNCTIONS, Function, Value, as_number, is_true, said


class Reference(NamedTuple):
    """A field somewhere: [event][field(code)][instance]."""

    field: str
    code: str = ""
    event: str = ""
    instance: str = ""


Look = Callable[[Reference], str]
Node = Callable[[Look, datetime], Value]

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>\d+\.?\d*|\.\d+)
  | (?P<string>"[^"]*"|'[^']*')
  | (?P<field>\[[^\[\]]+\])
  | (?P<word>[A-Za-z_][A-Za-z_0-9]*)
  | (?P<sign><>|!=|<=|>=|==|=|<|>|\+|-|\*|/|\^|%|\(|\)|,|!|&&|\|\|)
    )""",
    re.VERBOSE,
)
_TRUTHS = {"true": 1.0, "false": 0.0}
_CHECKBOX = re.compile(r"^([a-z0-9_]+)\(([^()]*)\)$", re.IGNORECASE)
_COMMENT = re.compile(r"(?m)^\s*(//|#).*$")


class LogicError(Exception):
    """The expression cannot be read."""


class Logic:
    """A parsed expression and the fields it mentions."""

    def __init__(self, node: Node, references: Sequence[Reference]) -> None:
        self._node = node
        self.references = tuple(references)

    def value(self, look: Look, now: datetime) -> Value:
        """What the expression comes to."""
        return self._node(look, now)

    def holds(self, look: Look, now: datetime) -> bool:
        """Whether the expression is true."""
        return is_true(self._node(look, now))


def parse(text: str, missing_codes: Collection[str] = ()) -> Logic:
    """Read an expression of a project with these missing data codes."""
    reader = _Reader(_tokens(_COMMENT.sub("", text)), missing_codes)
    node = reader.either()
    if reader.peek():
        raise LogicError(f"unexpected {reader.peek()!r}")
    return Logic(node, reader.references)


def _tokens(text: str) -> list[str]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise LogicError(f"cannot read from {text[position : position + 20]!r}")
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


class _Reader:
    """A recursive descent, loosest binding first."""

    def __init__(self, tokens: list[str], missing_codes: Collection[str]) -> None:
        self._tokens = tokens
        self._functions = {**FUNCTIONS, **DATE_FUNCTIONS, **_missing_code_functions(missing_codes)}
        self._at = 0
        self.references: list[Reference] = []

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise LogicError(f"{token!r} is missing")

    def either(self) -> Node:
        node = self._both()
        while self.peek().lower() in ("or", "||"):
            self._take()
            node = _or(node, self._both())
        return node

    def _both(self) -> Node:
        node = self._negation()
        while self.peek().lower() in ("and", "&&"):
            self._take()
            node = _and(node, self._negation())
        return node

    def _negation(self) -> Node:
        if self.peek().lower() in ("not", "!"):
            self._take()
            inner = self._negation()
            return lambda look, now: 0.0 if is_true(inner(look, now)) else 1.0
        return self._comparison()

    def _comparison(self) -> Node:
        node = self._sum()
        while self.peek() in _COMPARISONS:
            node = _compare(self._take(), node, self._sum())
        return node

    def _sum(self) -> Node:
        node = self._product()
        while self.peek() in ("+", "-"):
            node = _arithmetic(self._take(), node, self._product())
        return node

    def _product(self) -> Node:
        node = self._power()
        while self.peek() in ("*", "/", "%"):
            node = _arithmetic(self._take(), node, self._power())
        return node

    def _power(self) -> Node:
        node = self._signed()
        while self.peek() == "^":
            node = _arithmetic(self._take(), node, self._signed())
        return node

    def _signed(self) -> Node:
        if self.peek() in ("-", "+"):
            sign, inner = self._take(), self._signed()
            return inner if sign == "+" else _arithmetic("-", lambda look, now: 0.0, inner)
        return self._atom()

    def _atom(self) -> Node:
        token = self._take()
        if token == "(":  # noqa: S105
            node = self.either()
            self._expect(")")
            return node
        if token.startswith("["):
            return self._reference(token)
        if token[:1] in "\"'" and token:
            text = token[1:-1]
            return lambda look, now: text
        if token[:1].isdigit() or token[:1] == ".":
            number = float(token)
            return lambda look, now: number
        return self._call(token)

    def _call(self, name: str) -> Node:
        if name.lower() in _TRUTHS and self.peek() != "(":
            truth = _TRUTHS[name.lower()]
            return lambda look, now: truth
        if name.lower() not in self._functions or self.peek() != "(":
            raise LogicError(f"unknown word {name!r}")
        function, fewest, most = self._functions[name.lower()]
        self._take()
        arguments: list[Node] = []
        while self.peek() != ")":
            arguments.append(self.either())
            if self.peek() == ",":
                self._take()
            elif self.peek() != ")":
                raise LogicError("')' is missing")
        self._take()
        if len(arguments) < fewest or (most is not None and len(arguments) > most):
            raise LogicError(f"{name}() does not take {len(arguments)} arguments")
        return _called(function, arguments)

    def _reference(self, token: str) -> Node:
        parts = [token[1:-1].strip()]
        while self.peek().startswith("["):
            parts.append(self._take()[1:-1].strip())
        reference = _reference_of(parts)
        self.references.append(reference)
        return lambda look, now: look(reference)


def _called(function: Function, arguments: Sequence[Node]) -> Node:
    def node(look: Look, now: datetime) -> Value:
        try:
            return function([argument(look, now) for argument in arguments], now)
        except (ArithmeticError, ValueError):
            return ""  # no number, or none that there is

    return node


def _missing_code_functions(codes: Collection[str]) -> Mapping[str, tuple[Function, int, int | None]]:
    def has(values: Sequence[Value], now: datetime) -> Value:
        wanted = {code.strip() for code in str(values[1]).split(",")}
        return said(values[0] in codes and values[0] in wanted)

    return {
        "isblankormissingcode": (lambda values, now: said(values[0] == "" or values[0] in codes), 1, 1),
        "isblanknotmissingcode": (lambda values, now: said(values[0] == ""), 1, 1),
        "ismissingcode": (lambda values, now: said(values[0] in codes), 1, 1),
        "hasmissingcode": (has, 2, 2),
    }


def _reference_of(parts: list[str]) -> Reference:
    instance = parts.pop() if len(parts) > 1 and (parts[-1].isdigit() or parts[-1].endswith("instance")) else ""
    field = parts.pop()
    event = parts[0] if parts else ""
    box = _CHECKBOX.match(field)
    if box:
        return Reference(box[1].lower(), box[2], event, instance)
    return Reference(field.split(":")[0].lower(), "", event, instance)


def _or(left: Node, right: Node) -> Node:
    return lambda look, now: 1.0 if is_true(left(look, now)) or is_true(right(look, now)) else 0.0


def _and(left: Node, right: Node) -> Node:
    return lambda look, now: 1.0 if is_true(left(look, now)) and is_true(right(look, now)) else 0.0


def _ordered(left: Value, right: Value) -> tuple[float, float] | tuple[str, str]:
    # As PHP does: numbers when both are numeric, text otherwise, so blank comes before everything.
    a, b = as_number(left), as_number(right)
    if a is not None and b is not None:
        return a, b
    return str(_plain(left)), str(_plain(right))


def _plain(value: Value) -> Value:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_COMPARISONS: Mapping[str, Callable[[Value, Value], bool]] = {
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


def _compare(sign: str, left: Node, right: Node) -> Node:
    compare = _COMPARISONS[sign]
    return lambda look, now: 1.0 if compare(left(look, now), right(look, now)) else 0.0


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: math.fmod(a, b),
    "^": lambda a, b: a**b,
}


def _arithmetic(sign: str, left: Node, right: Node) -> Node:
    apply = _ARITHMETIC[sign]

    def node(look: Look, now: datetime) -> Value:
        a, b = as_number(left(look, now)), as_number(right(look, now))
        if a is None or b is None:
            return ""  # a blank anywhere makes the whole calculation blank
        try:
            result = apply(a, b)
        except (ZeroDivisionError, OverflowError, ValueError):
            return ""
        return result if isinstance(result, float) and math.isfinite(result) else ""

    return node
