"""Compares a submission with one cell per row: a list of cells, or REDCap's EAV export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pipelines.warehouse.comparison import comparison_sql
from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.warehouse.comparison.source import in_groups, insert_rows, make_source, pages
from pipelines.warehouse.comparison.submission import BLANKS, CELL_COLUMNS, Difference, RowChunk
from pipelines.warehouse.database.plain_csv import PlainCsv, read_csv
from pipelines.warehouse.database.rows import count

# This many fields are compared in one statement; a wide instrument takes several.
FIELDS_AT_ONCE = 50

IsAlike = Callable[[str, str, str], bool]
"""Whether two texts are one value of a field: field, seen, published."""


class CellComparison:
    """The submitted cells of one comparison, in the table `submitted`."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._connection = comparison.connection
        self._snapshot = comparison.snapshot
        self._sql = comparison.sql
        defaults = comparison.defaults
        self._values = {"batch": defaults.batch, "reason": defaults.reason, "author": defaults.author, "blanks": BLANKS}

    # -- reading -------------------------------------------------------------------------------------------

    def read_csv(self, file: PlainCsv, positions: Mapping[str, int], take: Callable[[], None]) -> None:
        """Read a file; `positions` has its position of each of CELL_COLUMNS, `take` is take_cells or take_export."""
        every = {name: positions.get(name, -1) for name in CELL_COLUMNS}
        self._connection.execute(comparison_sql.source_of_csv(file, every, seen_given="seen" in positions))
        read_csv(take)
        self._connection.execute(self._sql["drop_source_view"])
        self._comparison.check_rows("submitted", file.rows)

    def read_chunk(self, chunk: RowChunk, take: Callable[[], None]) -> None:
        """Read some rows; `take` is take_cells or take_export."""
        make_source(self._connection, chunk, CELL_COLUMNS)
        take()
        self._connection.execute(self._sql["drop_source_table"])

    def take_cells(self, *, withholds: bool, withheld: str, unknown_withheld: str) -> None:
        """Read `source` as wanted values.

        If `withholds`, identifiers and fields that may be identifiers are refused, and their values are not kept.
        """
        values = {"withholds": withholds, "withheld": withheld, "unknown_withheld": unknown_withheld}
        project = {"project": self._comparison.defaults.project}
        self._connection.execute(self._sql["take_cells"], {**self._values, **project, **values})

    def take_export(self, *, withholds: bool, unknown_withheld: str) -> None:
        """Read `source` as the rows of an EAV export."""
        values = {"withholds": withholds, "unknown_withheld": unknown_withheld}
        self._connection.execute(self._sql["take_export"], {**self._values, **values})

    def respell(self, fields: Sequence[str], spelled: Callable[[str, str], str]) -> None:
        """Put values of some fields into REDCap's spelling; `spelled` is called once for each field and text."""
        found = self._connection.execute(self._sql["respellable"], {"fields": list(fields)}).fetchall()
        changed = [(name, text, new) for name, text in found if (new := spelled(name, text)) != text]
        if changed:
            insert_rows(self._connection, "respelled", changed)
            self._connection.execute(self._sql["respell_new"])
            self._connection.execute(self._sql["respell_seen"])

    def refuse_problems(self, *, blanks_count: bool = False) -> None:
        """Refuse rows that cannot be read, and rows for a cell that an earlier row names."""
        self._connection.execute(self._sql["refuse_rows"])
        self._connection.execute(self._sql["refuse_doubles"], {"all": blanks_count})

    # -- what it has ---------------------------------------------------------------------------------------

    def count_rows(self) -> int:
        """Count the submitted rows."""
        return self._comparison.count_rows("submitted")

    def left(self) -> int:
        """Count the cells that propose nothing."""
        return count(self._connection, self._sql["left"])

    def ignored(self) -> list[tuple[str, str]]:
        """Return the fields of an EAV export that are never written, each with the reason."""
        return self._connection.execute(self._sql["ignored"]).fetchall()

    def ticks(self) -> list[str]:
        """Return the checkboxes of which an EAV export has ticked options."""
        return [name for (name,) in self._connection.execute(self._sql["ticks"]).fetchall()]

    # -- comparing -----------------------------------------------------------------------------------------

    def find_cells(self, is_alike: IsAlike) -> None:
        """Propose the submitted cells, each with what was published in it.

        Where a row says what was seen, and that is another text than was published, `is_alike` decides whether the two
        are one value; only if they are not is the row's own used.
        """
        self._connection.execute(self._sql["find_unknown"])
        for instrument, fields, seen_given in self._fields():
            for group in in_groups(fields, FIELDS_AT_ONCE):
                cells = self._cells(instrument, group, "(o.new <> '' OR o.clears)")
                values = {"field_instrument": instrument, "fields": group}
                if seen_given:
                    seen = self._connection.execute(comparison_sql.seen_and_published(cells), values).fetchall()
                    insert_rows(self._connection, "alike", [texts for texts in seen if is_alike(*texts)])
                self._connection.execute(comparison_sql.find_cells(cells), values)

    def differing_cells(self) -> Iterator[list[Difference]]:
        """Yield the cells of an EAV export that differ in any letter from what was published."""
        for instrument, fields, _ in self._fields():
            for group in in_groups(fields, FIELDS_AT_ONCE):
                select = comparison_sql.differing_cells(self._cells(instrument, group, "true"))
                for page in pages(self._connection, select, {"field_instrument": instrument, "fields": group}):
                    yield [Difference(*each) for each in page]

    def refuse_half_edited_ticks(
        self, columns: Mapping[str, Sequence[str]], instruments: Mapping[str, str], reason: str
    ) -> None:
        """Refuse rows of an EAV export that tick an option of a checkbox while a ticked one is no longer listed.

        `columns` has the columns of each checkbox, `instruments` its instrument.
        """
        self._connection.execute(self._sql["create_ticked"])
        for name, options in columns.items():
            table, present = self._snapshot.table(instruments[name]), self._snapshot.columns(instruments[name])
            self._connection.execute(comparison_sql.find_ticked(table, present, options), {"name": name})
        self._connection.execute(self._sql["refuse_half_edited_ticks"], {"why": reason})
        self._connection.execute(self._sql["drop_ticked"])

    def _fields(self) -> list[tuple[str, list[str], bool]]:
        """The submitted fields of each instrument, and whether any row says what was seen."""
        rows = self._connection.execute(self._sql["fields"]).fetchall()
        return [row for row in rows if row[0] is not None]

    def _cells(self, instrument: str, fields: Sequence[str], condition: str) -> str:
        table, columns = self._snapshot.table(instrument), self._snapshot.columns(instrument)
        return comparison_sql.cells_with_published(table, columns, fields, condition)
