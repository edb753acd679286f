"""Statements that list values, rows and cells that do not fit. Text only, nothing is executed here.

Not here: which values fit (tables/value_checks.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.warehouse.database.quoting import literal
from pipelines.warehouse.tables.layout import (
    EVENT,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    InstrumentTable,
    Layout,
    rows_now,
    work_columns,
)
from pipelines.warehouse.tables.value_checks import ColumnCheck, listed

# The reasons of rows and cells that are listed whatever their values are.
CONTRADICTION = "contradicts the project's setup"
STRAY = "on a row of the repeating instrument "
# Tests in one query: a single query of thousands of columns would take as much memory as all else together.
TESTS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class SetupRule:
    """Where the project's setup allows an instrument to have rows."""

    field: str
    column: str
    """The key it is about."""
    broken: str
    """The test for a row to be elsewhere; SQL."""
    expected: str


def setup_rules(layout: Layout, table: InstrumentTable) -> list[SetupRule]:
    """Where the setup says the instrument can have no row: such rows are kept like any other, and listed."""
    rules = []
    if table.events is not None:
        known = ", ".join(literal(event) for event in sorted(table.events))
        outside = f"NOT list_contains([{known}]::VARCHAR[], _event)"
        rules.append(SetupRule(EVENT, "_event", outside, "an event of the instrument"))
    if not table.repeats and layout.position(REPEAT_INSTANCE) is not None:
        rules.append(SetupRule(REPEAT_INSTANCE, "_instance", "_instance <> ''", "no instance"))
    return rules


def present_rows(project: str, instrument: str) -> str:
    """The instrument's stored rows in place of a batch's, as the temporary view `incoming`."""
    return f"CREATE OR REPLACE TEMP VIEW incoming AS FROM {rows_now(project, instrument)}"


def count_rows(tests: Sequence[str], rows: str) -> list[str]:
    """Queries of how many rows of a temporary table pass each test, some tests in each query."""
    counts = [f"count(*) FILTER ({test})" for test in tests]
    return [
        f"SELECT {', '.join(counts[first : first + TESTS_AT_ONCE])} FROM {rows}"
        for first in range(0, len(counts), TESTS_AT_ONCE)
    ]


def insert_contradictions(rule: SetupRule) -> str:
    """List the incoming rows that break a rule of the setup."""
    return f"""
        INSERT INTO redcap.invalid_values
        SELECT $project, _record, nullif(_event, ''), $instrument, nullif(_instance, ''), $field, {rule.column},
               $expected, {literal(CONTRADICTION)}, $run_id
        FROM incoming WHERE {rule.broken}
        """


def insert_values(checks: Sequence[ColumnCheck], where: str) -> str:
    """List the values of some columns that fail the exact test, in the incoming rows where one may."""
    return f"""
        INSERT INTO redcap.invalid_values
        SELECT $project, _record, nullif(_event, ''), $instrument, nullif(_instance, ''), cell.field, cell.value,
               cell.expected, cell.reason, $run_id
        FROM (SELECT _record, _event, _instance, unnest({listed(checks)}) AS cell FROM incoming WHERE {where})
        WHERE cell IS NOT NULL
        """


def stray_test(layout: Layout, table: InstrumentTable, holds: str) -> str | None:
    """The test for a row of the batch that is another repeating instrument's, and holds values of this one.

    `holds` is the test for a row to hold data of the instrument. None if nothing repeats.
    """
    repeat = layout.position(REPEAT_INSTRUMENT)
    return None if repeat is None else f"c{repeat} IS NOT NULL AND c{repeat} <> {literal(table.name)} AND {holds}"


def count_strays(test: str) -> str:
    """How many rows of the batch pass that test."""
    return f"SELECT count(*) FROM batch WHERE {test}"


def insert_strays(layout: Layout, table: InstrumentTable, test: str) -> str:
    """List the cells of such rows: they have no place in a table."""
    repeat = layout.position(REPEAT_INSTRUMENT)
    cells = ", ".join(
        f"{{'field': {literal(field)}, 'value': c{layout.position(field)}}}" for _, field in work_columns(layout, table)
    )
    return f"""
        INSERT INTO redcap.invalid_values
        SELECT $project, c0, {_cell(layout, EVENT)}, $instrument, {_cell(layout, REPEAT_INSTANCE)}, cell.field,
               cell.value, 'a row of the instrument', {literal(STRAY)} || other, $run_id
        FROM (SELECT *, c{repeat} AS other, unnest([{cells}]) AS cell FROM batch WHERE {test})
        WHERE cell.value IS NOT NULL
        """


def _cell(layout: Layout, field: str) -> str:
    """A column of the batch's rows, where they have it."""
    position = layout.position(field)
    return "NULL" if position is None else f"c{position}"
