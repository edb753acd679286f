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


def project_identity(source: str) -> str:
    """The identity of the mirror."""
    return f"SELECT identity FROM {source}.state.identity"


def mirror_format(source: str) -> str:
    """The number of the mirror's format."""
    return f"SELECT format FROM {source}.state.identity"


def count_runs(source: str) -> str:
    """How many runs the mirror has seen."""
    return f"SELECT count(*) FROM {source}.redcap.sync_runs"


def record_id_field(source: str) -> str:
    """The field that names the project's records."""
    return f"SELECT record_id_field FROM {source}.redcap.projects"


def make_new_runs(source: str) -> str:
    """The runs of $project that were not published yet, as new_runs."""
    return (
        f"CREATE OR REPLACE TEMP TABLE new_runs AS SELECT run_id FROM {source}.redcap.sync_runs "
        "WHERE run_id NOT IN (SELECT run_id FROM _publish.runs WHERE project = $project)"
    )


def first_runs(source: str) -> str:
    """The runs up to the first that ended well."""
    runs = f"{source}.redcap.sync_runs"
    return (
        f"SELECT run_id FROM {runs} WHERE started_at <= "
        f"(SELECT min(started_at) FROM {runs} WHERE outcome IN ('ok', 'incomplete')) ORDER BY started_at"
    )


def publications(source: str) -> str:
    """How each instrument is shown, and the run that changed it last."""
    return (
        "SELECT instrument, raw_select, typed_select, label_select, comments, keys, changed_run "
        f"FROM {source}.state.publication JOIN {source}.state.instruments USING (instrument) ORDER BY position"
    )


def new_renames(source: str) -> str:
    """Events and instruments that new runs renamed."""
    return (
        f"SELECT kind, old_value, new_value FROM {source}.redcap.dictionary_changes "
        "WHERE change = 'renamed' AND run_id IN (FROM new_runs) ORDER BY detected_at"
    )


def count_lost_runs(source: str) -> str:
    """How many published runs of $project the mirror does not know."""
    return (
        "SELECT count(*) FROM (SELECT run_id FROM _publish.runs WHERE project = $project "
        f"EXCEPT SELECT run_id FROM {source}.redcap.sync_runs)"
    )


def was_discarded(source: str) -> str:
    """Whether `--start-over` replaced the mirror with $identity by this one."""
    return f"SELECT count(*) > 0 FROM {source}.state.started_over WHERE identity = $identity"


def save_source(source: str) -> str:
    """Record which mirror $project is published from."""
    return f"INSERT INTO _publish.sources SELECT $project, identity FROM {source}.state.identity"


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


def copy_table(source: str, schema: str, table: str) -> str:
    """Insert all rows the mirror has of a shared table."""
    return f"INSERT INTO {qualified(schema, table)} BY NAME SELECT * FROM {source}.{qualified(schema, table)}"


def copy_new_entries(source: str, schema: str, table: str) -> str:
    """Insert the rows of new runs."""
    return f"{copy_table(source, schema, table)} WHERE run_id IN {_NEW_RUNS}"


def copy_cell_changes(source: str) -> str:
    """Insert the cell changes of new runs, or of all runs where $rebuild."""
    return (
        f"INSERT INTO _publish.cell_changes SELECT * FROM {source}.redcap.record_changes "
        "WHERE run_id IN (FROM new_runs) OR $rebuild"
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


def create_view(view: str, query: str) -> str:
    """A view of a query; `view` is quoted."""
    return f"CREATE OR REPLACE VIEW {view} AS {query}"


def whole_view(view: str) -> str:
    """A query of all columns of another view; `view` is quoted."""
    return f"SELECT * FROM {view}"


def comment(view: str, column: str, text: str) -> str:
    """What a column of a view is, or with no column the view itself; `view` is quoted."""
    place = f"COLUMN {view}.{identifier(column)}" if column else f"VIEW {view}"
    return f"COMMENT ON {place} IS {literal(text)}"


def define_as_of(project: str) -> str:
    """`FROM <project>_history.as_of('instrument', time)`: the rows readers found at some time, verbatim.

    The time is a TIMESTAMP WITH TIME ZONE or a TIMESTAMP in UTC. Comparing the former with our columns, or casting it,
    would go through the session's time zone; its microseconds since 1970 do not, and need no extension.
    """
    history = f"{project}_history"
    before, behind = literal(f'FROM {identifier(history)}."'), literal('"')
    # Beside a NULL of that type, text and dates become a TIMESTAMP, while a zone stays.
    moment = "make_timestamp(epoch_us(coalesce(ts, NULL::TIMESTAMP)))"
    return (
        f"CREATE OR REPLACE MACRO {qualified(history, 'as_of')}(instrument, ts) AS TABLE "
        f"SELECT * FROM query({before} || instrument || {behind}) "
        f"WHERE _valid_from <= {moment} AND (_valid_to IS NULL OR _valid_to > {moment})"
    )


def present_rows(project: str, instrument: str, select: str) -> str:
    """A view's query: a SELECT of the mirror, over the instrument's present rows."""
    return f"{select} FROM {rows_now(project, instrument)}"


def history_rows(
    project: str, instrument: str, columns: Sequence[tuple[str, str]], present: Mapping[str, set[str]]
) -> str:
    """Every version of the instrument's rows; those of the present rows have no end.

    `columns` are given as (name in the mirror, REDCap's name), `present` has the columns of each table that exists.
    """
    parts = []
    for ending, end in ((NOW, "NULL::TIMESTAMP"), (PAST, "_valid_to")):
        if there := present[ending]:
            listed = ", ".join(
                f"{shown(column) if column in there else 'NULL::VARCHAR'} AS {identifier(named)}"
                for column, named in columns
            )
            place = PLACES[ending](project, instrument)
            parts.append(f"SELECT {listed}, _valid_from, {end} AS _valid_to, _run_id FROM {place}")
    return " UNION ALL ".join(parts)


# -- one instrument's rows ---------------------------------------------------------------------------------------


def copy_rows(source: str, table: str) -> str:
    """A table of an instrument that was not published yet, as the mirror has it; `table` is quoted."""
    return f"CREATE TABLE {table} AS FROM {source}.{table}"


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
