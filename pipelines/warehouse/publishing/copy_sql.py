"""Statements that bring a project's mirror into the published file. Text only, nothing is executed here.

`source` is the catalog under which the mirror is attached, quoted. The temporary table new_runs has the runs that were
not published yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.warehouse.database.quoting import identifier, literal, qualified
from pipelines.warehouse.tables.layout import NOW, PAST, rows_now, rows_past
from pipelines.warehouse.tables.views import shown

# Where an instrument's rows are, by the ending of the schema.
PLACES = {NOW: rows_now, PAST: rows_past}
_NEW_RUNS = "(SELECT run_id FROM new_runs)"

# -- one project, what all instruments share ---------------------------------------------------------------------


def state_of(source: str) -> str:
    """Which mirror it is, and how many runs it has seen."""
    return f"SELECT identity, (SELECT count(*) FROM {source}.redcap.sync_runs) FROM {source}.state.identity"


def make_new_runs() -> str:
    """The runs $runs as new_runs."""
    return "CREATE OR REPLACE TEMP TABLE new_runs AS SELECT unnest($runs::VARCHAR[]) AS run_id"


def new_renames(source: str) -> str:
    """How many events and instruments new runs renamed."""
    return (
        f"SELECT count(*) FROM {source}.redcap.dictionary_changes "
        "WHERE change = 'renamed' AND run_id IN (FROM new_runs)"
    )


def has_emptied_proposals(source: str) -> str:
    """Whether values of proposals of $project were published that the mirror has since removed."""
    return (
        f"SELECT count(*) > 0 FROM writeback.proposals p JOIN {source}.writeback.proposals s USING (proposal) "
        "WHERE p.project = $project AND coalesce(p.new_value, p.seen_value) IS NOT NULL "
        "AND coalesce(s.new_value, s.seen_value) IS NULL"
    )


def count_rows_of_project(schema: str, table: str) -> str:
    """How many rows of $project a shared table has."""
    return f"SELECT count(*) FROM {qualified(schema, table)} WHERE project = $project"


def delete_rows_of_project(schema: str, table: str) -> str:
    """Delete the rows of $project from a shared table."""
    return f"DELETE FROM {qualified(schema, table)} WHERE project = $project"


def delete_rows_of_others(schema: str, table: str) -> str:
    """Delete the rows of other projects than $projects from a shared table."""
    return (
        f"DELETE FROM {qualified(schema, table)} "
        "WHERE project IS NULL OR NOT list_contains($projects::VARCHAR[], project)"
    )


def copy_table(source: str, schema: str, table: str) -> str:
    """Insert all rows the mirror has of a shared table."""
    return f"INSERT INTO {qualified(schema, table)} BY NAME SELECT * FROM {source}.{qualified(schema, table)}"


def copy_new_entries(source: str, schema: str, table: str) -> str:
    """Insert the rows of new runs."""
    return f"{copy_table(source, schema, table)} WHERE run_id IN {_NEW_RUNS}"


def copy_cell_changes(source: str) -> str:
    """Insert the cell changes of new runs."""
    return (
        f"INSERT INTO _publish.cell_changes SELECT * FROM {source}.redcap.record_changes "
        "WHERE run_id IN (FROM new_runs)"
    )


def delete_changed_records(source: str) -> str:
    """Delete the rows of redcap.records that the mirror lacks, or has otherwise."""
    return (
        "DELETE FROM redcap.records WHERE project = $project AND rowid NOT IN "
        f"(SELECT p.rowid FROM redcap.records p JOIN {source}.redcap.records s ON s.record = p.record "
        "WHERE p.project = $project AND (p.first_seen, p.last_changed, p.deleted_at, p.renamed_to) "
        "IS NOT DISTINCT FROM (s.first_seen, s.last_changed, s.deleted_at, s.renamed_to))"
    )


def copy_new_records(source: str) -> str:
    """Insert the rows of redcap.records that are not there."""
    return (
        f"INSERT INTO redcap.records BY NAME SELECT s.* FROM {source}.redcap.records s "
        "ANTI JOIN (SELECT record FROM redcap.records WHERE project = $project) p ON p.record = s.record"
    )


def delete_log(source: str) -> str:
    """Delete the published log of $project from the first row that new runs read again."""
    return f"DELETE FROM redcap.audit_log WHERE project = $project AND timestamp >= {_log_start(source)}"


def copy_log(source: str) -> str:
    """Insert the log from that row on."""
    return f"{copy_table(source, 'redcap', 'audit_log')} WHERE timestamp >= {_log_start(source)}"


def _log_start(source: str) -> str:
    return f"(SELECT min(timestamp) FROM {source}.redcap.audit_log WHERE run_id IN {_NEW_RUNS})"


# -- schemas and views -------------------------------------------------------------------------------------------


def drop_schema(name: str) -> str:
    """One of the project's schemas and everything in it."""
    return f"DROP SCHEMA IF EXISTS {identifier(name)} CASCADE"


