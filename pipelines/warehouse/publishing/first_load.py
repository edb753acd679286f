"""Lets the view redcap.record_changes show the rows of each project's first load, every cell of them as inserted.

A row for each of those cells would take three times as long as the whole load. So the view reads the instruments' own
tables, which costs every query of it half a millisecond an instrument; and once there are too many of those, the rows
are stored a second time, in one table for all projects.
"""

from __future__ import annotations

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.dialect import FILE, Dialect
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.publishing import copy_sql
from pipelines.warehouse.publishing.instruments import InstrumentPublisher
from pipelines.warehouse.publishing.source import MirrorSource
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import KEYS

# For how many instruments of the warehouse the view reads the rows of the first load in place.
IN_PLACE = 40
# The view behind redcap.record_changes that holds the long text. Earlier versions of the warehouse had none.
BEHIND = "_publish.all_changes"


def record_first_load(
    connection: Connection, source: MirrorSource, instruments: InstrumentPublisher, dialect: Dialect = FILE
) -> None:
    """Enter the first load's rows of the instruments of which nothing was published before.

    Of those that are read in place, the query is renewed when the instrument has other columns or tables than before.
    """
    sql, named = statements("publish"), {"project": source.project}
    before = {name for (name,) in connection.execute(sql["in_place"], named).fetchall()}
    renewed = [name for name in instruments.reshaped if name in before]
    if not (instruments.added or renewed):
        return
    free = (IN_PLACE if dialect.in_place else 0) - count(connection, sql["count_first_rows"]) + len(renewed)
    in_place: dict[str, str] = {}
    for name in (*renewed, *instruments.added):
        rows, fields = _first_rows(connection, source, instruments, name)
        if rows is None:
            continue
        if len(in_place) < free:
            in_place[name] = rows
            continue
        execute(connection, copy_sql.insert_first_load(rows))
        connection.execute(sql["save_first_columns"], {**named, "instrument": name, "fields": fields})
    connection.execute(sql["delete_first_rows"], {**named, "names": renewed})
    if in_place:
        values = {**named, "names": list(in_place), "rows": list(in_place.values())}
        connection.execute(sql["save_first_rows"], values)


def _first_rows(
    connection: Connection, source: MirrorSource, instruments: InstrumentPublisher, name: str
) -> tuple[str | None, list[str]]:
    """The query of an instrument's rows of the first load, None if it has none, and the fields it has."""
    now = instruments.published[name]
    tables = [(copy_sql.PLACES[ending](source.project, name), set(there)) for ending, there in now.present.items()]
    runs = source.first_runs
    if not runs or not any(one(connection, copy_sql.any_row_of(table, runs)) for table, _ in tables):
        return None, []
    cells = [(column, named) for column, named in instruments.history_columns(name) if column not in KEYS]
    return copy_sql.first_load_rows(source.project, name, cells, tables, runs), [named for _, named in cells]


def define_changes(connection: Connection, dialect: Dialect = FILE) -> None:
    """Make the view redcap.record_changes, unless it is up to date."""
    sql = statements("publish")
    known = one(connection, sql["changes_definition"]) or ("",)
    if BEHIND not in known[0]:
        # Made over a short text, which takes a tenth of the time.
        connection.execute(sql["define_changes"])
        connection.execute(sql["show_changes"])
        describe = statements("descriptions")
        with dialect.describing(connection):
            connection.execute(describe["describe_changes"])
            if dialect.view_columns:
                connection.execute(describe["describe_columns_of_changes"])
    rows = [row for (row,) in connection.execute(sql["first_rows"]).fetchall()]
    view = sql["define_changes"].replace("/* first_rows */", "".join(f"\nUNION ALL {row}" for row in rows))
    if known != (view,):
        execute(connection, view)
        connection.execute(sql["save_changes_definition"], {"view": view})
