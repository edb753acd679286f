"""The tests that an instrument's values must pass, as SQL over the rows that a load has staged. Pure.

A value is valid if it is of its column's type or one of its field's choices, and is not a code for missing data.
Testing each cell by itself costs more than storing it; so the cells of a row are joined and matched at once against the
shapes that most of them have. Only rows that do not match are tested cell by cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.tables.layout import REPEAT_INSTANCE, Column, InstrumentTable, Layout, work_columns
from pipelines.warehouse.tables.types import BLANK_INSTANCE, INSTANCE, SURVEY_TIMESTAMP, SqlType, sql_type
from redcap_source.dictionary import ValueKind

MISSING_DATA_CODE = "missing data code"
NO_CHOICE = "not among the choices"
A_CHOICE = "one of its choices"

# Between the cells of a row. Hardly any text contains it; a row with such text matches no pattern.
_BETWEEN = "\x1f"
# How many columns are matched at once: of one pattern, and of several. Measured over 24 columns: for 500 rows several
# patterns of numbers take twice as long as one, since every statement builds its automaton again; the short patterns of
# choices do not.
_ALIKE = 100
_TOGETHER = 24
# Choices of more text than this are looked up in a list instead.
_MOST_CHOICES = 1500


@dataclass(frozen=True, slots=True)
class ColumnCheck:
    """How the values of one column are tested."""

    name: str
    """In the mirror."""
    field: str
    """REDCap's name of the column."""
    expected: str
    invalid: str
    """The exact test for a value to be invalid; SQL."""
    reason: str
    """Why it is invalid, where it is; SQL."""
    usual: str = ""
    """A pattern that most valid text matches and no other text does; without one the exact test is always made."""
    excluded: tuple[str, ...] = ()
    """Codes for missing data that match the pattern nevertheless."""


def column_checks(layout: Layout, table: InstrumentTable) -> list[ColumnCheck]:
    """The tests of an instrument's columns, those of one kind together; free text has none."""
    fields = dict(work_columns(layout, table))
    found = [(column.kind.value, check) for column in table.columns if (check := _column_check(column)) is not None]
    found.sort(key=lambda pair: pair[0])
    checks = [check for _, check in found]
    if table.survey:
        checks.append(_typed("_survey_timestamp", fields["_survey_timestamp"], SURVEY_TIMESTAMP))
    if layout.position(REPEAT_INSTANCE) is not None:
        checks.append(_typed("_instance", REPEAT_INSTANCE, BLANK_INSTANCE))
    return checks


def groups(checks: Iterable[ColumnCheck]) -> list[list[ColumnCheck]]:
    """Columns that are tested together; those without a pattern each by itself."""
    alike: dict[str, list[ColumnCheck]] = {}
    choices: list[ColumnCheck] = []
    alone: list[ColumnCheck] = []
    for check in checks:
        if not check.usual:
            alone.append(check)
        elif check.expected == A_CHOICE:
            choices.append(check)
        else:
            alike.setdefault(check.usual, []).append(check)
    return [
        *(part for some in alike.values() for part in _parts(some, _ALIKE)),
        *_parts(choices, _TOGETHER),
        *([check] for check in alone),
    ]


def _parts(checks: Sequence[ColumnCheck], most: int) -> Iterator[list[ColumnCheck]]:
    for first in range(0, len(checks), most):
        yield list(checks[first : first + most])


def maybe_invalid(checks: Sequence[ColumnCheck]) -> str:
    """The test for a row in which one of these values may be invalid; SQL. Blank cells are NULL, never empty text."""
    if not checks[0].usual:
        return " OR ".join(f"({check.invalid})" for check in checks)
    names = ", ".join(identifier(check.name) for check in checks)
    between = literal(_BETWEEN)
    joined = f"concat_ws({between}, {names})"
    patterns = list(dict.fromkeys(check.usual for check in checks))
    if len(patterns) == 1:
        pattern = f"((?:{patterns[0]})({_BETWEEN}(?:{patterns[0]}))*)?"
        tests = [f"NOT regexp_full_match({joined}, {literal(pattern)})", f"contains(concat({names}), {between})"]
    else:
        # Each cell in its place, those of blank cells empty; text with the separator in it makes one too many.
        cells = f", {between}, ".join(identifier(check.name) for check in checks)
        pattern = _BETWEEN.join(f"(?:{check.usual})?" for check in checks)
        tests = [f"NOT regexp_full_match(concat({cells}), {literal(pattern)})"]
    if excluded := dict.fromkeys(code for check in checks for code in check.excluded):
        codes = "|".join(map(re.escape, excluded))
        tests.append(f"regexp_matches({joined}, {literal(f'(?:^|{_BETWEEN})(?:{codes})(?:{_BETWEEN}|$)')})")
    return f"({' OR '.join(tests)})"


def listed(checks: Sequence[ColumnCheck]) -> str:
    """The invalid values of a row, as a list with a NULL for each valid one; SQL."""
    cells = (
        f"CASE WHEN {check.invalid} THEN {{'field': {literal(check.field)}, 'value': {identifier(check.name)}, "
        f"'expected': {literal(check.expected)}, 'reason': {check.reason}}} END"
        for check in checks
    )
    return f"[{', '.join(cells)}]"


def _column_check(column: Column) -> ColumnCheck | None:
    kind = sql_type(column.kind)
    if kind is not None:
        return _typed(column.name, column.name, kind, column)
    if column.kind not in (ValueKind.CHOICE, ValueKind.STATUS) or not column.choices:
        # Only the server knows the choices of a field that takes them from a query.
        return None
    value, codes = identifier(column.name), [choice.code for choice in column.choices]
    pattern = "|".join(map(re.escape, codes))
    return ColumnCheck(
        name=column.name,
        field=column.name,
        expected=A_CHOICE,
        invalid=f"{value} NOT IN ({', '.join(map(literal, codes))})",
        reason=_reason(column, literal(NO_CHOICE)),
        usual=pattern if len(pattern) <= _MOST_CHOICES and _BETWEEN not in pattern else "",
    )


def _typed(name: str, field: str, kind: SqlType, column: Column | None = None) -> ColumnCheck:
    value = identifier(name)
    missing = [choice.code for choice in column.missing] if column is not None else []
    plain = kind.reason(value)
    if column is not None and column.kind in (ValueKind.BOOLEAN_YESNO, ValueKind.BOOLEAN_TRUEFALSE):
        plain = literal(NO_CHOICE)
    return ColumnCheck(
        name=name,
        field=field,
        expected=INSTANCE.name if name == "_instance" else kind.name,
        invalid=kind.invalid(value, missing),
        reason=plain if column is None else _reason(column, plain),
        usual=kind.usual,
        excluded=tuple(code for code in missing if re.fullmatch(kind.usual, code)),
    )


def _reason(column: Column, otherwise: str) -> str:
    if not column.missing:
        return otherwise
    codes = ", ".join(literal(choice.code) for choice in column.missing)
    return f"CASE WHEN {identifier(column.name)} IN ({codes}) THEN {literal(MISSING_DATA_CODE)} ELSE {otherwise} END"