def drop_view(view: str) -> str:
    """A view that is not needed; `view` is quoted."""
    return f"DROP VIEW IF EXISTS {view}"


def drop_table(table: str) -> str:
    """A table that is not needed; `table` is quoted."""
    return f"DROP TABLE IF EXISTS {table}"


def create_view(view: str, query: str) -> str:
    """A view of a query; `view` is quoted.

    DuckDB keeps every expression of a view as an object, which each connection to the file makes again and each comment
    on a column copies. So the view calls the table function `query` with its query as one text, which is read when
    somebody asks for that view.
    """
    return f"CREATE OR REPLACE VIEW {view} AS FROM query({literal(query)})"


def comment(kind: str, name: str, column: str, text: str) -> str:
    """What a column of a table or a view is, or with no column that itself; `kind` is TABLE or VIEW, `name` quoted."""
    place = f"COLUMN {name}.{identifier(column)}" if column else f"{kind} {name}"
    return f"COMMENT ON {place} IS {literal(text)}"


def define_as_of(history: str) -> str:
    """`FROM <history>.as_of('instrument', time)`: the rows that readers found at some time; `history` is a schema.

    The time is a TIMESTAMP WITH TIME ZONE or a TIMESTAMP in UTC. Comparing the former with our columns, or casting it,
    would go through the session's time zone; its microseconds since 1970 do not, and need no extension.
    """
    before, behind = literal(f'FROM {identifier(history)}."'), literal('"')
    # Beside a NULL of that type, text and dates become a TIMESTAMP, while a zone stays.
    moment = "make_timestamp(epoch_us(coalesce(ts, NULL::TIMESTAMP)))"
    return (
        f"CREATE OR REPLACE MACRO {qualified(history, 'as_of')}(instrument, ts) AS TABLE "
        f"SELECT * FROM query({before} || instrument || {behind}) "
        f"WHERE _valid_from <= {moment} AND (_valid_to IS NULL OR _valid_to > {moment})"
    )


def history_rows(
    project: str, instrument: str, columns: Sequence[tuple[str, str]], present: Mapping[str, Sequence[str]]
) -> str:
    """Every version of the instrument's rows, verbatim; those of the present rows have no end.

    `columns` are given as (name in the mirror, REDCap's name), `present` has the columns of each table that exists.
    """
    parts = []
    for ending, end in ((NOW, "NULL::TIMESTAMP"), (PAST, "_valid_to")):
        if there := present.get(ending):
            listed = ", ".join(
                f"{shown(column) if column in there else 'NULL::VARCHAR'} AS {identifier(named)}"
                for column, named in columns
            )
            place = PLACES[ending](project, instrument)
            parts.append(f"SELECT {listed}, _valid_from, {end} AS _valid_to, _run_id FROM {place}")
    return " UNION ALL ".join(parts)


def typed_history_rows(
    project: str,
    instrument: str,
    select: str,
    columns: Sequence[tuple[str, str]],
    present: Mapping[str, Sequence[str]],
) -> str:
    """The same with types: the SELECT of the table with types, and after it the columns that only versions have.

    `columns` are those that the SELECT lacks, as (SQL, REDCap's name).
    """
    parts = []
    if present.get(NOW):
        parts.append(f"SELECT *, NULL::TIMESTAMP AS _valid_to FROM {rows_now(project, instrument)}")
    if present.get(PAST):
        parts.append(f"SELECT * EXCLUDE (_closed_run) FROM {rows_past(project, instrument)}")
    further = "".join(f", {column} AS {identifier(named)}" for column, named in columns)
    versions = " UNION ALL BY NAME ".join(parts)
    return f"{select}{further}, _valid_from, _valid_to, _run_id FROM ({versions})"


# -- one instrument's rows ---------------------------------------------------------------------------------------


def copy_rows(source: str, table: str) -> str:
    """All rows the mirror has in one of an instrument's tables, in place of those there; `table` is quoted."""
    return f"CREATE OR REPLACE TABLE {table} AS FROM {source}.{table}"


