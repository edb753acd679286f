"""One project's part of a publish: what its runs did since it was last published goes into the published file.

Rows of today and versions that ended lie in the published file in the very tables they have in the working file; what
readers open are views of them. So a publish writes what changed, however large the project, and the first published
file can begin as a copy of a working file. When and where that happens is publish.py's business.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property

from pipelines.errors import ForeignMirror
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.quoting import identifier, literal, qualified
from pipelines.warehouse.mirror.schema.catalog import STRUCTURE_TABLES
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import KEYS, NOW, PAST, VERSION, redcap_name, rows_now, rows_past
from pipelines.warehouse.tables.views import shown

log = logging.getLogger("redcap_warehouse")

# Every load may rewrite these; they hold one project's present state.
REPLACED = ("projects", *STRUCTURE_TABLES, "records", "invalid_values", "sync_runs")
# Rows of these are written once, by one run; a run that was published need not be copied again.
APPENDED = ("dictionary_changes", "sync_chunks")
# What stands in schema _publish for each project.
BOOKS = ("instruments", "runs", "sources", "cell_changes", "first_rows", "first_load", "first_columns")
# What of it tells of rows by the names of events and instruments.
ROWS_TOLD = ("instruments", "cell_changes", "first_rows", "first_load", "first_columns")
# The endings of the schemas a project has.
SCHEMAS = ("", "_labels", "_raw", "_history", NOW, PAST, ":typed", ":labels")

# How many comments are set in one transaction.
COMMENTS = 50
# Every comment copies the whole text of its view. Where that is long the text stands in a view of its own, behind the
# one that readers open, in one of these schemas.
LONG = 100
BEHIND = {"": ":typed", "_labels": ":labels"}
# For how many instruments of the warehouse `record_changes` reads the rows of the first load where they lie. Each costs
# every query of it half a millisecond; of further ones the rows are kept once more.
READ_WHERE_THEY_LIE = 200

HISTORY_TIMES = {
    "_valid_from": "Since when the row was so: the start of the run that found it (UTC)",
    "_valid_to": "Until when it was so; empty for rows of today (UTC)",
}

# Which columns of versions are no cells.
_BOOKKEEPING = (*VERSION, "_valid_to", "_closed_run")
_PLACES = {NOW: rows_now, PAST: rows_past}


class ProjectPublisher:
    """The part of one project, whose working file is attached as `source`."""

    def __init__(self, connection: Connection, project: str, source: str, *, copied: bool) -> None:
        self.connection = connection
        self.project = project
        self.catalog = source
        self.source = identifier(source)
        self.copied = copied
        """Whether the published file was begun as a copy of this project's working file: then its rows are there."""
        self.gave_up = False
        """Whether something that was published of the project before may stand in no byte of the file any more."""
        self.record_id_field = ""
        self.comments: list[str] = []
        """Statements that say what views and their columns are."""
        self.definitions: dict[str, str] = {}
        """What instruments are made of whose views are new."""
        self.first_runs: list[str] = []
        """The runs up to the first that came to its end."""
        self.books: dict[str, tuple[str, str | None] | None] = {}
        """What the books are to say of instruments: the run that changed them last, and what they are made of."""
        self.told_where = 0
        """Of how many instruments of the warehouse `record_changes` reads them where they lie."""
        self.anew = False
        """Whether all rows and changes are taken up again, because what was published goes by old names."""
        self.shown_before: Mapping[str, Sequence[str]] = {}
        """The columns that readers were shown of instruments' histories, where those are made anew."""
        self.first_rows: dict[str, str] = {}
        """Of new instruments, where the rows of the first load lie."""

    def run(self) -> int:
        """Bring the published project to its working file; returns how many instruments were written."""
        if not self.copied:
            self._begin_anew_if_other()
        row = self.connection.execute(f"SELECT record_id_field FROM {self.source}.redcap.projects").fetchone()
        self.record_id_field = row[0] if row else ""
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE new_runs AS SELECT run_id FROM {self.source}.redcap.sync_runs "
            "WHERE run_id NOT IN (SELECT run_id FROM _publish.runs WHERE project = $project)",
            {"project": self.project},
        )
        runs = f"{self.source}.redcap.sync_runs"
        found = self.connection.execute(
            f"SELECT run_id FROM {runs} WHERE started_at <= "
            f"(SELECT min(started_at) FROM {runs} WHERE outcome IN ('ok', 'incomplete')) ORDER BY started_at"
        ).fetchall()
        self.first_runs = [run for (run,) in found]
        if not self.copied:
            self._begin_rows_anew_if_renamed()
            self._copy_catalog()
        for suffix in SCHEMAS:
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(self.project + suffix)}")
        self.connection.execute(
            f"INSERT INTO _publish.cell_changes SELECT * FROM {self.source}.redcap.record_changes "
            "WHERE run_id IN (FROM new_runs) OR $anew",
            {"anew": self.anew},
        )
        told = self.connection.execute("SELECT count(*) FROM _publish.first_rows").fetchone()
        self.told_where = told[0] if told else 0
        instruments = self.connection.execute(
            "SELECT instrument, raw_select, typed_select, label_select, comments, keys, changed_run "
            f"FROM {self.source}.state.publication JOIN {self.source}.state.instruments USING (instrument) "
            "ORDER BY position"
        ).fetchall()
        before = self._bookkept()
        for name in sorted({*before, *self._worked_on()}.difference(row[0] for row in instruments)):
            self._retire(name, was_shown=name in before)
        written = sum(self._show(before.get(row[0]), *row) for row in instruments)
        self._define_as_of()
        self._keep_books()
        self.connection.execute(
            "INSERT INTO _publish.runs SELECT $project, run_id FROM new_runs", {"project": self.project}
        )
        self.connection.execute("DROP TABLE new_runs")
        if self.copied:
            self._note_source()
        return written

    def comment(self) -> None:
        """Say what new views and their columns are, a few in each transaction, once everything else is committed.

        Every comment makes a copy of its whole view, which lives as long as the transaction.
        """
        for first in range(0, len(self.comments), COMMENTS):
            some = self.comments[first : first + COMMENTS]
            self.connection.execute("; ".join(("BEGIN TRANSACTION", *some, "COMMIT")))
        # Until here they have no definition on the books: were this to fail, the next publish would make them anew.
        self.connection.execute(
            "UPDATE _publish.instruments AS i SET definition = d.definition FROM (SELECT unnest($names::VARCHAR[]) "
            "AS instrument, unnest($definitions::VARCHAR[]) AS definition) d "
            "WHERE i.project = $project AND i.instrument = d.instrument",
            {
                "project": self.project,
                "names": list(self.definitions),
                "definitions": list(self.definitions.values()),
            },
        )

    # -- what all instruments share ------------------------------------------------------------------------

    def _begin_anew_if_other(self) -> None:
        """A working file that was begun anew knows nothing of what was published of the old one."""
        values = {"project": self.project}
        row = self.connection.execute(f"SELECT identity FROM {self.source}.state.identity").fetchone()
        known = self.connection.execute(
            "SELECT identity FROM _publish.sources WHERE project = $project", values
        ).fetchone()
        if row == known and not self._is_older():
            return
        if known is not None and row != known and not self._gives_up(*known):
            raise ForeignMirror(project=self.project)
        self.gave_up = known is not None
        self._drop_schemas()
        for table in (*REPLACED, *APPENDED, "audit_log"):
            self.connection.execute(f"DELETE FROM {qualified('redcap', table)} WHERE project = $project", values)
        for table in ("batches", "proposals", "journal"):
            self.connection.execute(f"DELETE FROM {qualified('writeback', table)} WHERE project = $project", values)
        for table in BOOKS:
            self.connection.execute(f"DELETE FROM {qualified('_publish', table)} WHERE project = $project", values)
        self._note_source()

    def _drop_schemas(self) -> None:
        for suffix in SCHEMAS:
            self.connection.execute(f"DROP SCHEMA IF EXISTS {identifier(self.project + suffix)} CASCADE")

    def _begin_rows_anew_if_renamed(self) -> None:
        """Where an event or an instrument got another name, rows, versions and changes are there under the old one.

        The working file has them all under the new one, so they are taken up again as a whole.
        """
        renamed = self.connection.execute(
            f"SELECT kind, old_value, new_value FROM {self.source}.redcap.dictionary_changes "
            "WHERE change = 'renamed' AND run_id IN (FROM new_runs) ORDER BY detected_at"
        ).fetchall()
        if not renamed:
            return
        self.anew = True
        shown = {name: columns for (_, name), columns in self._tables("warehouse", "_history").items()}
        for kind, old, new in renamed:
            if kind == "instrument" and old in shown:
                shown[new] = shown.pop(old)
        self.shown_before = shown
        self._drop_schemas()
        for table in ROWS_TOLD:
            self.connection.execute(
                f"DELETE FROM {qualified('_publish', table)} WHERE project = $project", {"project": self.project}
            )

    def _is_older(self) -> bool:
        """Whether the working file lacks runs that were published: it came from a backup, and is what counts now."""
        row = self.connection.execute(
            f"SELECT count(*) FROM (SELECT run_id FROM _publish.runs WHERE project = $project "
            f"EXCEPT SELECT run_id FROM {self.source}.redcap.sync_runs)",
            {"project": self.project},
        ).fetchone()
        if row and row[0]:
            log.warning(
                "%s: the working file is older than what was published of it, as one from a backup is: the project is "
                "published anew from it, without %s later runs.",
                self.project,
                row[0],
            )
        return bool(row and row[0])

    def _gives_up(self, identity: str) -> bool:
        """Whether somebody gave up the working file of this identity for the one that is here."""
        row = self.connection.execute(
            f"SELECT count(*) > 0 FROM {self.source}.state.started_over WHERE identity = $identity",
            {"identity": identity},
        ).fetchone()
        return bool(row and row[0])

    def _note_source(self) -> None:
        self.connection.execute(
            f"INSERT INTO _publish.sources SELECT $project, identity FROM {self.source}.state.identity",
            {"project": self.project},
        )

    def _copy_catalog(self) -> None:
        values = {"project": self.project}
        for table in REPLACED:
            target, origin = qualified("redcap", table), f"{self.source}.redcap.{identifier(table)}"
            self.connection.execute(f"DELETE FROM {target} WHERE project = $project", values)
            self.connection.execute(f"INSERT INTO {target} BY NAME SELECT * FROM {origin}")
        for table in APPENDED:
            target, origin = qualified("redcap", table), f"{self.source}.redcap.{identifier(table)}"
            self.connection.execute(
                f"INSERT INTO {target} BY NAME SELECT * FROM {origin} WHERE run_id IN (SELECT run_id FROM new_runs)"
            )
        self._copy_writeback()
        # Every load reads the log again from a little before the last one: those rows take the place of the old.
        log = f"{self.source}.redcap.audit_log"
        since = f"(SELECT min(timestamp) FROM {log} WHERE run_id IN (SELECT run_id FROM new_runs))"
        self.connection.execute(
            f"DELETE FROM redcap.audit_log WHERE project = $project AND timestamp >= {since}", values
        )
        self.connection.execute(f"INSERT INTO redcap.audit_log BY NAME SELECT * FROM {log} WHERE timestamp >= {since}")

    def _copy_writeback(self) -> None:
        """What was proposed and sent back to REDCap, where anything was."""
        present = self.connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = $catalog AND schema_name = 'writeback'",
            {"catalog": self.catalog},
        ).fetchall()
        for (table,) in present:
            target = qualified("writeback", table)
            if table == "proposals":
                self.gave_up = self.gave_up or self._lost_values()
            self.connection.execute(f"DELETE FROM {target} WHERE project = $project", {"project": self.project})
            self.connection.execute(
                f"INSERT INTO {target} BY NAME SELECT * FROM {self.source}.writeback.{identifier(table)}"
            )

    def _lost_values(self) -> bool:
        """Whether values of proposals were published that the working file may not keep any more."""
        row = self.connection.execute(
            f"SELECT count(*) > 0 FROM writeback.proposals p JOIN {self.source}.writeback.proposals s USING (proposal) "
            "WHERE p.project = $project AND coalesce(p.new_value, p.seen_value) IS NOT NULL "
            "AND coalesce(s.new_value, s.seen_value) IS NULL",
            {"project": self.project},
        ).fetchone()
        return bool(row and row[0])

    def _bookkept(self) -> dict[str, tuple[str, str | None]]:
        found = self.connection.execute(
            "SELECT instrument, changed_run, definition FROM _publish.instruments WHERE project = $project",
            {"project": self.project},
        ).fetchall()
        return {name: (run, definition) for name, run, definition in found}

    def _keep_books(self) -> None:
        there = {name: book for name, book in self.books.items() if book is not None}
        self.connection.execute(
            "DELETE FROM _publish.instruments "
            "WHERE project = $project AND list_contains($names::VARCHAR[], instrument)",
            {"project": self.project, "names": list(self.books)},
        )
        self.connection.execute(
            "INSERT INTO _publish.instruments SELECT $project, unnest($names::VARCHAR[]), unnest($runs::VARCHAR[]), "
            "unnest($definitions::VARCHAR[])",
            {
                "project": self.project,
                "names": list(there),
                "runs": [run for run, _ in there.values()],
                "definitions": [definition for _, definition in there.values()],
            },
        )
        self.connection.execute(
            "INSERT INTO _publish.first_rows SELECT $project, unnest($names::VARCHAR[]), unnest($rows::VARCHAR[])",
            {"project": self.project, "names": list(self.first_rows), "rows": list(self.first_rows.values())},
        )

    # Both are looked at before anything is changed, and only in a night that changes something.

    @cached_property
    def working(self) -> Mapping[tuple[str, str], list[str]]:
        """The columns of the working file's tables, by the ending of their schema and their name."""
        return self._tables(self.catalog, NOW, PAST)

    @cached_property
    def published(self) -> Mapping[tuple[str, str], list[str]]:
        """The columns of the published tables and history views."""
        return self._tables("warehouse", NOW, PAST, "_history")

    def _worked_on(self) -> list[str]:
        """The instruments that have a table in the working file, those that are gone included."""
        found = self.connection.execute(
            "SELECT DISTINCT table_name FROM duckdb_tables() "
            "WHERE database_name = $catalog AND schema_name IN ($now, $past)",
            {"catalog": self.catalog, "now": self.project + NOW, "past": self.project + PAST},
        ).fetchall()
        return [name for (name,) in found]

    def _tables(self, catalog: str, *endings: str) -> dict[tuple[str, str], list[str]]:
        """The columns of the project's tables and views in some schemas, by the schema's ending and the name.

        They are asked for at once: each question costs as much as its answer.
        """
        found = self.connection.execute(
            "SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
            "WHERE database_name = $catalog AND list_contains($schemas::VARCHAR[], schema_name) GROUP BY ALL",
            {"catalog": catalog, "schemas": [self.project + ending for ending in endings]},
        ).fetchall()
        return {(schema.removeprefix(self.project), table): columns for schema, table, columns in found}

    def _define_as_of(self) -> None:
        """`FROM <project>_history.as_of('instrument', time)`: the rows readers found at some time, verbatim.

        The time is a TIMESTAMP WITH TIME ZONE or a TIMESTAMP in UTC. Comparing the former with our columns, or casting
        it, would go through the session's time zone; its microseconds since 1970 do not, and need no extension.
        """
        history = f"{self.project}_history"
        before, behind = literal(f'FROM {identifier(history)}."'), literal('"')
        # Beside a NULL of that type, text and dates become a TIMESTAMP, while a zone stays.
        moment = "make_timestamp(epoch_us(coalesce(ts, NULL::TIMESTAMP)))"
        self.connection.execute(
            f"CREATE OR REPLACE MACRO {qualified(history, 'as_of')}(instrument, ts) AS TABLE "
            f"SELECT * FROM query({before} || instrument || {behind}) "
            f"WHERE _valid_from <= {moment} AND (_valid_to IS NULL OR _valid_to > {moment})"
        )

    # -- one instrument ------------------------------------------------------------------------------------

    def _retire(self, name: str, *, was_shown: bool) -> None:
        """An instrument that REDCap no longer has: its views of today go, its history stays."""
        if was_shown:
            for suffix in ("", "_labels", "_raw", *BEHIND.values()):
                self.connection.execute(f"DROP VIEW IF EXISTS {qualified(self.project + suffix, name)}")
            self._write_versions(name, {})
            self.books[name] = None
        elif ("_history", name) not in self.published:
            # It came and went between two publishes.
            keys = {key: redcap_name(self.record_id_field, name, key) for key in KEYS}
            self._write_versions(name, keys)
            self._define_history(name, self._columns(name, keys))

    def _show(
        self,
        before: tuple[str, str | None] | None,
        name: str,
        raw: str,
        typed: str,
        labels: str,
        comments: str,
        keys: str,
        changed_run: str,
    ) -> int:
        """Take up the instrument's versions and make its views, each only where something changed."""
        # Tables never change their columns without these or the run.
        described = json.dumps([raw, typed, labels, comments, keys])
        definition = hashlib.sha256(described.encode()).hexdigest()
        if before == (changed_run, definition):
            return 0
        columns = self._columns(name, json.loads(keys))
        self._write_versions(name, json.loads(keys))
        if before is None or before[1] != definition:
            self.definitions[name] = definition
            told = json.loads(comments)
            self._define_history(name, columns)
            # Columns are told of in the views analysts use most; a third time would cost as much as the rows.
            for suffix, select, texts in (("_raw", raw, {"": told[""]}), ("", typed, told), ("_labels", labels, told)):
                self._define_view(suffix, name, select)
                self._say_what_is(qualified(self.project + suffix, name), texts)
        self.books[name] = (changed_run, None if name in self.definitions else definition)
        return 1

    def _define_view(self, suffix: str, name: str, select: str) -> None:
        """A view of the instrument's rows of today; a long one that will be commented is a view of another."""
        view, query = qualified(self.project + suffix, name), f"{select} FROM {rows_now(self.project, name)}"
        if suffix in BEHIND:
            behind = qualified(self.project + BEHIND[suffix], name)
            if len(self.working.get((NOW, name), ())) > LONG:
                execute(self.connection, f"CREATE OR REPLACE VIEW {behind} AS {query}")
                query = f"SELECT * FROM {behind}"
            elif self._was_published(name):
                self.connection.execute(f"DROP VIEW IF EXISTS {behind}")
        execute(self.connection, f"CREATE OR REPLACE VIEW {view} AS {query}")

    def _columns(self, name: str, keys: Mapping[str, str]) -> list[tuple[str, str]]:
        """The columns of an instrument's versions, those of fields that are gone included: working and reader's name.

        Keys that readers were ever shown stay.
        """
        before = self.published.get(("_history", name)) or self.shown_before.get(name, ())
        found: dict[str, str] = {}
        for tables in (self.working, self.published):
            for ending in (NOW, PAST):
                for column in tables.get((ending, name), ()):
                    named = keys.get(column) or redcap_name(self.record_id_field, name, column)
                    if column in _BOOKKEEPING or (column in KEYS and column not in keys and named not in before):
                        continue
                    found.setdefault(column, named)
        return list(found.items())

    def _define_history(self, name: str, columns: Sequence[tuple[str, str]]) -> None:
        """Every version of the instrument's rows, those of today without an end."""
        parts = [
            f"SELECT {listed}, _valid_from, {end} AS _valid_to, _run_id FROM {_PLACES[ending](self.project, name)}"
            for ending, end in ((NOW, "NULL::TIMESTAMP"), (PAST, "_valid_to"))
            if (there := self._there(ending, name))
            for listed in (
                ", ".join(
                    f"{shown(column) if column in there else 'NULL::VARCHAR'} AS {identifier(named)}"
                    for column, named in columns
                ),
            )
        ]
        view = qualified(f"{self.project}_history", name)
        execute(self.connection, f"CREATE OR REPLACE VIEW {view} AS {' UNION ALL '.join(parts)}")
        self._say_what_is(view, HISTORY_TIMES)

    def _there(self, ending: str, name: str) -> set[str]:
        """The columns of one of the instrument's published tables, once it has been written."""
        return {*self.working.get((ending, name), ()), *self.published.get((ending, name), ())}

    def _write_versions(self, name: str, keys: Mapping[str, str]) -> None:
        """Bring the instrument's rows and versions up to date: what ended moves, and what is new comes."""
        if not self.copied:
            self._bring(name, NOW, "_run_id")
            self._bring(name, PAST, "_closed_run")
        if self.copied or not self._was_published(name):
            self._tell_first(name, keys)

    def _bring(self, name: str, ending: str, run: str) -> None:
        """One of the instrument's tables; the column `run` says which run put a row into it."""
        place, new = _PLACES[ending], "(SELECT run_id FROM new_runs)"
        target, origin = place(self.project, name), f"{self.source}.{place(self.project, name)}"
        offered, there = self.working.get((ending, name), ()), self.published.get((ending, name), ())
        if offered and not there:
            self.connection.execute(f"CREATE TABLE {target} AS FROM {origin}")
            return
        # Before anything else: DuckDB 1.5 does not alter a table whose rows the transaction has changed.
        for column in offered:
            if column not in there:
                self.connection.execute(f"ALTER TABLE {target} ADD COLUMN {identifier(column)} VARCHAR")
        if there and ending == NOW:
            ended = f"{self.source}.{rows_past(self.project, name)}"
            self.connection.execute(
                f"DELETE FROM {target} AS p USING {ended} AS h WHERE p._record = h._record AND p._event = h._event "
                "AND p._instance = h._instance AND p._run_id = h._run_id "
                f"AND h._closed_run IN {new} AND h._run_id NOT IN {new}"
            )
        if offered:
            self.connection.execute(f"INSERT INTO {target} BY NAME FROM {origin} WHERE {run} IN {new}")

    def _was_published(self, name: str) -> bool:
        return any((ending, name) in self.published for ending in _PLACES)

    # -- the first load, which is told as changes too ------------------------------------------------------

    def _tell_first(self, name: str, keys: Mapping[str, str]) -> None:
        """Have `record_changes` tell of the instrument's rows that came with the project's first load."""
        runs = ", ".join(literal(run) for run in self.first_runs)
        parts = [
            (place(self.project, name), self._there(ending, name))
            for ending, place in _PLACES.items()
            if self._there(ending, name)
        ]
        if not any(
            self.connection.execute(f"SELECT 1 FROM {table} WHERE _run_id IN ({runs}) LIMIT 1").fetchone()
            for table, _ in parts
        ):
            return
        cells = [(column, named) for column, named in self._columns(name, keys) if column not in KEYS]
        rows = " UNION ALL ".join(
            f"SELECT {literal(self.project)} AS project, _record AS record, nullif(_event, '') AS event, "
            f"{literal(name)} AS instrument, nullif(_instance, '') AS instance, "
            f"[{', '.join(literal(named) for _, named in cells)}] AS fields, "
            f"[{', '.join(identifier(c) if c in there else 'NULL' for c, _ in cells)}]::VARCHAR[] AS cells, "
            f"_valid_from AS detected_at, _run_id AS run_id FROM {table} WHERE _run_id IN ({runs})"
            for table, there in parts
        )
        if self.told_where + len(self.first_rows) < READ_WHERE_THEY_LIE:
            self.first_rows[name] = rows
            return
        self.connection.execute(
            "INSERT INTO _publish.first_load SELECT project, instrument, record, event, instance, to_json(cells), "
            f"detected_at, run_id FROM ({rows})"
        )
        self.connection.execute(
            "INSERT INTO _publish.first_columns VALUES ($project, $instrument, $fields)",
            {"project": self.project, "instrument": name, "fields": [named for _, named in cells]},
        )

    def _say_what_is(self, view: str, texts: Mapping[str, str]) -> None:
        for column, text in texts.items():
            place = f"COLUMN {view}.{identifier(column)}" if column else f"VIEW {view}"
            self.comments.append(f"COMMENT ON {place} IS {literal(text)}")


def define_changes(connection: Connection) -> None:
    """`redcap.record_changes`: what the first loads brought, as inserted cells, and every change since."""
    sql = statements("publish")
    rows = [row for (row,) in connection.execute(sql["first_rows"]).fetchall()]
    view = sql["define_changes"].replace("/* where they lie */", "".join(f"\nUNION ALL {row}" for row in rows))
    known = connection.execute(sql["changes_are"]).fetchone()
    if known != (view,):
        execute(connection, view)
        connection.execute(sql["describe_changes"])
        connection.execute("DELETE FROM _publish.changes")
        connection.execute("INSERT INTO _publish.changes VALUES ($view)", {"view": view})
