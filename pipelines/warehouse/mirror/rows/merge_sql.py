"""Statements that bring an instrument's rows of a batch into its table. Text only, nothing is executed here.

The fixed statements, and what the temporary tables hold, are in sql/merge.sql.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.staging.column_groups import WIDEST, Source
from pipelines.warehouse.staging.staging_sql import csv_source
from pipelines.warehouse.tables.layout import (
    EVENT,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    InstrumentTable,
    Layout,
    rows_now,
    work_columns,
)
from pipelines.warehouse.tables.row_sql import holds_data


def _match(one: str, other: str) -> str:
    """The test for two rows to have the same keys."""
    return " AND ".join(f"{one}.{key} = {other}.{key}" for key in ("_record", "_event", "_instance"))


MATCH = _match("p", "n")

# The rows that differ, with what they were (p) and what they are (n).
COMPARED = (
    "differing d "
    "LEFT JOIN present p ON p._record = d._record AND p._event = d._event AND p._instance = d._instance "
    "LEFT JOIN incoming n ON n._record = d._record AND n._event = d._event AND n._instance = d._instance"
)
# How redcap.record_changes names what happened to such a row.
CHANGE = "CASE WHEN NOT d._was THEN 'insert' WHEN d._stays THEN 'update' ELSE 'delete' END"
REPLACED = f"SELECT p.* FROM present p SEMI JOIN differing n ON {MATCH}"
NEW = f"SELECT n.* FROM incoming n SEMI JOIN differing p ON {MATCH}"


def flag(table: InstrumentTable) -> str:
    """The column of the batch that says whether a row holds data of an instrument."""
    return identifier(f"holds {table.name}")


def answer_rows(source: Source, places: Mapping[str, str], number: int) -> tuple[str, dict[str, list[str]]]:
    """A query of the rows of an answer that are used, and its parameters.

    `places` gives the batch's column for each column of the answer that is read; `number` keeps the parameters of
    several answers in one statement apart.
    """
    at = {name: f"c{i}" for i, name in enumerate(source.answer.columns)}
    # Each name in a statement takes a hundredth of a millisecond to read.
    shown = "*" if places == at else ", ".join(f"{at[name]} AS {place}" for name, place in places.items())
    query = f"SELECT {shown} FROM {csv_source(source.answer)} WHERE NOT list_contains($excluded{number}::VARCHAR[], c0)"
    return query, {f"excluded{number}": list(source.excluded)}


def no_rows(places: Mapping[str, str]) -> str:
    """A query with the columns of a batch and no rows."""
    return f"SELECT {', '.join(f'NULL::VARCHAR AS {place}' for place in places.values())} WHERE false"


def fill_batch(query: str, tables: Sequence[InstrumentTable], places: Mapping[str, str], *, further: bool) -> str:
    """The rows of a query as the temporary table `batch`, or `further` ones for it, with a flag for each instrument."""
    flags = ", ".join(f"{holds_data(table, places.__getitem__)} AS {flag(table)}" for table in tables)
    into = "INSERT INTO batch" if further else "CREATE OR REPLACE TEMP TABLE batch AS"
    return f"{into} SELECT *, {flags} FROM ({query})"


def make_incoming(
    layout: Layout, table: InstrumentTable, places: Mapping[str, str], hash_key: str, *, compared: bool
) -> str:
    """The rows of `incoming_rows` as `incoming`.

    Rows that are not compared are read only once or twice, so they are a view: a table would cost more than it saves.
    """
    kind = "TABLE" if compared else "VIEW"
    return f"CREATE OR REPLACE TEMP {kind} incoming AS {incoming_rows(layout, table, places, hash_key)}"


def incoming_rows(layout: Layout, table: InstrumentTable, places: Mapping[str, str], hash_key: str) -> str:
    """The batch's rows in which the instrument holds data, with the keys the mirror gives them."""
    keys = f"c0 AS _record, {_key(places, EVENT)} AS _event, {_key(places, REPEAT_INSTANCE)} AS _instance"
    cells = ", ".join(f"{cell} AS {identifier(name)}" for name, cell in _cells(layout, table, places, hash_key))
    return f"SELECT {keys}, {cells} FROM batch WHERE {_belongs(table, places)}"


