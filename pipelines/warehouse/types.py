"""How a kind of REDCap value is stored and shown: its SQL type, what text fits it, and the cast.

DuckDB's casts are generous: '1.5' becomes the integer 2, '0x1F' becomes 31, '2020-01-01 10:00' becomes a
date. Nothing may be invented, so a cast is only tried on text of the right shape.
What kind a field is, is redcap_source.dictionary's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.warehouse.quoting import literal
from redcap_source.dictionary import ValueKind

_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = r"([01]?[0-9]|2[0-3]):[0-5][0-9]"
_NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"


@dataclass(frozen=True, slots=True)
class SqlType:
    """A SQL type, the shape of text that fits it and the expression that converts such text."""

    name: str
    shape: str
    cast: str
    """An expression over the placeholder {value}."""
    usual: str = ""
    """A shape that most text has, and all text of which fits, so that nothing is cast to know it; if there is one."""
    plain: str = ""
    """Elsewhere a test over {value} that only text that fits can pass, and most of it does; cheaper than the shape."""

    def of(self, value: str) -> str:
        """The typed expression over a SQL expression of text; NULL where the text does not fit."""
        cast = self.cast.format(value=value)
        return f"CASE WHEN regexp_full_match({value}, {literal(self.shape)}) THEN {cast} END"

    def suspects(self, value: str) -> str:
        """An aggregate over a SQL expression of text: how many may not fit, by the plain test."""
        # count_if is NULL where the test is, for every row.
        return f"count({value}) - coalesce(count_if({self.plain.format(value=value)}), 0)"

    def misfit(self, value: str) -> str:
        """The exact test over a SQL expression of text: whether it does not fit."""
        return f"{value} IS NOT NULL AND {self.of(value)} IS NULL"


# Between values that are looked at together. Hardly any text has it in it; what has is looked at by itself.
_BETWEEN = "\x1f"


def unusual(shape: str, values: Sequence[str]) -> str:
    """The test for a row in which not all of some SQL expressions of text are NULL or of the shape.

    Looking at all of them at once costs half of looking at each. Text is never empty: a blank cell is NULL.
    """
    listed, between = ", ".join(values), literal(_BETWEEN)
    all_of_it = literal(f"((?:{shape})({_BETWEEN}(?:{shape}))*)?")
    return (
        f"(NOT regexp_full_match(concat_ws({between}, {listed}), {all_of_it}) OR contains(concat({listed}), {between}))"
    )


# What a cast gives back unchanged was written the one way DuckDB writes it, so nothing was invented.
_SAME_DATE = "length({value}) = 10 AND TRY_CAST({value} AS DATE)::VARCHAR = {value}"

_BOOLEAN = SqlType("BOOLEAN", "[01]", "{value} = '1'", usual="[01]")
_INTEGER = SqlType("BIGINT", r"[-+]?[0-9]+", "TRY_CAST({value} AS BIGINT)", usual=r"[-+]?[0-9]{1,18}")
_FLOAT = SqlType("DOUBLE", _NUMBER, "TRY_CAST({value} AS DOUBLE)", usual=_NUMBER)
_WITH_COMMA = _NUMBER.replace(r"\.", "[.,]")
_COMMA = SqlType("DOUBLE", _WITH_COMMA, "TRY_CAST(replace({value}, ',', '.') AS DOUBLE)", usual=_WITH_COMMA)
_DAY = SqlType("DATE", _DATE, "TRY_CAST({value} AS DATE)", plain=_SAME_DATE)
_MOMENT = SqlType(
    "TIMESTAMP",
    f"{_DATE} {_CLOCK}(:[0-5][0-9])?",
    "TRY_CAST({value} AS TIMESTAMP)",
    plain="length({value}) IN (16, 19) AND TRY_CAST({value} AS TIMESTAMP)::VARCHAR IN ({value}, {value} || ':00')",
)
_WITH_SECONDS = f"{_CLOCK}(:[0-5][0-9])?"
_TIME = SqlType("TIME", _WITH_SECONDS, "TRY_CAST({value} AS TIME)", usual=_WITH_SECONDS)
# Minutes and seconds are a time of day in REDCap's eyes too; the hour is nought.
_MM_SS = "[0-5][0-9]:[0-5][0-9]"
_TIME_MM_SS = SqlType("TIME", _MM_SS, "TRY_CAST('00:' || {value} AS TIME)", usual=_MM_SS)

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
    """The SQL type of a kind of value, or None where the text itself is the value."""
    return _TYPES.get(kind)


def type_name(kind: ValueKind) -> str:
    """The name of the SQL type analysts see."""
    found = sql_type(kind)
    return found.name if found is not None else "VARCHAR"


SURVEY_TIMESTAMP = _MOMENT
INSTANCE = SqlType("INTEGER", r"[0-9]+", "TRY_CAST({value} AS INTEGER)", usual="[0-9]{1,9}")
