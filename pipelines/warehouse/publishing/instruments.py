"""Brings the tables and views of one project's instruments up to its mirror; only those that changed.

Of each instrument the published file has its present rows and the versions that ended, verbatim and in the same tables
as the mirror; a table of the present rows with types; and views of labels, of the verbatim rows and of the history.
Not here: what all instruments share (project.py), and how the first load's rows are changes (first_load.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.dialect import FILE, Dialect
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.quoting import identifier, qualified
from pipelines.warehouse.publishing import copy_sql
from pipelines.warehouse.publishing.instrument_views import InstrumentViews
from pipelines.warehouse.publishing.source import InstrumentSource, MirrorSource
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import NOW, PAST

# The tables that an instrument has while REDCap has it, by the endings of their schemas.
TABLES = ("", NOW)


@dataclass(frozen=True, slots=True)
class PublishedInstrument:
    """What is published of one instrument."""

    name: str
    changed_run: str | None = None
    """The run that changed it last; None if REDCap no longer has it."""
    table: str | None = None
    views: str | None = None
    history: str | None = None
    comments: str | None = None
    """Digests of what its table with types, its views, those of its history and the comments were made from."""
    now_columns: tuple[str, ...] = ()
    past_columns: tuple[str, ...] = ()
    """The columns of its verbatim tables; none where there is no such table."""

    @property
    def present(self) -> dict[str, Sequence[str]]:
        """The columns of its verbatim tables that exist, by the ending of their schema."""
        return {ending: columns for ending, columns in ((NOW, self.now_columns), (PAST, self.past_columns)) if columns}


class InstrumentPublisher:
    """Publishes the instruments of one project, whose mirror is attached; in the caller's transaction."""

    def __init__(
        self,
        connection: Connection,
        source: MirrorSource,
        catalog: str,
        *,
        is_copy: bool,
        anew: bool = False,
        dialect: Dialect = FILE,
    ) -> None:
        """`is_copy` says that the published file began as a copy of this mirror: then its verbatim rows are there.

        With `anew`, every value is tested again, because what was written before was found to be wrong.
        """
        self.is_copy = is_copy
        self.anew = anew
        self.renewed: set[str] = set()
        """Instruments of which every row was written."""
        self.changed: set[str] = set()
        """Instruments of which some rows were written: those of the records in the temporary table `changed`."""
        self.added: list[str] = []
        """Instruments of which nothing was published before."""
        self.reshaped: list[str] = []
        """Instruments whose verbatim tables have other columns than before, or are more."""
        self._connection = connection
        self._source = source
        self._catalog = identifier(catalog)
        self._sql = statements("publish")
        self._views = InstrumentViews(connection, source, dialect)
        self._found: dict[str, PublishedInstrument] = {}
        self._before: dict[str, PublishedInstrument] = {}

    @property
    def published(self) -> Mapping[str, PublishedInstrument]:
        """What is published of each instrument now, those included that REDCap no longer has."""
        return {**self._before, **self._found}

    def publish(self) -> None:
        """Bring every instrument up to the mirror."""
        self._before = self._read()
        present = {instrument.name for instrument in self._source.instruments}
        kept = {name for _, name in self._source.columns}
        for name in sorted({*self._before, *kept} - present):
            self._retire(name)
        changed = [item for item in self._source.instruments if self._differs(item)]
        if changed:
            self._connection.execute(copy_sql.make_changed_records())
        for item in changed:
            self._publish(item)
        self._save()

    def write_comments(self) -> None:
        """Describe new tables and views and their columns; in a file once everything else is committed."""
        self._views.write_comments()

    def history_columns(self, name: str) -> list[tuple[str, str]]:
        """The columns of an instrument's versions, as (name in the mirror, REDCap's name)."""
        keys = next((item.keys for item in self._source.instruments if item.name == name), {})
        return self._views.history_columns(name, keys, self.published[name].present)

    # -- what is there -------------------------------------------------------------------------------------

    def _read(self) -> dict[str, PublishedInstrument]:
        values = {"project": self._source.project}
        rows = self._connection.execute(self._sql["published_instruments"], values).fetchall()
        return {
            name: PublishedInstrument(name, run, table, views, history, comments, tuple(now), tuple(past))
            for name, run, table, views, history, comments, now, past in rows
        }

    def _save(self) -> None:
        found = list(self._found.values())
        values = {"project": self._source.project, "names": [item.name for item in found]}
        self._connection.execute(self._sql["delete_instruments"], values)
        self._connection.execute(
            self._sql["save_instruments"],
            {
                **values,
                "runs": [item.changed_run for item in found],
                "tables": [item.table for item in found],
                "views": [item.views for item in found],
                "histories": [item.history for item in found],
                "comments": [item.comments for item in found],
                "now": [list(item.now_columns) for item in found],
                "past": [list(item.past_columns) for item in found],
            },
        )

    def _differs(self, item: InstrumentSource) -> bool:
        before = self._before.get(item.name)
        return before is None or (before.changed_run, before.table, before.views, before.history, before.comments) != (
            item.changed_run,
            item.table_digest,
            item.view_digest,
            self._history_digest(item, before),
            item.comment_digest,
        )

    def _history_digest(self, item: InstrumentSource, before: PublishedInstrument | None) -> str:
        return self._source.history_digest(item, has_ended=self._has_ended(item.name, before))

    def _has_ended(self, name: str, before: PublishedInstrument | None) -> bool:
        """Whether the instrument has, or had when it was published, versions that ended."""
        return bool(before and before.past_columns) or name in self._source.ended

    # -- one instrument ------------------------------------------------------------------------------------

    def _publish(self, item: InstrumentSource) -> None:
        before = self._before.get(item.name)
        if before is None:
            self.added.append(item.name)
        now = replace(
            self._copy_rows(item.name, before),
            changed_run=item.changed_run,
            table=item.table_digest,
            views=item.view_digest,
            history=self._history_digest(item, before),
            comments=item.comment_digest,
        )
        if before is not None and before.present != now.present:
            self.reshaped.append(item.name)
        self._write_typed(item, before)
        is_new = before is None or item.name in self.renewed
        if before is None or is_new or before.views != now.views:
            self._views.define(item, now.present)
            self._views.describe(item, table=is_new)
        elif (before.present, before.history) != (now.present, now.history):
            self._views.define_histories(item, now.present)
        if before is not None and not is_new and before.comments != now.comments:
            self._views.describe(item, table=True)
        self._found[item.name] = now

    def _retire(self, name: str) -> None:
        """Keep only the history of an instrument that REDCap no longer has."""
        before = self._before.get(name)
        now = self._copy_rows(name, before)
        if before is not None and before.changed_run is not None:
            for ending in TABLES:
                self._connection.execute(copy_sql.drop_table(qualified(self._source.project + ending, name)))
            self._views.drop(name)
        if before is None or before.changed_run is not None or before.present != now.present:
            self._views.define_history(name, now.present)
        if before is None:
            self.added.append(name)
        elif before.present != now.present:
            self.reshaped.append(name)
        self._found[name] = now

    def _copy_rows(self, name: str, before: PublishedInstrument | None) -> PublishedInstrument:
        """Bring the verbatim tables up to the mirror, and find which records changed; returns what there is then."""
        there = before or PublishedInstrument(name)
        offered = tuple(self._source.columns.get((NOW, name), ()))
        has_ended = self._has_ended(name, before)
        ended = tuple(self._source.columns.get((PAST, name), ())) if has_ended else ()
        if self.is_copy:
            self.renewed.add(name)
            return PublishedInstrument(name, now_columns=offered, past_columns=self._kept_past(name, ended))
        if not offered or there.now_columns != offered:
            self.renewed.add(name)
        else:
            self.changed.add(name)
            self._connection.execute(
                copy_sql.find_changed_records(self._catalog, self._source.project, name, past=bool(ended))
            )
            if ended:
                self._connection.execute(copy_sql.delete_ended(self._catalog, self._source.project, name))
        self._copy(name, NOW, offered, there.now_columns, "_run_id")
        self._copy(name, PAST, ended, there.past_columns, "_closed_run")
        return PublishedInstrument(name, now_columns=offered, past_columns=ended)

    def _kept_past(self, name: str, ended: tuple[str, ...]) -> tuple[str, ...]:
        if not ended:
            self._connection.execute(copy_sql.drop_table(copy_sql.PLACES[PAST](self._source.project, name)))
        return ended

    def _copy(self, name: str, ending: str, offered: Sequence[str], there: Sequence[str], run_column: str) -> None:
        if not offered:
            return
        table = copy_sql.PLACES[ending](self._source.project, name)
        if tuple(offered) == tuple(there):
            self._connection.execute(copy_sql.copy_new_rows(self._catalog, table, run_column))
        else:
            self._connection.execute(copy_sql.copy_rows(self._catalog, table))

    def _write_typed(self, item: InstrumentSource, before: PublishedInstrument | None) -> None:
        """Write the rows with types: all where the table is new, or else those of changed records."""
        project = self._source.project
        if item.name in self.renewed or before is None or before.table != item.table_digest:
            self.renewed.add(item.name)
            self.changed.discard(item.name)
            select = item.typed if self.anew else self._source.whole_select(item)
            execute(self._connection, copy_sql.make_typed(project, item.name, select))
            return
        field = self._source.record_id_field
        self._connection.execute(copy_sql.delete_typed(project, item.name, field))
        execute(self._connection, copy_sql.insert_typed(project, item.name, item.typed))
