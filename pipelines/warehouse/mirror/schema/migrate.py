"""Keeps the instruments' tables in step with the dictionary: adds, removes and orders columns; no value is lost.

Not here: describing the structure in schema redcap (catalog.py), and recognising what was renamed (renames.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.file_errors import doing
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.database.rows import all_rows, count, insert_json, one
from pipelines.warehouse.mirror.rows.history import RunStamp, close_versions, record_cell_changes
from pipelines.warehouse.mirror.rows.history_sql import DELETE, Cell
from pipelines.warehouse.mirror.rows.invalid_values import relist_values
from pipelines.warehouse.mirror.schema.renames import Renames, find_renames
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables import ddl, row_sql
from pipelines.warehouse.tables.layout import (
    CODES,
    KEYS,
    NOW,
    PAST,
    VERSION,
    InstrumentTable,
    Layout,
    definition,
    redcap_name,
    rows_now,
    rows_past,
    work_columns,
)
from pipelines.warehouse.tables.structure import Structure

# The columns of each table, by schema and table.
Columns = Mapping[tuple[str, str], Sequence[str]]
# For each instrument what determines its cells, and whether they must be read again.
Definitions = Mapping[str, tuple[Mapping[str, str], bool]]


class Tables:
    """The instruments' tables of one project."""

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self._project = project
        self._sql = statements("tables")

    @doing("looking for what was renamed")
    def find_renames(self, structure: Structure) -> Renames:
        """Which events and instruments of the mirror have another name now."""
        return find_renames(self._connection, self._project, structure)

    def stale_instruments(self) -> tuple[str, ...]:
        """Instruments whose cells must be read again for every record, as the dictionary or the setup changed."""
        return tuple(name for name, (_, stale) in self._definitions().items() if stale)

    def mark_read(self) -> None:
        """Record that the cells of every stale instrument were read again."""
        self._connection.execute(self._sql["mark_read"])

    def have_columns(self, wanted: Mapping[str, Sequence[str]]) -> bool:
        """Whether the tables have exactly these columns of fields, and there are no other instruments."""
        found: dict[str, set[str]] = {}
        values = {"schema": self._project + NOW}
        for table, column in self._connection.execute(self._sql["field_columns"], values).fetchall():
            found.setdefault(table, set()).add(column)
        return found == {name: set(columns) for name, columns in wanted.items()}

    def count_rows(self, layout: Layout) -> int:
        """How many rows all instruments have together."""
        queries = row_sql.count_rows(self._project, [table.name for table in layout.instruments])
        return sum(count for (count,) in all_rows(self._connection, queries))

    def rows_of(self, instruments: Sequence[str]) -> dict[str, int]:
        """How many rows each of these instruments has."""
        return {name: count(self._connection, row_sql.count_rows(self._project, [name])[0]) for name in instruments}

    def migrate(self, layout: Layout, stamp: RunStamp) -> None:
        """Give every instrument its table with the columns it has now; in the caller's transaction.

        Values of columns and instruments that REDCap no longer has stay in the history.
        """
        before, present = self._definitions(), self._columns()
        emptied = {table.name: self._make_table(layout, table, present, stamp) for table in layout.instruments}
        self._define(layout, before, stamp, emptied)
        self._drop_tables_except([table.name for table in layout.instruments], layout, present, stamp)

    def _columns(self) -> Columns:
        values = {"now": self._project + NOW, "past": self._project + PAST}
        found = self._connection.execute(self._sql["columns"], values).fetchall()
        return {(schema, table): columns for schema, table, columns in found}

    def _make_table(self, layout: Layout, table: InstrumentTable, columns: Columns, stamp: RunStamp) -> bool:
        """Create the instrument's table, or add its new columns and remove those REDCap no longer has.

        Returns whether some rows may now be empty, because all their values were in columns that were removed.
        """
        wanted = [*KEYS, *(name for name, _ in work_columns(layout, table))]
        present = [name for name in columns.get((self._project + NOW, table.name), ()) if name not in VERSION]
        if present == wanted:
            return False
        removed = [name for name in present if name not in wanted]
        if not present:
            self._connection.execute(ddl.create_rows(self._project, table.name, wanted))
        else:
            self._retire(layout, table.name, removed, stamp)
            self._connection.execute(ddl.rebuild_rows(self._project, table.name, wanted, present))
        self._make_versions(table.name, wanted, columns.get((self._project + PAST, table.name), ()))
        if not removed:
            return False
        return one(self._connection, row_sql.any_row_without_data(self._project, table)) is not None

    def _make_versions(self, instrument: str, columns: Sequence[str], present: Sequence[str]) -> None:
        """Create the table of versions, or add what it lacks; columns of earlier versions stay."""
        if not present:
            self._connection.execute(ddl.create_versions(self._project, instrument, columns))
            return
        for name in columns:
            if name not in present:
                self._connection.execute(ddl.add_column(rows_past(self._project, instrument), name))

    def _retire(self, layout: Layout, instrument: str, columns: Sequence[str], stamp: RunStamp) -> None:
        """Move the values of columns that leave a table to the history, and record each cell as deleted."""
        if not columns:
            return
        filled = row_sql.any_value(columns)
        rows = row_sql.rows_where(self._project, instrument, filled)
        close_versions(self._connection, instrument, rows, stamp)
        cells = self._record_removal(layout, instrument, columns, rows, stamp)
        self._connection.execute(
            row_sql.restamp_rows(self._project, instrument, filled), {"now": stamp.now, "run_id": stamp.run_id}
        )
        self._connection.execute(
            self._sql["delete_invalid_fields"], {"instrument": instrument, "fields": [cell.field for cell in cells]}
        )

    def _drop_tables_except(
        self, instruments: Collection[str], layout: Layout, columns: Columns, stamp: RunStamp
    ) -> None:
        """Drop the tables of instruments that REDCap no longer has; their rows stay in the history."""
        for (schema, name), present in columns.items():
            if schema != self._project + NOW or name in instruments:
                continue
            rows = row_sql.rows_where(self._project, name, "true")
            close_versions(self._connection, name, rows, stamp)
            fields = [column for column in present if column not in (*KEYS, *VERSION)]
            self._record_removal(layout, name, fields, rows, stamp)
            self._connection.execute(ddl.drop_table(rows_now(self._project, name)))
            self._connection.execute(self._sql["forget_instrument"], {"instrument": name})
            self._connection.execute(self._sql["delete_invalid_values"], {"instrument": name})

    def _record_removal(
        self, layout: Layout, instrument: str, columns: Sequence[str], rows: str, stamp: RunStamp
    ) -> list[Cell]:
        """Record the cells of some columns as deleted; `rows` is a query of the rows they are in."""
        cells = [
            Cell(redcap_name(layout.record_id_field, instrument, name), identifier(name), "NULL") for name in columns
        ]
        record_cell_changes(self._connection, instrument, cells, f"({rows})", stamp, change=DELETE)
        return cells

    def _definitions(self) -> dict[str, tuple[dict[str, str], bool]]:
        found = self._connection.execute(self._sql["read_instruments"]).fetchall()
        return {name: (json.loads(parts), stale) for name, parts, stale in found}

    def _define(self, layout: Layout, before: Definitions, stamp: RunStamp, emptied: Mapping[str, bool]) -> None:
        """Store what determines the instruments' cells; if that is new or different, they are stale.

        Where only choices or codes for missing data changed, the values that do not fit are listed again instead.
        """
        rows = []
        for table in layout.instruments:
            parts = definition(layout, table)
            known, was_stale = before.get(table.name, ({}, True))
            if known == parts:
                continue
            differs = any(known.get(name) != part for name, part in parts.items() if name != CODES)
            if known and known.get(CODES) != parts[CODES]:
                relist_values(self._connection, layout, table, stamp)
            rows.append(
                {
                    "instrument": table.name,
                    "changed_run": stamp.run_id,
                    "changed_at": stamp.now,
                    "definition": json.dumps(parts),
                    "stale": emptied[table.name] or differs or was_stale,
                }
            )
        self._connection.execute(self._sql["delete_definitions"], {"names": [row["instrument"] for row in rows]})
        insert_json(self._connection, "state", "instruments", rows)
