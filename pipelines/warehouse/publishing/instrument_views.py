"""The views of a project's instruments in the published file, and what its tables and views say of their columns.

Not here: the rows (instruments.py), and the statements of the views (pipelines/warehouse/tables/views.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from pipelines.warehouse.database.connection import Connection, unoptimized
from pipelines.warehouse.database.dialect import FILE, Dialect
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.quoting import qualified
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.publishing import copy_sql
from pipelines.warehouse.publishing.source import NO_CELLS, InstrumentSource, MirrorSource
from pipelines.warehouse.tables.layout import KEYS, NOW, PAST, redcap_name
from pipelines.warehouse.tables.views import TYPED, shown

# How many comments are written in one transaction.
COMMENTS_AT_ONCE = 50
# The schemas of the views of instruments that REDCap has, and of those of every version, by their endings.
VIEWS = ("_labels", "_raw")
HISTORIES = ("_history", "_history_raw")

HISTORY_TIMES = {
    "_valid_from": "Since when the row was so: the start of the run that found it (UTC)",
    "_valid_to": "Until when it was so; empty for rows of today (UTC)",
    "_run_id": "The run that found it so",
}

# The columns of an instrument's verbatim tables, by the ending of their schema.
Present = Mapping[str, Sequence[str]]


class InstrumentViews:
    """The views and comments of one project's instruments."""

    def __init__(self, connection: Connection, source: MirrorSource, dialect: Dialect = FILE) -> None:
        self._connection = connection
        self._source = source
        self._dialect = dialect
        self._comments: list[str] = []
        self._past_keys: dict[str, set[str]] = {}
        """Which of the keys that not every instrument has occur in versions that ended."""

    def define(self, item: InstrumentSource, present: Present) -> None:
        """Make the views of an instrument."""
        project, name = self._source.project, item.name
        verbatim = copy_sql.PLACES[NOW](project, name)
        self._define("_raw", name, f"{item.raw} FROM {verbatim}")
        labelled = qualified(project, name) if item.labels_from == TYPED else verbatim
        self._define("_labels", name, f"{item.labels} FROM {labelled}")
        self.define_histories(item, present)

    def define_histories(self, item: InstrumentSource, present: Present) -> None:
        """Make the views of every version of an instrument."""
        project, name = self._source.project, item.name
        columns = self.history_columns(name, item.keys, present)
        self._define("_history_raw", name, copy_sql.history_rows(project, name, columns, present))
        further = [
            (item.hidden.get(column, shown(column)), named)
            for column, named in columns
            if column not in item.keys and (column in KEYS or column not in present[NOW])
        ]
        select = self._source.history_select(item, has_ended=PAST in present)
        typed = copy_sql.typed_history_rows(project, name, select, further, present)
        self._define("_history", name, typed)
        for ending in HISTORIES:
            self._comment("VIEW", ending, name, HISTORY_TIMES)

    def define_history(self, name: str, present: Present) -> None:
        """Make the views of the versions of an instrument that REDCap no longer has; nothing says their types."""
        columns = self.history_columns(name, {}, present)
        for ending in HISTORIES:
            self._define(ending, name, copy_sql.history_rows(self._source.project, name, columns, present))
            self._comment("VIEW", ending, name, HISTORY_TIMES)

    def drop(self, name: str) -> None:
        """Drop all views of an instrument but those of its versions."""
        for ending in VIEWS:
            self._connection.execute(copy_sql.drop_view(qualified(self._source.project + ending, name)))

    def _define(self, ending: str, name: str, query: str) -> None:
        view = qualified(self._source.project + ending, name)
        execute(self._connection, copy_sql.create_view(view, query))

    def history_columns(self, name: str, keys: Mapping[str, str], present: Present) -> list[tuple[str, str]]:
        """The columns of an instrument's versions, as (name in the mirror, REDCap's name).

        Those of fields that REDCap no longer has are included, and keys that only earlier versions have.
        """
        found: dict[str, str] = {}
        for column in chain.from_iterable(present.values()):
            if column in NO_CELLS or (
                column in KEYS and column not in keys and not self._has_key(name, column, present)
            ):
                continue
            named = keys.get(column) or redcap_name(self._source.record_id_field, name, column)
            found.setdefault(column, named)
        return list(found.items())

    def _has_key(self, name: str, key: str, present: Present) -> bool:
        if key == "_record":
            return True
        if PAST not in present:
            return False
        if name not in self._past_keys:
            row = one(self._connection, copy_sql.any_keys(self._source.project, name))
            self._past_keys[name] = {found for found, is_there in zip(KEYS[1:], row or (), strict=True) if is_there}
        return key in self._past_keys[name]

    # -- comments ------------------------------------------------------------------------------------------

    def describe(self, item: InstrumentSource, *, table: bool) -> None:
        """Describe the instrument's views, and where it has no comments yet or others, the table with types."""
        if table:
            self._comment("TABLE", "", item.name, item.comments)
        self._comment("VIEW", "_labels", item.name, item.comments)
        # In a third place the columns' comments would cost as much as the rows.
        self._comment("VIEW", "_raw", item.name, {"": item.comments[""]})

    def _comment(self, kind: str, ending: str, name: str, texts: Mapping[str, str]) -> None:
        place = qualified(self._source.project + ending, name)
        if kind == "VIEW" and not self._dialect.view_columns:
            texts = {column: text for column, text in texts.items() if not column}
        self._comments += [copy_sql.comment(kind, place, column, text) for column, text in texts.items()]

    def write_comments(self) -> None:
        """Write the comments; in a file once everything else is committed.

        There every comment makes a copy of its whole table or view, which stays in memory until the transaction ends.
        """
        with unoptimized(self._connection):
            for first in range(0, len(self._comments), COMMENTS_AT_ONCE):
                with self._dialect.describing(self._connection):
                    self._connection.execute("; ".join(self._comments[first : first + COMMENTS_AT_ONCE]))
