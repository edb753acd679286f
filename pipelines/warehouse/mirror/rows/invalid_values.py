"""Lists in redcap.invalid_values what does not fit: values, their type or choices; rows, the setup; cells, their row.

Values are kept verbatim. Reads the temporary tables `batch` and `incoming` (sql/merge.sql); runs in the caller's
transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.mirror.rows.history import RunStamp
from pipelines.warehouse.mirror.rows.invalid_values_sql import (
    CONTRADICTION,
    STRAY,
    SetupRule,
    count_rows,
    count_strays,
    insert_contradictions,
    insert_strays,
    insert_values,
    present_rows,
    setup_rules,
    stray_test,
)
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import InstrumentTable, Layout
from pipelines.warehouse.tables.value_checks import column_checks, groups, maybe_invalid


def record_invalid_values(
    connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp, *, holds: str, known: bool
) -> int:
    """List everything of the instrument in the batch that does not fit; returns how much.

    `holds` is the test for a row of the batch to hold data of the instrument; `known` says whether any of the batch's
    records may have been loaded before, so that what was listed of them is deleted first.
    """
    if known:
        connection.execute(statements("invalid_values")["delete_of_batch"], {"instrument": table.name})
    values = _record_values(connection, layout, table, stamp, setup_rules(layout, table))
    return values + _record_strays(connection, layout, table, stamp, holds)


def strays(connection: Connection, layout: Layout, tables: Sequence[tuple[InstrumentTable, str]]) -> frozenset[str]:
    """The instruments of which the batch has cells on rows of another instrument, or of which such cells are listed.

    Each instrument comes with the test for a row of the batch to hold data of it.
    """
    found = connection.execute(statements("invalid_values")["with_strays"], {"stray": STRAY}).fetchall()
    tests = [(table.name, test) for table, holds in tables if (test := stray_test(layout, table, holds)) is not None]
    numbers = (n for query in count_rows([test for _, test in tests], "batch") for n in _numbers(connection, query))
    present = (name for (name, _), number in zip(tests, numbers, strict=True) if number)
    return frozenset(name for (name,) in found).union(present)


def relist_values(connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp) -> int:
    """List again which stored values of the instrument do not fit; returns how many.

    Used when choices or codes for missing data changed: nothing has to be read from REDCap. What contradicts the setup
    stays listed.
    """
    sql = statements("invalid_values")
    values = {"instrument": table.name, "contradiction": CONTRADICTION, "stray": STRAY}
    connection.execute(sql["delete_values"], values)
    connection.execute(present_rows(stamp.project, table.name))
    try:
        return _record_values(connection, layout, table, stamp, ())
    finally:
        connection.execute(sql["drop_incoming_view"])


def _record_values(
    connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp, rules: Sequence[SetupRule]
) -> int:
    """List the values that do not fit, and the rows that break a rule."""
    named = _named(table, stamp)
    checked = groups(column_checks(layout, table))
    # Each query of the rows costs as much as a dozen tests, so all are made at once.
    tests = [*map(maybe_invalid, checked), *(rule.broken for rule in rules)]
    found = [number for query in count_rows(tests, "incoming") for number in _numbers(connection, query)]
    maybe, broken = found[: len(checked)], found[len(checked) :]
    for rule, number in zip(rules, broken, strict=True):
        if number:
            values = {**named, "field": rule.field, "expected": rule.expected}
            connection.execute(insert_contradictions(rule), values)
    invalid = [
        count(connection, insert_values(group, test), named)
        for group, test, number in zip(checked, tests, maybe, strict=False)
        if number
    ]
    return sum(invalid) + sum(broken)


def _record_strays(connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp, holds: str) -> int:
    """List cells on a row of another repeating instrument; returns how many such rows there are."""
    test = stray_test(layout, table, holds)
    strays = 0 if test is None else count(connection, count_strays(test))
    if test is not None and strays:
        connection.execute(insert_strays(layout, table, test), _named(table, stamp))
    return strays


def _numbers(connection: Connection, query: str) -> tuple[int, ...]:
    return one(connection, query) or ()


def _named(table: InstrumentTable, stamp: RunStamp) -> dict[str, str]:
    return {"project": stamp.project, "instrument": table.name, "run_id": stamp.run_id}
