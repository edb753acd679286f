"""Comparing an edited copy of a table, or a whole flat export, with what is published: a column for each field.

Each row is compared with the published row of the same record, event and instance, instrument by instrument. Not here:
what a difference means (pipelines.writeback.proposals.wide).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.warehouse.comparison.cells import BLANKS, Chunk, Comparison, in_groups, make_source, pages
from pipelines.warehouse.database.plain_csv import PlainCsv, csv_source, read_csv
from pipelines.warehouse.database.quoting import identifier, literal

KEY_COLUMNS = ("record", "event", "instrument", "instance")
# So many columns are compared in one statement.
COLUMNS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row in which some cell is not letter by letter as it was published, with all its cells of some columns."""

    row: int
    record: str = field(repr=False)
    event: str
    instance: str
    there: bool
    """Whether such a row is published."""
    offered: Sequence[str] = field(repr=False)
    published: Sequence[str] = field(repr=False)


class RowComparison:
    """The rows of one offer with a column for each field; `columns` are those that are kept."""

    def __init__(self, comparison: Comparison, columns: Sequence[str]) -> None:
        self._comparison = comparison
        self._connection = comparison.connection
        self._at = {name: f"v{at}" for at, name in enumerate(columns)}
        values = "".join(f", {name} VARCHAR" for name in self._at.values())
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE offered_rows (row BIGINT, record VARCHAR, event VARCHAR, instrument VARCHAR, "
            f"instance VARCHAR, problem VARCHAR{values})"
        )

    # -- reading -------------------------------------------------------------------------------------------

    def name(self, column: str) -> str:
        """Our own name for a column: a field may be called as a key is."""
        return self._at[column]

    def rows_of_csv(self, file: PlainCsv, keys: Mapping[str, int], places: Mapping[str, int], *, events: bool) -> None:
        """Take in a file; `keys` tells where each of KEY_COLUMNS stands in it, `places` each of our columns."""
        shown = [f"{_text(keys, name)} AS {name}" for name in KEY_COLUMNS]
        shown += [f"{_text(places, column)} AS {name}" for column, name in self._at.items()]
        self._connection.execute(
            f"CREATE OR REPLACE TEMP VIEW source AS SELECT row_number() OVER () AS row, {', '.join(shown)}, "
            f"NULL::VARCHAR AS problem FROM {csv_source(file)}"
        )
        read_csv(lambda: self._take_in(events=events))
        self._connection.execute("DROP VIEW source")
        self._comparison.check_rows("offered_rows", file.rows)

    def rows_of_chunk(self, chunk: Chunk, *, events: bool) -> None:
        """Take in some rows, by the names of KEY_COLUMNS and those that `name` gives our columns."""
        make_source(self._connection, chunk, (*KEY_COLUMNS, *self._at.values()))
        self._take_in(events=events)
        self._connection.execute("DROP TABLE source")

    def _take_in(self, *, events: bool) -> None:
        """Move `source` into our table, its keys in REDCap's spelling."""
        values = "".join(f", s.{name}" for name in self._at.values())
        self._connection.execute(
            f"INSERT INTO offered_rows SELECT s.row, s.record, s.event, s.instrument, s.instance, "
            f"{self._comparison.sql['row_problem']} {values} FROM ({self._comparison.sql['keyed_rows']}) s",
            {"blanks": BLANKS, "events": events},
        )

    # -- refusing ------------------------------------------------------------------------------------------

    def refuse_problems(self) -> None:
        """Refuse rows that cannot be read, and those with the keys of an earlier one."""
        self._connection.execute(self._comparison.sql["refuse_unkeyed_rows"])
        self._connection.execute(self._comparison.sql["refuse_double_rows"])

    def refuse_foreign(self, instrument: str, columns: Sequence[str], untouched: frozenset[str]) -> None:
        """Refuse rows that name another instrument as repeating and hold a value of this one.

        In the columns `untouched` a 0 is no value: it is what an export shows of what nobody ever filled in.
        """
        for group in in_groups(columns, COLUMNS_AT_ONCE):
            tests = {
                name: f"{self._at[name]} NOT IN ('', '0')" if name in untouched else f"{self._at[name]} <> ''"
                for name in group
            }
            first = " ".join(f"WHEN {test} THEN {literal(name)}" for name, test in tests.items())
            self._connection.execute(
                "INSERT INTO refused SELECT row, 'it names the repeating instrument ' || instrument || "
                f"', and holds a value of ' || $instrument || ' in ' || CASE {first} END FROM offered_rows "
                f"WHERE problem IS NULL AND instrument NOT IN ('', $instrument) AND ({' OR '.join(tests.values())})",
                {"instrument": instrument},
            )

    # -- comparing -----------------------------------------------------------------------------------------

    def differences(self, instrument: str, columns: Sequence[str]) -> Iterator[tuple[list[str], list[RowDifference]]]:
        """Rows with cells that are not letter by letter as they were published, with the columns they are told of."""
        present = self._comparison.snapshot.columns(instrument)
        join = f"LEFT JOIN {self._comparison.snapshot.table(instrument)} t ON {self._comparison.keys(instrument)}"
        there = f"t.{identifier(present[0])} IS NOT NULL"
        for group in in_groups(columns, COLUMNS_AT_ONCE):
            offered = [f"o.{self._at[name]}" for name in group]
            held = [f"coalesce(t.{identifier(name)}, '')" if name in present else "''" for name in group]
            differs = " OR ".join(f"{one} <> {other}" for one, other in zip(offered, held, strict=True))
            for page in pages(
                self._connection,
                f"SELECT o.row, o.record, o.event, o.instance, {there}, [{', '.join(offered)}], [{', '.join(held)}] "
                f"FROM offered_rows o {join} WHERE o.problem IS NULL AND o.instrument IN ('', $instrument) "
                f"AND o.row NOT IN (SELECT row FROM refused) AND ({differs})",
                {"instrument": instrument},
            ):
                yield group, [RowDifference(*each) for each in page]


def _text(places: Mapping[str, int], name: str) -> str:
    return f"coalesce(c{places[name]}, '')" if name in places else "''"
