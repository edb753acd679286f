"""REDCap's logic: what filterLogic, branching and calculated fields are written in.

An expression becomes a tree of closures (nodes.py). The caller looks fields up, so nothing here depends on records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Sequence
from datetime import datetime

from redcap_source.simulator.logic.dates import DATE_FUNCTIONS
from redcap_source.simulator.logic.functions import FUNCTIONS, Value, is_true, missing_code_functions
from redcap_source.simulator.logic.nodes import (
    COMPARISONS,
    Look,
    Node,
    Reference,
    both,
    calculated,
    called,
    compared,
    constant,
    either,
    looked_up,
    negated,
)

Combine = Callable[[str, Node, Node], Node]


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
        """The result: text or a number."""
        return self._node(look, now)

    def holds(self, look: Look, now: datetime) -> bool:
        """Whether the expression is true."""
        return is_true(self._node(look, now))


def parse(text: str, missing_codes: Collection[str] = ()) -> Logic:
    """Parse an expression of a project with these missing data codes; raises LogicError."""
    parser = _Parser(_tokens(_COMMENT.sub("", text)), missing_codes)
    node = parser.expression()
    if parser.peek():
        raise LogicError(f"unexpected {parser.peek()!r}")
    return Logic(node, parser.references)


def _tokens(text: str) -> list[str]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise LogicError(f"cannot read from {text[position : position + 20]!r}")
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


class _Parser:
    """A recursive-descent parser: a method for each precedence level, the loosest first."""

    def __init__(self, tokens: list[str], missing_codes: Collection[str]) -> None:
        self._tokens = tokens
        self._functions = {**FUNCTIONS, **DATE_FUNCTIONS, **missing_code_functions(missing_codes)}
        self._at = 0
        self.references: list[Reference] = []

    def peek(self) -> str:
        """The next token; blank at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def expression(self) -> Node:
        """A whole expression."""
        return self._chain(("or", "||"), self._conjunction, lambda sign, left, right: either(left, right))

    def _take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise LogicError(f"{token!r} is missing")

    def _chain(self, signs: Container[str], operand: Callable[[], Node], combine: Combine) -> Node:
        """Operands with any of these signs between them, from left to right."""
        node = operand()
        while self.peek().lower() in signs:
            node = combine(self._take(), node, operand())
        return node

    def _conjunction(self) -> Node:
        return self._chain(("and", "&&"), self._negation, lambda sign, left, right: both(left, right))

    def _negation(self) -> Node:
        if self.peek().lower() in ("not", "!"):
            self._take()
            return negated(self._negation())
        return self._chain(COMPARISONS, self._sum, compared)

    def _sum(self) -> Node:
        return self._chain(("+", "-"), self._product, calculated)

    def _product(self) -> Node:
        return self._chain(("*", "/", "%"), self._power, calculated)

    def _power(self) -> Node:
        return self._chain(("^",), self._signed, calculated)

    def _signed(self) -> Node:
        if self.peek() in ("-", "+"):
            sign, inner = self._take(), self._signed()
            return inner if sign == "+" else calculated("-", constant(0.0), inner)
        return self._atom()

    def _atom(self) -> Node:
        token = self._take()
        if token == "(":  # noqa: S105
            node = self.expression()
            self._expect(")")
            return node
        if token.startswith("["):
            return self._reference(token)
        if token[:1] in "\"'" and token:
            return constant(token[1:-1])
        if token[:1].isdigit() or token[:1] == ".":
            return constant(float(token))
        return self._call(token)

    def _call(self, name: str) -> Node:
        if name.lower() in _TRUTHS and self.peek() != "(":
            return constant(_TRUTHS[name.lower()])
        if name.lower() not in self._functions or self.peek() != "(":
            raise LogicError(f"unknown word {name!r}")
        function, fewest, most = self._functions[name.lower()]
        arguments = self._arguments()
        if len(arguments) < fewest or (most is not None and len(arguments) > most):
            raise LogicError(f"{name}() does not take {len(arguments)} arguments")
        return called(function, arguments)

    def _arguments(self) -> list[Node]:
        self._expect("(")
        arguments: list[Node] = []
        while self.peek() != ")":
            arguments.append(self.expression())
            if self.peek() == ",":
                self._take()
            elif self.peek() != ")":
                raise LogicError("')' is missing")
        self._take()
        return arguments

    def _reference(self, token: str) -> Node:
        parts = [token[1:-1].strip()]
        while self.peek().startswith("["):
            parts.append(self._take()[1:-1].strip())
        reference = _reference_of(parts)
        self.references.append(reference)
        return looked_up(reference)


def _reference_of(parts: list[str]) -> Reference:
    instance = parts.pop() if len(parts) > 1 and (parts[-1].isdigit() or parts[-1].endswith("instance")) else ""
    field = parts.pop()
    event = parts[0] if parts else ""
    box = _CHECKBOX.match(field)
    if box:
        return Reference(box[1].lower(), box[2], event, instance)
    return Reference(field.split(":")[0].lower(), "", event, instance)
