"""How a kind of REDCap value is shown: its SQL type, the text that is valid, and the cast.

DuckDB's casts accept too much: '1.5' becomes the integer 2, '0x1F' becomes 31, '2020-01-01 10:00' becomes a date,
'1e400' becomes infinity. No value may be altered, so only text of the right shape is cast, and text that the type
cannot hold exactly is invalid. Not here: which kind a field is (redcap_source/dictionary).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from pipelines.warehouse.database.quoting import literal
from redcap_source.dictionary import ValueKind

# As REDCap writes dates: four digits, two and two. DuckDB's year 0 is 1 BC.
_YEAR = r"([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DATE = rf"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
# The hour may have one digit: REDCap's own validation takes 9:05.
_CLOCK = r"([01]?[0-9]|2[0-3]):[0-5][0-9]"
_NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"

# All days since the year 1000, so that no cast is needed to recognise one.
_LEAP_YEAR = "([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
_REAL_DATE = (
    "([1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    f"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
# Numbers without an exponent whose digits are at most fifteen: a DOUBLE gives all of those back.
_SHORT_NUMBER = r"[-+]?([0-9]{1,3}\.[0-9]{0,12}|[0-9]{1,8}(\.[0-9]{0,7})?|[0-9]{9,15}|\.[0-9]{1,15})"


@dataclass(frozen=True, slots=True)
class SqlType:
    """A SQL type, the shape of text that fits it and the expression that converts such text."""

    name: str
    shape: str
    cast: str
    """An expression over the placeholder {value}."""
    usual: str
    """A shape that most text has; all text of this shape is valid, so that no cast is needed to know it."""
    exact: str = ""
    """Where the type cannot hold all text of the shape: the test, over {value}, for text it can hold; SQL."""
    macro: str = ""
    """What the conversion is called in the published file, where it is not the only one to its type."""

    def of(self, value: str, missing: Collection[str] = ()) -> str:
        """The typed expression over a SQL expression of text; NULL where the text is invalid.

        `missing` are the codes for missing data, which are no values whatever shape they have.
        """
        cast = self.cast.format(value=value)
        # The same as regexp_full_match, which takes the parser half as much memory again.
        fits = f"{value} SIMILAR TO {literal(self.shape)}"
        whens = [f"WHEN {fits} THEN {cast}"]
        if self.exact:
            usual = f"{value} SIMILAR TO {literal(self.usual)}"
            whens = [f"WHEN {usual} THEN {cast}", f"WHEN {fits} AND {self.exact.format(value=value)} THEN {cast}"]
        if codes := self.alike(missing):
            whens.insert(0, f"WHEN {value} IN ({', '.join(map(literal, codes))}) THEN NULL")
        return f"CASE {' '.join(whens)} END"

    def alike(self, codes: Collection[str]) -> list[str]:
        """The codes that have the shape of values."""
        return [code for code in codes if re.fullmatch(self.shape, code)]

    def invalid(self, value: str, missing: Collection[str] = ()) -> str:
        """The exact test over a SQL expression of text: whether it is invalid."""
        return f"{value} IS NOT NULL AND {self.of(value, missing)} IS NULL"

    @property
    def held_not(self) -> str:
        """Why text that has the shape is invalid."""
        return f"a {self.name} cannot hold it exactly"

    def reason(self, value: str) -> str:
        """Why text that is no code for missing data is invalid; SQL."""
        too_long = ""
        if self.name in ("BIGINT", "DOUBLE"):
            too_long = f"WHEN regexp_full_match({value}, {literal(self.shape)}) THEN {literal(self.held_not)} "
        return (
            f"CASE WHEN {value} = '[not completed]' THEN 'survey not completed' {too_long}ELSE 'not a {self.name}' END"
        )


def _digits(text: str) -> str:
    """The digits of a number that count, without sign, point, exponent and the zeros around them; SQL."""
    return f"trim(regexp_replace({text}, '[eE].*|[^0-9]', '', 'g'), '0')"


def _held_exactly(number: str) -> str:
    """The test for a DOUBLE to give a number's digits back: neither too many of them, nor too large, nor too small.

    Its text is the shortest that makes the same DOUBLE; if it has the digits as written, it is the number as written.
    """
    return f"{_digits(number)} = {_digits(f'TRY_CAST({number} AS DOUBLE)::VARCHAR')}"


_BOOLEAN = SqlType("BOOLEAN", "[01]", "{value} = '1'", usual="[01]")
_INTEGER = SqlType("BIGINT", r"[-+]?[0-9]+", "TRY_CAST({value} AS BIGINT)", usual=r"[-+]?[0-9]{1,18}")
_FLOAT = SqlType("DOUBLE", _NUMBER, "TRY_CAST({value} AS DOUBLE)", usual=_SHORT_NUMBER, exact=_held_exactly("{value}"))
_WITH_POINT = "replace({value}, ',', '.')"
_COMMA = SqlType(
    "DOUBLE",
    _NUMBER.replace(r"\.", "[.,]"),
    f"TRY_CAST({_WITH_POINT} AS DOUBLE)",
    usual=_SHORT_NUMBER.replace(r"\.", "[.,]"),
    exact=_held_exactly(_WITH_POINT),
    macro="double_with_comma",
)
_DAY = SqlType("DATE", _DATE, "TRY_CAST({value} AS DATE)", usual=_REAL_DATE)
_MOMENT = SqlType(
    "TIMESTAMP",
    f"{_DATE} {_CLOCK}(:[0-5][0-9])?",
    "TRY_CAST({value} AS TIMESTAMP)",
    usual=f"{_REAL_DATE} {_CLOCK}(:[0-5][0-9])?",
)
_WITH_SECONDS = f"{_CLOCK}(:[0-5][0-9])?"
_TIME = SqlType("TIME", _WITH_SECONDS, "TRY_CAST({value} AS TIME)", usual=_WITH_SECONDS)
# For REDCap minutes and seconds are a time of day too; the hour is 0.
_MM_SS = "[0-5][0-9]:[0-5][0-9]"
_TIME_MM_SS = SqlType(
    "TIME", _MM_SS, "TRY_CAST('00:' || {value} AS TIME)", usual=_MM_SS, macro="time_of_minutes_and_seconds"
)

_TYPES: dict[ValueKind, SqlType] = {
    ValueKind.INTEGER: _INTEGER,
    ValueKind.NUMBER: _FLOAT,
    ValueKind.NUMBER_COMMA: _COMMA,
    ValueKind.CALC: _FLOAT,
    ValueKind.SLIDER: _INTEGER,
    ValueKind.DATE: _DAY,
    ValueKind.DATETIME: _MOMENT,
    ValueKind.DATETIME_SECONDS: _MOMENT,
    ValueKind.TIME: _TIME,
    ValueKind.TIME_SECONDS: _TIME,
    ValueKind.MINUTES_SECONDS: _TIME_MM_SS,
    ValueKind.BOOLEAN_YESNO: _BOOLEAN,
    ValueKind.BOOLEAN_TRUEFALSE: _BOOLEAN,
    ValueKind.CHECKBOX: _BOOLEAN,
}


def sql_type(kind: ValueKind) -> SqlType | None:
    """The SQL type of a kind of value, or None if the text itself is the value."""
    return _TYPES.get(kind)


def all_types() -> frozenset[SqlType]:
    """Every SQL type that columns of a published table have, beside VARCHAR."""
    return frozenset({*_TYPES.values(), SURVEY_TIMESTAMP, INSTANCE})


def type_name(kind: ValueKind) -> str:
    """The name of the SQL type analysts see."""
    found = sql_type(kind)
    return found.name if found is not None else "VARCHAR"


SURVEY_TIMESTAMP = _MOMENT
INSTANCE = SqlType("INTEGER", r"[0-9]+", "TRY_CAST({value} AS INTEGER)", usual="[0-9]{1,9}")
# A blank instance is stored as '' (keys are never NULL) and is valid.
BLANK_INSTANCE = SqlType(
    "INTEGER",
    "[0-9]*",
    "coalesce(TRY_CAST(nullif({value}, '') AS INTEGER), if({value} = '', 0, NULL))",
    usual="[0-9]{0,9}",
)