def delete_ended(source: str, project: str, instrument: str) -> str:
    """Delete published rows that new runs replaced or removed."""
    ended = f"{source}.{rows_past(project, instrument)}"
    return (
        f"DELETE FROM {rows_now(project, instrument)} AS p USING {ended} AS h "
        "WHERE p._record = h._record AND p._event = h._event AND p._instance = h._instance AND p._run_id = h._run_id "
        f"AND h._closed_run IN {_NEW_RUNS} AND h._run_id NOT IN {_NEW_RUNS}"
    )


def copy_new_rows(source: str, table: str, run_column: str) -> str:
    """Insert the rows that new runs wrote; `run_column` says which run wrote a row, `table` is quoted."""
    return f"INSERT INTO {table} BY NAME FROM {source}.{table} WHERE {run_column} IN {_NEW_RUNS}"


def make_changed_records() -> str:
    """An empty table for the records of which new runs changed rows, instrument by instrument."""
    return "CREATE OR REPLACE TEMP TABLE changed (instrument VARCHAR, record VARCHAR)"


def find_changed_records(source: str, project: str, instrument: str, *, past: bool) -> str:
    """Enter the records of which new runs wrote or ended rows; `past` says whether any of its rows ever ended."""
    queries = [f"SELECT _record FROM {source}.{rows_now(project, instrument)} WHERE _run_id IN {_NEW_RUNS}"]
    if past:
        queries.append(
            f"SELECT _record FROM {source}.{rows_past(project, instrument)} WHERE _closed_run IN {_NEW_RUNS}"
        )
    return f"INSERT INTO changed SELECT {literal(instrument)}, _record FROM ({' UNION '.join(queries)})"


def changed_records(instrument: str) -> str:
    """The test for a record to be among them."""
    return f"IN (SELECT record FROM changed WHERE instrument = {literal(instrument)})"


def make_typed(project: str, instrument: str, select: str) -> str:
    """The table with types, made from all present rows."""
    return f"CREATE OR REPLACE TABLE {qualified(project, instrument)} AS {select} FROM {rows_now(project, instrument)}"


def delete_typed(project: str, instrument: str, record_id_field: str) -> str:
    """Delete the typed rows of changed records."""
    return (
        f"DELETE FROM {qualified(project, instrument)} "
        f"WHERE {identifier(record_id_field)} {changed_records(instrument)}"
    )


def insert_typed(project: str, instrument: str, select: str) -> str:
    """Insert the typed rows of changed records."""
    return (
        f"INSERT INTO {qualified(project, instrument)} {select} FROM {rows_now(project, instrument)} "
        f"WHERE _record {changed_records(instrument)}"
    )


def any_keys(project: str, instrument: str) -> str:
    """Whether any version that ended has an event, and whether any has an instance."""
    return f"SELECT bool_or(_event <> ''), bool_or(_instance <> '') FROM {rows_past(project, instrument)}"


def any_row_of(table: str, runs: Sequence[str]) -> str:
    """A row that one of these runs wrote, if there is one; `table` is quoted."""
    return f"SELECT 1 FROM {table} WHERE _run_id IN ({', '.join(map(literal, runs))}) LIMIT 1"


def first_load_rows(
    project: str,
    instrument: str,
    cells: Sequence[tuple[str, str]],
    tables: Sequence[tuple[str, set[str]]],
    runs: Sequence[str],
) -> str:
    """The rows of the first load as the view redcap.record_changes reads them, with lists of fields and of cells.

    `cells` are given as (name in the mirror, REDCap's name), `tables` as (quoted name, its columns).
    """
    fields = ", ".join(literal(named) for _, named in cells)
    listed_runs = ", ".join(map(literal, runs))
    parts = []
    for table, there in tables:
        values = ", ".join(identifier(column) if column in there else "NULL" for column, _ in cells)
        parts.append(
            f"SELECT {literal(project)} AS project, _record AS record, nullif(_event, '') AS event, "
            f"{literal(instrument)} AS instrument, nullif(_instance, '') AS instance, [{fields}] AS fields, "
            f"[{values}]::VARCHAR[] AS cells, _valid_from AS detected_at, _run_id AS run_id "
            f"FROM {table} WHERE _run_id IN ({listed_runs})"
        )
    return " UNION ALL ".join(parts)


def insert_first_load(rows: str) -> str:
    """Store such rows a second time, their cells as JSON."""
    return (
        "INSERT INTO _publish.first_load SELECT project, instrument, record, event, instance, to_json(cells), "
        f"detected_at, run_id FROM ({rows})"
    )
