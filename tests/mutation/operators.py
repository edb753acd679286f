"""Small wrongs: every place in a source where one can be made, and the text with that one made.

A mutant is a file's whole text with one change in it. Changes that no behaviour can show are not made: in docstrings,
messages and logs, in types, in what a value object looks like when it is printed.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One file with one wrong in it."""

    path: str
    line: int
    change: str
    text: str


# -- Python ---------------------------------------------------------------------------------------------------

_SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_SILENT = ("log", "logging", "progress", "typer", "console")
_PRINTED = ("__repr__", "__str__")


def python_mutants(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a Python file."""
    tree = ast.parse(text)
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        if function.name in _PRINTED:
            continue
        for node, change, apply in _changes(function):
            yield Mutant(path, node.lineno, change, _with(text, node, apply))


def _changes(function: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, Callable[[ast.AST], ast.AST]]]:
    for node in _own_nodes(function):
        match node:
            case ast.If() | ast.While() | ast.IfExp():
                yield node.test, "condition negated", _negated
            case ast.comprehension(ifs=conditions):
                yield from ((condition, "filter negated", _negated) for condition in conditions)
            case ast.BoolOp():
                yield node, "and, or swapped", _bool_swapped
            case ast.Compare(ops=[operator]) if type(operator) in _SWAPPED:
                yield node, "comparison swapped", _compare_swapped
            case ast.UnaryOp(op=ast.Not()):
                yield node, "not dropped", lambda found: found.operand  # type: ignore[attr-defined]
            case ast.Return(value=ast.expr() as value) if not _is_none(value):
                yield value, "returns None", lambda _: ast.Constant(None)
            case ast.Expr(value=ast.Call() as call) if not _says_only(call):
                yield node, "call dropped", lambda _: ast.Pass()
            case ast.AugAssign(op=ast.Add()):
                yield node, "+= becomes -=", _subtracted
            case ast.Constant(value=int() as number) if not isinstance(number, bool):
                yield node, "number plus one", lambda found: ast.Constant(found.value + 1)  # type: ignore[attr-defined]


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it, of messages and of type annotations."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.JoinedStr | ast.arguments | ast.Raise):
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Call) and _says_only(child.value):
            continue
        yield child
        yield from _own_nodes(child)


def _says_only(call: ast.Call) -> bool:
    """Whether a call only tells a person something."""
    names = {node.id for node in ast.walk(call.func) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(call.func) if isinstance(node, ast.Attribute)}
    return bool(names.intersection(_SILENT))


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _negated(node: ast.AST) -> ast.AST:
    return ast.UnaryOp(ast.Not(), node)  # type: ignore[arg-type]


def _bool_swapped(node: ast.AST) -> ast.AST:
    swapped = copy.copy(node)
    swapped.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()  # type: ignore[attr-defined]
    return swapped


def _compare_swapped(node: ast.AST) -> ast.AST:
    swapped = copy.copy(node)
    swapped.ops = [_SWAPPED[type(node.ops[0])]()]  # type: ignore[attr-defined]
    return swapped


def _subtracted(node: ast.AST) -> ast.AST:
    swapped = copy.copy(node)
    swapped.op = ast.Sub()  # type: ignore[attr-defined]
    return swapped


def _with(text: str, node: ast.expr | ast.stmt, apply: Callable[[ast.AST], ast.AST]) -> str:
    """The text with one node's source replaced; columns count bytes."""
    lines = text.encode().splitlines(keepends=True)
    begin = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: (node.end_lineno or node.lineno) - 1])) + (node.end_col_offset or 0)
    source = text.encode()
    changed = ast.unparse(ast.fix_missing_locations(apply(node)))
    replaced = changed if isinstance(node, ast.stmt) else f"({changed})"
    return (source[:begin] + replaced.encode() + source[end:]).decode()


# -- SQL ------------------------------------------------------------------------------------------------------

_SQL: tuple[tuple[str, str, str], ...] = (
    (r"\bAND\b", "OR", "AND becomes OR"),
    (r"\bOR\b(?! REPLACE)", "AND", "OR becomes AND"),
    (r"\bDISTINCT\b(?! FROM)", "", "DISTINCT dropped"),
    (r"\bNOT EXISTS\b(?! \w)", "EXISTS", "NOT EXISTS becomes EXISTS"),
    (r"\bANTI JOIN\b", "SEMI JOIN", "ANTI becomes SEMI"),
    (r"\bSEMI JOIN\b", "ANTI JOIN", "SEMI becomes ANTI"),
    (r"\bLEFT JOIN\b", "JOIN", "LEFT JOIN becomes JOIN"),
    (r"\bIS NOT NULL\b", "IS NULL", "IS NOT NULL becomes IS NULL"),
    (r"\bIS NULL\b", "IS NOT NULL", "IS NULL becomes IS NOT NULL"),
    (r"\bIS DISTINCT FROM\b", "IS NOT DISTINCT FROM", "IS DISTINCT FROM negated"),
    (r"\bIS NOT DISTINCT FROM\b", "IS DISTINCT FROM", "IS NOT DISTINCT FROM negated"),
    (r"\bNOT IN\b", "IN", "NOT IN becomes IN"),
    (r"(?<= )<>(?= )", "=", "<> becomes ="),
    (r"(?<= )<(?= )", "<=", "< becomes <="),
    (r"(?<= )>(?= )", ">=", "> becomes >="),
    (r"(?<= )<=(?= )", "<", "<= becomes <"),
    (r"(?<= )>=(?= )", ">", ">= becomes >"),
    (r"\bmin\(", "max(", "min becomes max"),
    (r"\bmax\(", "min(", "max becomes min"),
    (r"\bDESC\b", "ASC", "DESC becomes ASC"),
    (r"\bAND [\w.]+ = [\w.$]+(?=[\s);])", "", "a condition dropped"),
    (r"\bWHERE [\w.]+ = [\w.$]+(?=;)", "", "the condition dropped"),
    (r"'\w+', (?=')", "", "a value of a list dropped"),
)


def sql_mutants(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a file of fixed SQL; definitions of tables stay as they are."""
    comments = [found.span() for found in re.finditer(r"--.*", text)]
    comments += [found.span() for found in re.finditer(r"CREATE (?:TABLE|SCHEMA)[^;]*;", text)]
    for pattern, replacement, change in _SQL:
        for found in re.finditer(pattern, text):
            if not any(begin <= found.start() < end for begin, end in comments):
                line = text.count("\n", 0, found.start()) + 1
                yield Mutant(path, line, change, text[: found.start()] + replacement + text[found.end() :])


def mutants(path: str, text: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    found = sql_mutants(path, text) if path.endswith(".sql") else python_mutants(path, text)
    return sorted(found, key=lambda mutant: (mutant.line, mutant.change, mutant.text))
