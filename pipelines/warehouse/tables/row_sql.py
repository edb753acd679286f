"""Questions about an instrument's rows, as SQL over its own columns. Pure: text only, nothing is executed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.tables.layout import InstrumentTable, rows_now, rows_past
from redcap_source.dictionary import ValueKind


def holds_data(table: InstrumentTable, cell: Callable[[str], str]) -> str:
    """The test for a row to hold data of an instrument: a value, a ticked option, or a status above Incomplete.

    Incomplete alone is no data: older servers send it for forms that nobody opened. `cell` gives the SQL of a column.
    """
    plain = [c.name for c in table.columns if c.kind not in (ValueKind.CHECKBOX, ValueKind.STATUS)]
    flags = [c.name for c in table.columns if c.kind in (ValueKind.CHECKBOX, ValueKind.STATUS)]
    tests = [f"coalesce({cell(name)} <> '0', false)" for name in flags]
    tests += [f"{cell(name)} IS NOT NULL" for name in plain]
    return "(" + (" OR ".join(tests) or "false") + ")"


def any_row_without_data(project: str, table: InstrumentTable) -> str:
    """A row of the instrument that holds nothing any more, if there is one."""
    return f"SELECT 1 FROM {rows_now(project, table.name)} WHERE NOT {holds_data(table, identifier)} LIMIT 1"


def any_value(columns: Sequence[str]) -> str:
    """The test for a row to have a value in any of some columns."""
    return f"coalesce({', '.join(map(identifier, columns))}) IS NOT NULL"


def rows_where(project: str, instrument: str, test: str) -> str:
    """The instrument's present rows that pass a test."""
    return f"SELECT * FROM {rows_now(project, instrument)} WHERE {test}"


def restamp_rows(project: str, instrument: str, test: str) -> str:
    """The rows that pass a test begin a new version at $now, by the run $run_id."""
    return f"UPDATE {rows_now(project, instrument)} SET _valid_from = $now, _run_id = $run_id WHERE {test}"


def count_rows(project: str, instruments: Sequence[str]) -> list[str]:
    """For each instrument a query of the number of its rows."""
    return [f"SELECT count(*) AS n FROM {rows_now(project, name)}" for name in instruments]


def any_instances(project: str, instruments: Sequence[str]) -> list[str]:
    """Queries that return an instrument's name where any of its rows has or had an instance."""
    return [
        f"(SELECT {literal(name)} AS name FROM {place(project, name)} WHERE _instance <> '' LIMIT 1)"
        for name in instruments
        for place in (rows_now, rows_past)
    ]


def events_used(places: Sequence[str]) -> str:
    """Those of the events $names that rows of some tables have; the tables, or queries of them, are quoted already."""
    return " UNION ".join(
        f"SELECT _event FROM {place} WHERE list_contains($names::VARCHAR[], _event)" for place in places
    )


def rename_events(table: str) -> str:
    """Rows of the events $old get the events $new; `table` is quoted already."""
    return (
        f"UPDATE {table} AS t SET _event = r.new FROM "
        "(SELECT unnest($old::VARCHAR[]) AS old, unnest($new::VARCHAR[]) AS new) r WHERE t._event = r.old"
    )


def count_duplicate_keys(project: str, instrument: str) -> str:
    """How many keys more than one of the instrument's rows has."""
    return (
        f"SELECT count(*) FROM (SELECT 1 FROM {rows_now(project, instrument)} "
        "GROUP BY _record, _event, _instance HAVING count(*) > 1)"
    )
