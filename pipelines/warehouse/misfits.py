"""Listing what does not fit: values their type, rows the project's setup, cells the row they stand on.

They stay as they are, in `redcap.invalid_values` they are told. Looked at is what apply.py has made ready of a batch:
`batch`, its rows as they came, and `incoming`, those of one instrument. What text fits a type is types.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.warehouse.connection import Connection
from pipelines.warehouse.layout import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT, InstrumentTable, Layout, work_columns
from pipelines.warehouse.quoting import identifier, literal
from pipelines.warehouse.trace import RunStamp
from pipelines.warehouse.types import INSTANCE, SURVEY_TIMESTAMP, SqlType, sql_type, type_name, unusual

# A blank instance is stored as '' (keys are never NULL) and is no misfit.
_BLANK_INSTANCE = SqlType(
    "INTEGER",
    f"({INSTANCE.shape})?",
    "coalesce(TRY_CAST({value} AS INTEGER), 0)",
    plain="{value} IN ('', '1', '2', '3')",
)


def note_misfits(
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


@dataclass(frozen=True, slots=True)
class _TypedColumn:
    """A column whose values are shown as something else than their text."""

    name: str
    """In the working file."""
    kind: SqlType
    expected: str

    @property
    def misfit(self) -> str:
        """The exact test for a value not to fit; SQL."""
        return self.kind.misfit(identifier(self.name))


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
        columns, rules = self._typed_columns(), self._setup_rules()
        plain = [column for column in columns if not column.kind.usual]
        together = _by_usual_shape(columns)
        # Values written the usual way are let through by a cheap test, which is nearly all of them; each question asked
        # of the rows costs as much as a dozen answers, so everything is asked at once.
        found = self._aggregates(
            [
                *(column.kind.suspects(identifier(column.name)) for column in plain),
                *(f"count(*) FILTER ({test})" for test in together),
                *(f"count(*) FILTER ({rule.broken})" for rule in rules),
            ]
        )
        suspects, rest = found[: len(plain)], found[len(plain) :]
        odd, broken = rest[: len(together)], rest[len(together) :]
        for rule, count in zip(rules, broken, strict=True):
            if count:
                self._insert_contradictions(rule)
        misfits = self._note_values([column for column, count in zip(plain, suspects, strict=True) if count])
        for (test, some), count in zip(together.items(), odd, strict=True):
            if count:
                misfits += self._note_values(some, test)
        return misfits + sum(broken) + self._note_strays()

    def _note_values(self, columns: Sequence[_TypedColumn], where: str = "true") -> int:
        """Judge columns by the exact test, in the rows where it may matter."""
        counts = self._aggregates([f"count(*) FILTER ({column.misfit})" for column in columns], where)
        for column, count in zip(columns, counts, strict=True):
            if count:
                self._insert_values(column)
        return sum(counts)

    def _aggregates(self, expressions: Sequence[str], where: str = "true") -> tuple[int, ...]:
        """What some aggregates say of the batch's rows."""
        if not expressions:
            return ()
        question = f"SELECT {', '.join(expressions)} FROM incoming WHERE {where}"
        return self.connection.execute(question).fetchone() or ()

    def _typed_columns(self) -> list[_TypedColumn]:
        columns = [
            _TypedColumn(c.name, kind, type_name(c.kind))
            for c in self.table.columns
            if (kind := sql_type(c.kind)) is not None
        ]
        if self.table.survey:
            columns.append(_TypedColumn("_survey_timestamp", SURVEY_TIMESTAMP, SURVEY_TIMESTAMP.name))
        if self.layout.position(REPEAT_INSTANCE) is not None:
            columns.append(_TypedColumn("_instance", _BLANK_INSTANCE, INSTANCE.name))
        return columns

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
                       cell.value, 'a row of the instrument', 'on a row of the repeating instrument ' || other, $run_id
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
                   $expected, 'contradicts the project''s setup', $run_id
            FROM incoming WHERE {rule.broken}
            """,
            {**self.named, "field": rule.field, "expected": rule.expected},
        )

    def _insert_values(self, column: _TypedColumn) -> None:
        value = identifier(column.name)
        codes = [choice.code for choice in self.layout.missing_codes]
        self.connection.execute(
            f"""
            INSERT INTO redcap.invalid_values
            SELECT $project, _record, nullif(_event, ''), $instrument, nullif(_instance, ''), $field, {value},
                   $expected, CASE WHEN list_contains($codes::VARCHAR[], {value}) THEN 'missing data code'
                                   WHEN {value} = '[not completed]' THEN 'survey not completed'
                                   ELSE 'not a ' || $expected END, $run_id
            FROM incoming WHERE {column.misfit}
            """,
            {
                **self.named,
                "field": self.fields.get(column.name, REPEAT_INSTANCE),
                "expected": column.expected,
                "codes": codes,
            },
        )


def _by_usual_shape(columns: Iterable[_TypedColumn]) -> dict[str, list[_TypedColumn]]:
    """Columns whose text has a usual shape, by the test for a row to have other text in any of them."""
    together: dict[str, list[_TypedColumn]] = {}
    for column in columns:
        if column.kind.usual:
            together.setdefault(column.kind.usual, []).append(column)
    return {unusual(shape, [identifier(c.name) for c in some]): some for shape, some in together.items()}
