"""Removes something from a lake for good: from the present, from earlier snapshots, and from the catalog's statistics.

A snapshot shows everything that was in the lake then. So the snapshots before a removal can no longer be read
afterwards, those of other projects included.
"""

from __future__ import annotations

from collections.abc import Collection

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.dialect import LAKE
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.lake import lake_sql
from pipelines.warehouse.lake.commits import committed_as
from pipelines.warehouse.publishing.copy_sql import (
    count_rows_of_project,
    delete_rows_of_others,
    delete_rows_of_project,
    drop_schema,
)
from pipelines.warehouse.publishing.first_load import define_changes
from pipelines.warehouse.publishing.project import APPENDED, BOOKKEEPING, REPLACED, SCHEMAS, WRITEBACK
from pipelines.warehouse.sql import statements

# The tables in which every row names its project. Listing those of a lake with a hundred projects takes 12 s.
SHARED = (
    *(("redcap", table) for table in (*REPLACED, *APPENDED, "records", "sync_runs", "audit_log")),
    *(("writeback", table) for table in WRITEBACK),
    *(("_publish", table) for table in (*BOOKKEEPING, "manifest")),
)


def remove_project(connection: Connection, project: str, token: str | None = None) -> None:
    """Remove a project from the present, and note that `finish` is to be called."""
    with committed_as(connection, token):
        for ending in SCHEMAS:
            connection.execute(drop_schema(project + ending))
        for schema, table in SHARED:
            connection.execute(delete_rows_of_project(schema, table), {"project": project})
        define_changes(connection, LAKE)
        connection.execute(statements("lake")["save_removal"])


def remove_strays(connection: Connection, projects: Collection[str], token: str | None = None) -> None:
    """Remove the rows of other projects than these from what all share."""
    with committed_as(connection, token):
        for schema, table in SHARED:
            connection.execute(delete_rows_of_others(schema, table), {"projects": sorted(projects)})


def finish(connection: Connection, token: str | None = None) -> None:
    """Remove every earlier snapshot and its files, where anything was removed since that was done last.

    It can be interrupted and repeated.
    """
    sql = statements("lake")
    if not count(connection, sql["removals"]):
        return
    with committed_as(connection, token):
        connection.execute(sql["rewrite_all"])
    connection.execute(sql["expire_all"])
    connection.execute(sql["clean_up_all"])
    # Publishers that died have written rows, too, which no snapshot has.
    connection.execute(sql["delete_all_orphans"])
    connection.execute(lake_sql.hide_extremes())
    with committed_as(connection, token):
        connection.execute(sql["delete_removals"])


def schemas_of(connection: Connection, projects: Collection[str]) -> set[str]:
    """The projects of these that have schemas of their own."""
    names = {project + ending: project for project in projects for ending in SCHEMAS}
    found = connection.execute(lake_sql.schemas_of(), {"names": list(names)}).fetchall()
    return {names[name] for (name,) in found}


def traces_of(connection: Connection, project: str) -> tuple[tuple[str, ...], dict[str, int], bool]:
    """The project's schemas, its rows in each table that all projects share, and whether `finish` is due."""
    names = {"names": [project + ending for ending in SCHEMAS]}
    schemas = tuple(name for (name,) in connection.execute(lake_sql.schemas_of(), names).fetchall())
    rows = {}
    for schema, table in SHARED:
        if found := count(connection, count_rows_of_project(schema, table), {"project": project}):
            rows[f"{schema}.{table}"] = found
    return schemas, rows, count(connection, statements("lake")["removals"]) > 0
