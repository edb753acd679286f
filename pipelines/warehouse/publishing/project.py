"""Brings one project in the published file up to its mirror: what its runs did since it was last published.

Only what changed is written, however large the project is. Not here: when and where that happens (publish.py), and one
instrument's tables and views (instruments.py).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipelines.errors import ForeignMirror
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.dialect import FILE, Dialect
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.mirror.schema.catalog import STRUCTURE_TABLES
from pipelines.warehouse.publishing import copy_sql
from pipelines.warehouse.publishing.first_load import record_first_load
from pipelines.warehouse.publishing.instrument_views import HISTORIES, VIEWS
from pipelines.warehouse.publishing.instruments import TABLES, InstrumentPublisher
from pipelines.warehouse.publishing.proof import Proof, prove
from pipelines.warehouse.publishing.source import MirrorSource
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables import ddl
from pipelines.warehouse.tables.layout import PAST

log = logging.getLogger("redcap_warehouse")

# Tables that hold one project's present state, each replaced where it differs.
REPLACED = ("projects", *STRUCTURE_TABLES, "invalid_values")
# Rows of these are written once, by one run; those of a run that was published need not be copied again.
APPENDED = ("dictionary_changes", "sync_chunks")
WRITEBACK = ("batches", "proposals", "journal")
# The tables of schema _publish with rows of each project.
BOOKKEEPING = ("instruments", "parts", "runs", "sources", "cell_changes", "first_rows", "first_load", "first_columns")
# The endings of the schemas a project has.
SCHEMAS = (*TABLES, PAST, *VIEWS, *HISTORIES)


class ProjectPublisher:
    """Publishes one project, whose mirror is attached as `catalog`; in the caller's transaction."""

    def __init__(
        self,
        connection: Connection,
        source: MirrorSource,
        catalog: str,
        *,
        is_copy: bool = False,
        anew: bool = False,
        dialect: Dialect = FILE,
    ) -> None:
        """`is_copy` says that the published file began as a copy of this project's mirror: then its rows are there.

        With `anew`, what was published of the project is removed first.
        """
        self.discarded = False
        """Whether something that was published of the project before must not remain anywhere in the file."""
        self._connection = connection
        self._source = source
        self._catalog = identifier(catalog)
        self._is_copy = is_copy
        self._anew = anew
        self._has_rows = False
        """Whether the shared tables have rows of the project when it is written."""
        self._sql = statements("publish")
        self._named = {"project": source.project}
        self._dialect = dialect
        self._instruments = InstrumentPublisher(
            connection, source, catalog, is_copy=is_copy, anew=anew, dialect=dialect
        )

    def publish(self) -> Proof:
        """Bring the published project up to its mirror, and compare both.

        Raises NotProven if they differ afterwards, and ForeignMirror if nobody discarded the mirror that the project
        was published from.
        """
        whole = self._begin()
        for suffix in SCHEMAS:
            self._connection.execute(ddl.create_schema(self._source.project + suffix))
        if not self._is_copy:
            self._copy_shared_tables()
        self._connection.execute(copy_sql.copy_cell_changes(self._catalog))
        self._instruments.publish()
        record_first_load(self._connection, self._source, self._instruments, self._dialect)
        if self._dialect.cheap_definitions or not self._has_rows:
            for ending in HISTORIES:
                self._connection.execute(copy_sql.define_as_of(self._source.project + ending))
        self._save()
        return prove(self._connection, self._source, self._catalog, self._instruments, whole=whole)

    def write_comments(self) -> None:
        """Describe new tables and views; in a file once everything else is committed."""
        try:
            self._instruments.write_comments()
        except BaseException:
            if self._dialect.apart:
                self._connection.execute(self._sql["forget_comments"], self._named)
            raise

    # -- what was published before -------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Find the new runs; returns whether everything is to be compared with the mirror afterwards.

        That is so after a full refresh; what is written as a whole is compared as a whole anyway.
        """
        if self._is_copy:
            self._make_new_runs(frozenset())
            return False
        known = self._published_runs()
        if self._anew or not self._continues(known):
            self._remove()
            known = frozenset()
        self._make_new_runs(known)
        if known and count(self._connection, copy_sql.new_renames(self._catalog)):
            # The published rows have the old names and those of the mirror the new ones.
            self._remove()
            self._make_new_runs(frozenset())
            return False
        self._has_rows = bool(known)
        return bool(known) and any(run.run_id not in known and run.mode == "full" for run in self._source.runs)

    def _published_runs(self) -> frozenset[str]:
        return frozenset(
            run for (run,) in self._connection.execute(self._sql["published_runs"], self._named).fetchall()
        )

    def _make_new_runs(self, known: frozenset[str]) -> None:
        new = [run.run_id for run in self._source.runs if run.run_id not in known]
        self._connection.execute(copy_sql.make_new_runs(), {"runs": new})

    def _continues(self, known: frozenset[str]) -> bool:
        """Whether the mirror is the one that the project was published from, in a state as new."""
        row = one(self._connection, self._sql["published_identity"], self._named)
        if row is None:
            return True
        if row[0] != self._source.identity:
            if row[0] not in self._source.replaced:
                raise ForeignMirror(project=self._source.project)
            self.discarded = True
            return False
        if lost := known.difference(run.run_id for run in self._source.runs):
            log.warning(
                "%s: the mirror is older than what is published of it, like one restored from a backup. The project is "
                "published again from it, without %s later runs.",
                self._source.project,
                len(lost),
            )
            self.discarded = True
            return False
        return True

    def _remove(self) -> None:
        for suffix in SCHEMAS:
            self._connection.execute(copy_sql.drop_schema(self._source.project + suffix))
        self._delete_rows("redcap", (*REPLACED, *APPENDED, "records", "sync_runs", "audit_log"))
        self._delete_rows("writeback", WRITEBACK)
        self._delete_rows("_publish", BOOKKEEPING)

    def _delete_rows(self, schema: str, tables: Sequence[str]) -> None:
        for table in tables:
            self._connection.execute(copy_sql.delete_rows_of_project(schema, table), self._named)

    # -- what all instruments share ------------------------------------------------------------------------

    def _copy_shared_tables(self) -> None:
        before = dict(self._connection.execute(self._sql["published_parts"], self._named).fetchall())
        differs = {part for part, digest in self._source.parts.items() if before.get(part) != digest}
        replaced = [table for table in REPLACED if f"redcap.{table}" in differs]
        # The project's last run, and every run's outcome; no digest covers them.
        for table in dict.fromkeys(("projects", "sync_runs", *replaced)):
            self._replace_rows("redcap", table)
        if "redcap.records" in differs:
            if self._has_rows:
                self._connection.execute(copy_sql.delete_changed_records(self._catalog), self._named)
            self._connection.execute(copy_sql.copy_new_records(self._catalog), self._named)
        for table in APPENDED:
            self._connection.execute(copy_sql.copy_new_entries(self._catalog, "redcap", table))
        self._copy_writeback([table for table in WRITEBACK if f"writeback.{table}" in differs])
        # Every load reads the log again from a little before the previous load: those rows replace the published ones.
        if self._has_rows:
            self._connection.execute(copy_sql.delete_log(self._catalog), self._named)
        self._connection.execute(copy_sql.copy_log(self._catalog))

    def _copy_writeback(self, tables: Sequence[str]) -> None:
        """Copy what was proposed and sent to REDCap, where that is new."""
        if "proposals" in tables and not self.discarded:
            emptied = count(self._connection, copy_sql.has_emptied_proposals(self._catalog), self._named)
            self.discarded = bool(emptied)
        for table in tables:
            self._replace_rows("writeback", table)

    def _replace_rows(self, schema: str, table: str) -> None:
        """Copy all rows of a shared table, in place of those that were published."""
        if self._has_rows:
            self._delete_rows(schema, [table])
        self._connection.execute(copy_sql.copy_table(self._catalog, schema, table))

    def _save(self) -> None:
        if self._has_rows:
            self._delete_rows("_publish", ["parts"])
        parts = {**self._named, "parts": list(self._source.parts), "digests": list(self._source.parts.values())}
        self._connection.execute(self._sql["save_parts"], parts)
        self._connection.execute(self._sql["save_runs"], self._named)
        self._connection.execute(self._sql["drop_new_runs"])
        if one(self._connection, self._sql["published_identity"], self._named) is None:
            source = {**self._named, "identity": self._source.identity}
            self._connection.execute(self._sql["save_source"], source)
