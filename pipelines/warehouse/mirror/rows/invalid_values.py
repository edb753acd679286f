"""Listing what does not fit: values their type or their field's choices, rows the setup, cells the row they stand on.

Values are kept verbatim and listed in `redcap.invalid_values`. Read are the temporary tables that apply.py has made:
`batch`, the rows as they came, and `incoming`, those of one instrument. What fits is value_checks.py's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.quoting import literal
from pipelines.warehouse.mirror.rows.history import RunStamp
from pipelines.warehouse.tables.layout import (
    EVENT,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    InstrumentTable,
    Layout,
    rows_now,
    work_columns,
)
from pipelines.warehouse.tables.value_checks import ColumnCheck, column_checks, groups, listed, unusual

# Why rows and cells are listed whose values are not the reason.
CONTRADICTION = "contradicts the project's setup"
STRAY = "on a row of the repeating instrument "
# Tests in one question. Of thousands of columns a single one would take as much memory as all else together.
ASKED_AT_ONCE = 200


def record_invalid_values(
    connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp, *, holds: str, known: bool
) -> int:
    """List every misfit of the instrument in the batch; how many.

    `holds` is the test for a row of the batch to hold data of the instrument; `known` says whether any of the batch's
    records may have been loaded before, so that what was listed of them has to go.
    """
    if known:
        connection.execute(
            "DELETE FROM redcap.invalid_values WHERE instrument = $instrument "
            "AND record IN (SELECT record FROM batch_records)",
            {"instrument": table.name},
        )
    return _Misfits(connection, layout, table, stamp, holds).note()


def relist_values(connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp) -> int:
    """List anew which stored values of the instrument do not fit, where choices or codes for missing data changed.

    Nothing has to be read from REDCap for that; how many there are. What contradicts the setup stays listed.
    """
    connection.execute(
        "DELETE FROM redcap.invalid_values WHERE instrument = $instrument AND record IS NOT NULL "
        "AND reason <> $contradiction AND NOT starts_with(reason, $stray)",
        {"instrument": table.name, "contradiction": CONTRADICTION, "stray": STRAY},
    )
    connection.execute(f"CREATE OR REPLACE TEMP VIEW incoming AS FROM {rows_now(stamp.project, table.name)}")
    try:
        return _Misfits(connection, layout, table, stamp, holds="false").note_values()
    finally:
        connection.execute("DROP VIEW incoming")


@dataclass(frozen=True, slots=True)
class _SetupRule:
    """Where the project's setup lets an instrument have rows."""

    field: str
    column: str
    """The key it is about."""
    broken: str
    """The test for a row to be elsewhere; SQL."""
    expected: str


class _Misfits:
    """Those of one instrument in a batch."""

    def __init__(
        self, connection: Connection, layout: Layout, table: InstrumentTable, stamp: RunStamp, holds: str
    ) -> None:
        self.connection = connection
        self.layout = layout
        self.table = table
        self.holds = holds
        self.fields = dict(work_columns(layout, table))
        self.named = {"project": stamp.project, "instrument": table.name, "run_id": stamp.run_id}

    def note(self) -> int:
        """List them all."""
        return self.note_values(self._setup_rules()) + self._note_strays()

    def note_values(self, rules: Sequence[_SetupRule] = ()) -> int:
        """List the values that do not fit, and the rows that break a rule."""
        checked = list(groups(column_checks(self.layout, self.table)))
        # Each question asked of the rows costs as much as a dozen answers, so everything is asked at once.
        tests = [*(unusual(group) for group in checked), *(rule.broken for rule in rules)]
        found = self._counts(tests)
        odd, broken = found[: len(checked)], found[len(checked) :]
        for rule, count in zip(rules, broken, strict=True):
            if count:
                self._insert_contradictions(rule)
        misfits = [
            self._insert_values(group, test) for group, test, count in zip(checked, tests, odd, strict=False) if count
        ]
        return sum(misfits) + sum(broken)

    def _counts(self, tests: Sequence[str]) -> tuple[int, ...]:
        """How many of the batch's rows pass each of some tests."""
        counts: list[int] = []
        for first in range(0, len(tests), ASKED_AT_ONCE):
            asked = ", ".join(f"count(*) FILTER ({test})" for test in tests[first : first + ASKED_AT_ONCE])
            question = f"SELECT {asked} FROM incoming"
            counts += self.connection.execute(question).fetchone() or ()
        return tuple(counts)

    def _setup_rules(self) -> list[_SetupRule]:
        """Where the setup says no row can be: such rows are kept like any other, and reported."""
        rules = []
        if self.table.events is not None:
            known = ", ".join(literal(event) for event in sorted(self.table.events))
            outside = f"NOT list_contains([{known}]::VARCHAR[], _event)"
            rules.append(_SetupRule(EVENT, "_event", outside, "an event of the instrument"))
        if not self.table.repeats and self.layout.position(REPEAT_INSTANCE) is not None:
            rules.append(_SetupRule(REPEAT_INSTANCE, "_instance", "_instance <> ''", "no instance"))
        return rules

    def _note_strays(self) -> int:
        """Cells on a row of another repeating instrument: they have no place in a table, so they are listed."""
        repeat = self.layout.position(REPEAT_INSTRUMENT)
        if repeat is None:
            return 0
        test = f"c{repeat} IS NOT NULL AND c{repeat} <> {literal(self.table.name)} AND {self.holds}"
        row = self.connection.execute(f"SELECT count(*) FROM batch WHERE {test}").fetchone()
        count = int(row[0]) if row else 0
        if count:
            cells = ", ".join(
                f"{{'field': {literal(field)}, 'value': c{self.layout.position(field)}}}"
                for field in self.fields.values()
            )
            self.connection.execute(
                f"""
                INSERT INTO redcap.invalid_values
                SELECT $project, c0, {self._cell(EVENT)}, $instrument, {self._cell(REPEAT_INSTANCE)}, cell.field,
                       cell.value, 'a row of the instrument', {literal(STRAY)} || other, $run_id
                FROM (SELECT *, c{repeat} AS other, unnest([{cells}]) AS cell FROM batch WHERE {test})
                WHERE cell.value IS NOT NULL
                """,
                self.named,
            )
        return count

    def _cell(self, field: str) -> str:
        """A column of the batch's rows, where they have it."""
        position = self.layout.position(field)
        return "NULL" if position is None else f"c{position}"

    def _insert_contradictions(self, rule: _SetupRule) -> None:
        self.connection.execute(
            f"""
            INSERT INTO redcap.invalid_values
            SELECT $project, _record, nullif(_event, ''), $instrument, nullif(_instance, ''), $field, {rule.column},
                   $expected, {literal(CONTRADICTION)}, $run_id
            FROM incoming WHERE {rule.broken}
            """,
            {**self.named, "field": rule.field, "expected": rule.expected},
        )

    def _insert_values(self, checks: Sequence[ColumnCheck], where: str) -> int:
        """Judge columns by the exact test, in the rows where it may matter; how many values do not fit."""
        row = self.connection.execute(
            f"""
            INSERT INTO redcap.invalid_values
            SELECT $project, _record, nullif(_event, ''), $instrument, nullif(_instance, ''), cell.field, cell.value,
                   cell.expected, cell.reason, $run_id
            FROM (SELECT _record, _event, _instance, unnest({listed(checks)}) AS cell FROM incoming WHERE {where})
            WHERE cell IS NOT NULL
            """,
            self.named,
        ).fetchone()
        return int(row[0]) if row else 0
