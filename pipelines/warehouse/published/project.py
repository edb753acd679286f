"""Brings one project in the published file up to its mirror: what its runs did since it was last published.

The published file has present rows, and versions that ended, in the same tables as the mirror; readers open views of
them. So a publish writes only what changed, however large the project is, and the first published file can begin as a
copy of a mirror. Not here: when and where that happens (publish.py).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.errors import ForeignMirror
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.quoting import identifier, qualified
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.mirror.schema.catalog import STRUCTURE_TABLES
from pipelines.warehouse.published import copy_sql
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables import ddl
from pipelines.warehouse.tables.layout import KEYS, NOW, PAST, VERSION, redcap_name

log = logging.getLogger("redcap_warehouse")

# Every load may rewrite these; they hold one project's present state.
REPLACED = ("projects", *STRUCTURE_TABLES, "records", "invalid_values", "sync_runs")
# Rows of these are written once, by one run; those of a run that was published need not be copied again.
APPENDED = ("dictionary_changes", "sync_chunks")
# The tables of schema _publish with rows of each project.
BOOKKEEPING = ("instruments", "runs", "sources", "cell_changes", "first_rows", "first_load", "first_columns")
# Those of them that name events and instruments.
NAMING = ("instruments", "cell_changes", "first_rows", "first_load", "first_columns")
# The endings of the schemas a project has.
SCHEMAS = ("", "_labels", "_raw", "_history", NOW, PAST, ":typed", ":labels")

# How many comments are written in one transaction.
COMMENTS_AT_ONCE = 50
# Every comment copies the whole text of its view. A view of more columns than this is therefore made over a second one,
# in one of the schemas below, that holds the long text and has no comments.
LONG = 100
BEHIND = {"": ":typed", "_labels": ":labels"}
# For how many instruments of the warehouse the view `record_changes` reads first-load rows in place. Each costs every
# query of the view half a millisecond; the rows of further ones are stored a second time.
FIRST_LOADS_IN_PLACE = 200

HISTORY_TIMES = {
    "_valid_from": "Since when the row was so: the start of the run that found it (UTC)",
    "_valid_to": "Until when it was so; empty for rows of today (UTC)",
}

# Columns of versions that are not cells.
_NO_CELLS = (*VERSION, "_valid_to", "_closed_run")

# The run that changed an instrument last, and a digest of the statements its views are made from.
PublishedVersion = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class InstrumentViews:
    """How the mirror says an instrument is to be shown; a row of copy_sql.publications."""

    name: str
    raw: str
    typed: str
    labels: str
    comments: str
    keys: str
    changed_run: str

    @property
    def digest(self) -> str:
        """What identifies the statements."""
        described = json.dumps([self.raw, self.typed, self.labels, self.comments, self.keys])
        return hashlib.sha256(described.encode()).hexdigest()


class ProjectPublisher:
    """Publishes one project, whose mirror is attached as `catalog`; in the caller's transaction."""

    def __init__(self, connection: Connection, project: str, catalog: str, *, is_copy: bool) -> None:
        """`is_copy` says that the published file began as a copy of this project's mirror: then its rows are there."""
        self.connection = connection
        self.project = project
        self.catalog = catalog
        self.source = identifier(catalog)
        self.is_copy = is_copy
        self.discarded = False
        """Whether something that was published of the project before must not remain anywhere in the file."""
        self._sql = statements("publish")
        self._named = {"project": project}
        self._record_id_field = ""
        self._first_runs: list[str] = []
        """The runs up to the first that ended well."""
        self._rebuild = False
        """Whether all rows and changes are copied again, because those published have old names."""
        self._shown_before: Mapping[str, Sequence[str]] = {}
        """The columns that readers saw of instruments' histories, where those are made again."""
        self._comments: list[str] = []
        """Statements that describe new views and their columns."""
        self._definitions: dict[str, str] = {}
        """The digests of instruments whose views are new; they are stored once the views have their comments."""
        self._versions: dict[str, PublishedVersion | None] = {}
        """The published version to store for each instrument; None if it is no longer published."""
        self._views_in_place = 0
        """How many instruments of the warehouse had their first-load rows read in place before."""
        self._first_rows: dict[str, str] = {}
        """Queries of the first-load rows of new instruments."""

    def publish(self) -> None:
        """Bring the published project up to its mirror."""
        if not self.is_copy:
            self._reset_if_replaced()
        self._find_runs()
        if not self.is_copy:
            self._reset_rows_if_renamed()
            self._copy_shared_tables()
        for suffix in SCHEMAS:
            self.connection.execute(ddl.create_schema(self.project + suffix))
        self.connection.execute(copy_sql.copy_cell_changes(self.source), {"rebuild": self._rebuild})
        self._publish_instruments()
        self.connection.execute(copy_sql.define_as_of(self.project))
        self._save_versions()
        self.connection.execute(self._sql["save_runs"], self._named)
        self.connection.execute(self._sql["drop_new_runs"])
        if self.is_copy:
            self._save_source()

    def write_comments(self) -> None:
        """Describe new views and their columns, a few in each transaction, once everything else is committed.

        Every comment makes a copy of its whole view, which stays in memory until the transaction ends.
        """
        for first in range(0, len(self._comments), COMMENTS_AT_ONCE):
            some = self._comments[first : first + COMMENTS_AT_ONCE]
            self.connection.execute("; ".join(("BEGIN TRANSACTION", *some, "COMMIT")))
        # Until here the instruments have no digest: should this fail, the next publish makes their views again.
        names, definitions = list(self._definitions), list(self._definitions.values())
        values = {**self._named, "names": names, "definitions": definitions}
        self.connection.execute(self._sql["save_definitions"], values)

    def _find_runs(self) -> None:
        row = one(self.connection, copy_sql.record_id_field(self.source))
        self._record_id_field = row[0] if row else ""
        self.connection.execute(copy_sql.make_new_runs(self.source), self._named)
        self._first_runs = [run for (run,) in self.connection.execute(copy_sql.first_runs(self.source)).fetchall()]

    # -- what all instruments share ------------------------------------------------------------------------

    def _reset_if_replaced(self) -> None:
        """Delete what was published from another mirror, or from a newer state of this one.

        Raises ForeignMirror if nobody discarded the mirror that the project was published from.
        """
        row = one(self.connection, copy_sql.project_identity(self.source))
        known = one(self.connection, self._sql["published_identity"], self._named)
        if row == known and not self._is_older():
            return
        if known is not None and row != known:
            discarded = {"identity": known[0]}
            if not count(self.connection, copy_sql.was_discarded(self.source), discarded):
                raise ForeignMirror(project=self.project)
        self.discarded = known is not None
        self._drop_schemas()
        self._delete_rows("redcap", (*REPLACED, *APPENDED, "audit_log"))
        self._delete_rows("writeback", ("batches", "proposals", "journal"))
        self._delete_rows("_publish", BOOKKEEPING)
        self._save_source()

    def _is_older(self) -> bool:
        """Whether the mirror lacks runs that were published: it came from a backup, and is authoritative now."""
        lost = count(self.connection, copy_sql.count_lost_runs(self.source), self._named)
        if lost:
            log.warning(
                "%s: the mirror is older than what is published of it, like one restored from a backup. The project is "
                "published again from it, without %s later runs.",
                self.project,
                lost,
            )
        return bool(lost)

    def _reset_rows_if_renamed(self) -> None:
        """Delete published rows, versions and changes where an event or an instrument has a new name.

        The published ones have the old name and those of the mirror the new one, so they are all copied again.
        """
        renamed = self.connection.execute(copy_sql.new_renames(self.source)).fetchall()
        if not renamed:
            return
        self._rebuild = True
        shown = {name: columns for (_, name), columns in self._tables("warehouse", "_history").items()}
        for kind, old, new in renamed:
            if kind == "instrument" and old in shown:
                shown[new] = shown.pop(old)
        self._shown_before = shown
        self._drop_schemas()
        self._delete_rows("_publish", NAMING)

    def _drop_schemas(self) -> None:
        for suffix in SCHEMAS:
            self.connection.execute(copy_sql.drop_schema(self.project + suffix))

    def _delete_rows(self, schema: str, tables: Sequence[str]) -> None:
        for table in tables:
            self.connection.execute(copy_sql.delete_rows_of_project(schema, table), self._named)

    def _save_source(self) -> None:
        self.connection.execute(copy_sql.save_source(self.source), self._named)

    def _copy_shared_tables(self) -> None:
        self._delete_rows("redcap", REPLACED)
        for table in REPLACED:
            self.connection.execute(copy_sql.copy_table(self.source, "redcap", table))
        for table in APPENDED:
            self.connection.execute(copy_sql.copy_new_entries(self.source, "redcap", table))
        self._copy_writeback()
        # Every load reads the log again from a little before the previous load: those rows replace the published ones.
        self.connection.execute(copy_sql.delete_log(self.source), self._named)
        self.connection.execute(copy_sql.copy_log(self.source))

    def _copy_writeback(self) -> None:
        """Copy what was proposed and sent to REDCap, where anything was."""
        found = self.connection.execute(self._sql["writeback_tables"], {"catalog": self.catalog}).fetchall()
        tables = [table for (table,) in found]
        if "proposals" in tables and not self.discarded:
            emptied = count(self.connection, copy_sql.has_emptied_proposals(self.source), self._named)
            self.discarded = bool(emptied)
        self._delete_rows("writeback", tables)
        for table in tables:
            self.connection.execute(copy_sql.copy_table(self.source, "writeback", table))

    def _published_versions(self) -> dict[str, PublishedVersion]:
        found = self.connection.execute(self._sql["published_versions"], self._named).fetchall()
        return {name: (run, definition) for name, run, definition in found}

    def _save_versions(self) -> None:
        kept = {name: version for name, version in self._versions.items() if version is not None}
        self.connection.execute(self._sql["delete_versions"], {**self._named, "names": list(self._versions)})
        self.connection.execute(
            self._sql["save_versions"],
            {
                **self._named,
                "names": list(kept),
                "runs": [run for run, _ in kept.values()],
                "definitions": [definition for _, definition in kept.values()],
            },
        )
        names, rows = list(self._first_rows), list(self._first_rows.values())
        self.connection.execute(self._sql["save_first_rows"], {**self._named, "names": names, "rows": rows})

    # -- the columns that are there; read before anything is changed, and only if something is ----------------

    @cached_property
    def _mirror_columns(self) -> Mapping[tuple[str, str], list[str]]:
        """The columns of the mirror's tables, by the ending of their schema and their name."""
        return self._tables(self.catalog, NOW, PAST)

    @cached_property
    def _published_columns(self) -> Mapping[tuple[str, str], list[str]]:
        """The columns of the published tables and history views."""
        return self._tables("warehouse", NOW, PAST, "_history")

    def _tables(self, catalog: str, *endings: str) -> dict[tuple[str, str], list[str]]:
        """The columns of the project's tables and views in some schemas, by the schema's ending and the name."""
        values = {"catalog": catalog, "schemas": [self.project + ending for ending in endings]}
        found = self.connection.execute(self._sql["columns"], values).fetchall()
        return {(schema.removeprefix(self.project), table): columns for schema, table, columns in found}

    def _mirror_instruments(self) -> list[str]:
        """The instruments that have a table in the mirror, those REDCap no longer has included."""
        values = {"catalog": self.catalog, "now": self.project + NOW, "past": self.project + PAST}
        return [name for (name,) in self.connection.execute(self._sql["mirror_instruments"], values).fetchall()]

    def _columns_of(self, ending: str, name: str) -> set[str]:
        """The columns of one of the instrument's published tables, once it has been written."""
        return {*self._mirror_columns.get((ending, name), ()), *self._published_columns.get((ending, name), ())}

    def _history_columns(self, name: str, keys: Mapping[str, str]) -> list[tuple[str, str]]:
        """The columns of an instrument's versions, as (name in the mirror, REDCap's name).

        Those of fields that REDCap no longer has are included, and keys that readers were ever shown.
        """
        before = self._published_columns.get(("_history", name)) or self._shown_before.get(name, ())
        found: dict[str, str] = {}
        for tables in (self._mirror_columns, self._published_columns):
            for ending in (NOW, PAST):
                for column in tables.get((ending, name), ()):
                    named = keys.get(column) or redcap_name(self._record_id_field, name, column)
                    if column in _NO_CELLS or (column in KEYS and column not in keys and named not in before):
                        continue
                    found.setdefault(column, named)
        return list(found.items())

    # -- one instrument ------------------------------------------------------------------------------------

    def _publish_instruments(self) -> None:
        self._views_in_place = count(self.connection, self._sql["count_first_rows"])
        found = self.connection.execute(copy_sql.publications(self.source)).fetchall()
        instruments = [InstrumentViews(*row) for row in found]
        before = self._published_versions()
        present = {views.name for views in instruments}
        for name in sorted({*before, *self._mirror_instruments()}.difference(present)):
            self._retire(name, was_shown=name in before)
        for views in instruments:
            self._publish_instrument(before.get(views.name), views)

    def _retire(self, name: str, *, was_shown: bool) -> None:
        """Drop the views of an instrument that REDCap no longer has; its history stays."""
        if was_shown:
            for suffix in ("", "_labels", "_raw", *BEHIND.values()):
                self.connection.execute(copy_sql.drop_view(qualified(self.project + suffix, name)))
            self._copy_versions(name, {})
            self._versions[name] = None
        elif ("_history", name) not in self._published_columns:
            # It was added and removed between two publishes.
            keys = {key: redcap_name(self._record_id_field, name, key) for key in KEYS}
            self._copy_versions(name, keys)
            self._define_history(name, self._history_columns(name, keys))

    def _publish_instrument(self, before: PublishedVersion | None, views: InstrumentViews) -> None:
        """Copy the instrument's versions and make its views, each only where something changed."""
        # Tables never change their columns without the views or the run.
        digest = views.digest
        if before == (views.changed_run, digest):
            return
        name, keys = views.name, json.loads(views.keys)
        columns = self._history_columns(name, keys)
        self._copy_versions(name, keys)
        if before is None or before[1] != digest:
            self._definitions[name] = digest
            self._define_history(name, columns)
            self._define_views(views)
        self._versions[name] = (views.changed_run, None if name in self._definitions else digest)

    def _define_views(self, views: InstrumentViews) -> None:
        comments = json.loads(views.comments)
        # Columns are described in the views analysts use most; a third time would cost as much as the rows.
        for suffix, select, texts in (
            ("_raw", views.raw, {"": comments[""]}),
            ("", views.typed, comments),
            ("_labels", views.labels, comments),
        ):
            self._define_view(suffix, views.name, select)
            self._describe(qualified(self.project + suffix, views.name), texts)

    def _define_view(self, suffix: str, name: str, select: str) -> None:
        """A view of the instrument's present rows; a long one that will have comments is made over another view."""
        view, query = qualified(self.project + suffix, name), copy_sql.present_rows(self.project, name, select)
        if suffix in BEHIND:
            behind = qualified(self.project + BEHIND[suffix], name)
            if len(self._mirror_columns.get((NOW, name), ())) > LONG:
                execute(self.connection, copy_sql.create_view(behind, query))
                query = copy_sql.whole_view(behind)
            elif self._was_published(name):
                self.connection.execute(copy_sql.drop_view(behind))
        execute(self.connection, copy_sql.create_view(view, query))

    def _define_history(self, name: str, columns: Sequence[tuple[str, str]]) -> None:
        """The view of every version of the instrument's rows; those of the present rows have no end."""
        present = {ending: self._columns_of(ending, name) for ending in (NOW, PAST)}
        view = qualified(f"{self.project}_history", name)
        query = copy_sql.history_rows(self.project, name, columns, present)
        execute(self.connection, copy_sql.create_view(view, query))
        self._describe(view, HISTORY_TIMES)

    def _describe(self, view: str, texts: Mapping[str, str]) -> None:
        self._comments += [copy_sql.comment(view, column, text) for column, text in texts.items()]

    def _copy_versions(self, name: str, keys: Mapping[str, str]) -> None:
        """Bring the instrument's rows and versions up to date."""
        if not self.is_copy:
            self._copy_new_rows(name, NOW, "_run_id")
            self._copy_new_rows(name, PAST, "_closed_run")
        if self.is_copy or not self._was_published(name):
            self._record_first_load(name, keys)

    def _copy_new_rows(self, name: str, ending: str, run_column: str) -> None:
        """Bring one of the instrument's tables up to date; `run_column` says which run wrote a row."""
        table = copy_sql.PLACES[ending](self.project, name)
        offered, there = self._mirror_columns.get((ending, name), ()), self._published_columns.get((ending, name), ())
        if offered and not there:
            self.connection.execute(copy_sql.copy_rows(self.source, table))
            return
        # Before anything else: DuckDB 1.5 does not alter a table whose rows the transaction has changed.
        for column in offered:
            if column not in there:
                self.connection.execute(ddl.add_column(table, column))
        if there and ending == NOW:
            self.connection.execute(copy_sql.delete_ended(self.source, self.project, name))
        if offered:
            self.connection.execute(copy_sql.copy_new_rows(self.source, table, run_column))

    def _was_published(self, name: str) -> bool:
        return any((ending, name) in self._published_columns for ending in copy_sql.PLACES)

    def _record_first_load(self, name: str, keys: Mapping[str, str]) -> None:
        """Let the view `record_changes` show the instrument's rows of the project's first load."""
        tables = [
            (place(self.project, name), columns)
            for ending, place in copy_sql.PLACES.items()
            if (columns := self._columns_of(ending, name))
        ]
        if not any(one(self.connection, copy_sql.any_row_of(table, self._first_runs)) for table, _ in tables):
            return
        cells = [(column, named) for column, named in self._history_columns(name, keys) if column not in KEYS]
        rows = copy_sql.first_load_rows(self.project, name, cells, tables, self._first_runs)
        if self._views_in_place + len(self._first_rows) < FIRST_LOADS_IN_PLACE:
            self._first_rows[name] = rows
            return
        self.connection.execute(copy_sql.insert_first_load(rows))
        values = {**self._named, "instrument": name, "fields": [named for _, named in cells]}
        self.connection.execute(self._sql["save_first_columns"], values)


def define_changes(connection: Connection) -> None:
    """Make the view redcap.record_changes, unless it is up to date."""
    sql = statements("publish")
    rows = [row for (row,) in connection.execute(sql["first_rows"]).fetchall()]
    view = sql["define_changes"].replace("/* first_rows */", "".join(f"\nUNION ALL {row}" for row in rows))
    if one(connection, sql["changes_definition"]) != (view,):
        execute(connection, view)
        connection.execute(sql["describe_changes"])
        connection.execute(sql["save_changes_definition"], {"view": view})
