"""How a kind of REDCap value is stored and shown: its SQL type, what text fits it, and the cast.

DuckDB's casts are generous: '1.5' becomes the integer 2, '0x1F' becomes 31, '2020-01-01 10:00' becomes a
date. Nothing may be invented, so a cast is only tried on text of the right shape.
What kind a field is, is redcap_source.dictionary's business.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    plain: str = ""
    """A test over {value} that only text that fits can pass, and most of it does; far cheaper than the shape."""
    letters: str = ""
    """In place of such a test: of these characters alone nothing can be made that the cast takes and that does not fit.

    As they stand between the brackets of a regular expression.
    """

    def of(self, value: str) -> str:
        """The typed expression over a SQL expression of text; NULL where the text does not fit."""
        cast = self.cast.format(value=value)
        return f"CASE WHEN regexp_full_match({value}, {literal(self.shape)}) THEN {cast} END"

    def suspects(self, value: str) -> str:
        """An aggregate over a SQL expression of text: how many may not fit, by the cheap test.

        With `letters` it speaks of text made of them alone; whether there is other text, `strange` says.
        """
        if self.letters:
            return f"count({value}) - count({self.cast.format(value=value)})"
        # count_if is NULL where the test is, for every row.
        return f"count({value}) - coalesce(count_if({self.plain.format(value=value)}), 0)"

    def misfit(self, value: str) -> str:
        """The exact test over a SQL expression of text: whether it does not fit."""
        return f"{value} IS NOT NULL AND {self.of(value)} IS NULL"


def strange(letters: str, values: Iterable[str]) -> str:
    """The test for a row to have a character that is none of the letters, anywhere in some SQL expressions of text.

    Looking at all of them at once costs a fraction of looking at each.
    """
    return f"regexp_matches(concat({', '.join(values)}), {literal(f'[^{letters}]')})"


# What a cast gives back unchanged was written the one way DuckDB writes it, so nothing was invented.
_SAME_DATE = "length({value}) = 10 AND TRY_CAST({value} AS DATE)::VARCHAR = {value}"

_BOOLEAN = SqlType("BOOLEAN", "[01]", "{value} = '1'", "{value} IN ('0', '1')")
_INTEGER = SqlType("BIGINT", r"[-+]?[0-9]+", "TRY_CAST({value} AS BIGINT)", letters="0-9-")
# No plus sign among the letters: DuckDB takes +-1 for a number.
_FLOAT = SqlType("DOUBLE", _NUMBER, "TRY_CAST({value} AS DOUBLE)", letters="0-9.eE-")
_COMMA = SqlType(
    "DOUBLE", _NUMBER.replace(r"\.", "[.,]"), "TRY_CAST(replace({value}, ',', '.') AS DOUBLE)", letters="0-9.,eE-"
)
_DAY = SqlType("DATE", _DATE, "TRY_CAST({value} AS DATE)", _SAME_DATE)
_MOMENT = SqlType(
    "TIMESTAMP",
    f"{_DATE} {_CLOCK}(:[0-5][0-9])?",
    "TRY_CAST({value} AS TIMESTAMP)",
    "length({value}) IN (16, 19) AND TRY_CAST({value} AS TIMESTAMP)::VARCHAR IN ({value}, {value} || ':00')",
)
_TIME = SqlType("TIME", f"{_CLOCK}(:[0-5][0-9])?", "TRY_CAST({value} AS TIME)", "false")
# Minutes and seconds are a time of day in REDCap's eyes too; the hour is nought.
_TIME_MM_SS = SqlType("TIME", "[0-5][0-9]:[0-5][0-9]", "TRY_CAST('00:' || {value} AS TIME)", "false")

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
INSTANCE = SqlType("INTEGER", r"[0-9]+", "TRY_CAST({value} AS INTEGER)", "{value} IN ('1', '2', '3')")
