"""The macros of the published file that convert text to the SQL type of its field. Pure: text only.

A view that calls a macro is a fraction as long as one that repeats the whole expression for every column, and every
connection to the file reads the text of all its views.
"""

from __future__ import annotations

from collections.abc import Collection

from pipelines.warehouse.database.quoting import literal
from pipelines.warehouse.tables.types import INSTANCE, SURVEY_TIMESTAMP, SqlType, all_types, sql_type
from redcap_source.dictionary import ValueKind

# How the names of the macros begin, with the schema of the published file that has them.
TESTING, TRUSTING = "_publish.as_", "_publish.to_"


def create_macros() -> str:
    """The statements that create every macro, and beside each one that converts text without testing its shape."""
    statements = []
    for kind in sorted(all_types(), key=_name):
        statements += [
            f"CREATE OR REPLACE MACRO {TESTING}{_name(kind)}(v) AS {kind.of('v')}",
            f"CREATE OR REPLACE MACRO {TRUSTING}{_name(kind)}(v) AS {kind.cast.format(value='v')}",
        ]
    return "; ".join(statements)


def trusting(select: str) -> str | None:
    """The SELECT of a table with types without the tests; None if it must recognise codes for missing data.

    For a table of which no value is listed as not fitting: the load has tested every one of them, by the same shapes.
    Without the tests the table is read three times as fast.
    """
    return select.replace(TESTING, TRUSTING) if "CASE" not in select else None


def cast(kind: ValueKind, value: str, missing: Collection[str] = ()) -> str | None:
    """The typed expression over a SQL expression of text, NULL where it is invalid; None if the text is the value.

    `missing` are the codes for missing data, which are no values whatever shape they have.
    """
    found = sql_type(kind)
    return None if found is None else _call(found, value, found.alike(missing))


def cast_instance(value: str) -> str:
    """The number of a repeating instance."""
    return _call(INSTANCE, value, [])


def cast_survey_timestamp(value: str) -> str:
    """The time at which a survey was completed."""
    return _call(SURVEY_TIMESTAMP, value, [])


def _call(kind: SqlType, value: str, codes: Collection[str]) -> str:
    call = f"{TESTING}{_name(kind)}({value})"
    if not codes:
        return call
    return f"CASE WHEN {value} IN ({', '.join(map(literal, codes))}) THEN NULL ELSE {call} END"


def _name(kind: SqlType) -> str:
    return kind.macro or kind.name.lower()