def _cells(layout: Layout, table: InstrumentTable, places: Mapping[str, str], hash_key: str) -> list[tuple[str, str]]:
    hashed = {column.name for column in table.columns if column.hashed}
    key = literal(hash_key)
    return [
        (name, f"sha256({key} || {cell})" if name in hashed else cell)
        for name, answer in work_columns(layout, table)
        for cell in (places.get(answer, "NULL"),)
    ]


def _key(places: Mapping[str, str], column: str) -> str:
    """A key as the mirror has it: blank if there is none."""
    return f"coalesce({places[column]}, '')" if column in places else "''"


def _belongs(table: InstrumentTable, places: Mapping[str, str]) -> str:
    """The test for a row to be the instrument's."""
    repeat = places.get(REPEAT_INSTRUMENT)
    if repeat is None:
        return flag(table)
    # A repeating instance exists because someone made it, whatever it holds.
    return f"({repeat} = {literal(table.name)} OR ({repeat} IS NULL AND {flag(table)}))"


def insert_rows(project: str, instrument: str, rows: str) -> str:
    """Insert the rows of a query into the instrument's table, as versions that begin at $now by the run $run_id."""
    return (
        f"INSERT INTO {rows_now(project, instrument)} BY NAME "
        f"SELECT *, $now AS _valid_from, $run_id AS _run_id FROM ({rows})"
    )


def make_present(project: str, instrument: str) -> str:
    """The instrument's rows of the batch's records, as the temporary table `present`."""
    return f"CREATE OR REPLACE TEMP TABLE present AS {_present_rows(project, instrument)}"


def _present_rows(project: str, instrument: str, shown: str = "*") -> str:
    return f"SELECT {shown} FROM {rows_now(project, instrument)} WHERE _record IN (SELECT record FROM batch_records)"


def count_differing(project: str, instrument: str, incoming: str, columns: Sequence[str]) -> str:
    """How many rows a query of incoming rows has, and how many rows are new, missing or have another cell.

    Most instruments of a record that was read again are as they were. One statement without temporary tables costs
    about half as much as making them, most of it for reading its text; so the rows, which have the same columns in the
    same order, are compared as wholes. No field's name begins with "_", so these names mean rows.
    """
    shown = ", ".join(["_record, _event, _instance", *map(identifier, columns)])
    return (
        "SELECT count(_new._record), count(*) FILTER (_old IS DISTINCT FROM _new) "
        f"FROM ({_present_rows(project, instrument, shown)}) _old FULL JOIN ({incoming}) _new "
        f"ON {_match('_old', '_new')}"
    )


def find_differing(columns: Sequence[str]) -> list[str]:
    """Statements that make the temporary table `differing`: rows that are new, missing or have another cell.

    Columns are compared some at a time, because each statement takes memory for all it compares.
    """
    rows = (
        "SELECT coalesce(n._record, p._record) AS _record, coalesce(n._event, p._event) AS _event, "
        "coalesce(n._instance, p._instance) AS _instance, p._record IS NOT NULL AS _was, "
        f"n._record IS NOT NULL AS _stays FROM present p FULL JOIN incoming n ON {MATCH}"
    )
    # An instrument that the token may not export has no column.
    first, *others = _differ(columns) or ["false"]
    return [
        f"CREATE OR REPLACE TEMP TABLE differing AS {rows} WHERE p._record IS NULL OR n._record IS NULL OR {first}",
        *(f"INSERT INTO differing {rows} WHERE {test} EXCEPT SELECT * FROM differing" for test in others),
    ]


def _differ(columns: Sequence[str]) -> list[str]:
    """The tests for a row to have another cell, each over at most WIDEST columns."""
    tests = []
    for start in range(0, len(columns), WIDEST):
        some = [identifier(name) for name in columns[start : start + WIDEST]]
        old, new = (", ".join(f"{side}.{name}" for name in some) for side in "pn")
        tests.append(f"row({old}) IS DISTINCT FROM row({new})")
    return tests


def delete_replaced(project: str, instrument: str) -> str:
    """Delete the rows that differ from the instrument's table."""
    # By their keys: a field may be called rowid, and is what that word means then.
    return f"DELETE FROM {rows_now(project, instrument)} AS p USING differing n WHERE {MATCH}"
