"""Which SQL of a person a lake answers: queries of what is published, and nothing that writes or reads around it.

A connection to a lake can do more than one to a file. DuckDB has no folders that may only be read, so COPY and EXPORT
would write among the data; what lies beside the published rows, the mirrors, could be read as files; and PostgreSQL
would answer with the rights of the user who loads. So only SELECT and EXPLAIN are answered, in the form in which DuckDB
itself has understood them: the tables must be the lake's, and functions that give tables must be of those listed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pipelines.errors import QueryRefused
from pipelines.warehouse.database.connection import Connection, DatabaseError
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.sql import statements

CATALOGS = frozenset({"", "warehouse", "system", "temp"})
# The macro of each project's history; it makes a query of its first argument.
AS_OF = "as_of"
# No other function that gives a table is needed, and many of DuckDB's read files or execute other SQL.
TABLE_FUNCTIONS = frozenset({
    AS_OF, "generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest",
    "duckdb_columns", "duckdb_databases", "duckdb_extensions", "duckdb_functions", "duckdb_keywords", "duckdb_memory",
    "duckdb_schemas", "duckdb_secrets", "duckdb_settings", "duckdb_tables", "duckdb_types", "duckdb_views",
    "ducklake_current_snapshot", "ducklake_snapshots", "ducklake_table_changes", "ducklake_table_deletions",
    "ducklake_table_info", "ducklake_table_insertions", "icu_calendar_names", "pg_timezone_names", "pragma_version",
})  # fmt: skip
_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?(\s*\([^()]*\))?\s", re.IGNORECASE)
# A name that DuckDB would take for a file's.
_LIKE_A_FILE = re.compile(r"[/\\.*?:]")
_QUERIES_ONLY = (
    "Only queries are answered here: SELECT, FROM, WITH, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN. Nothing was executed. "
    "PIVOT needs the values of its columns (ON … IN (…)). To get rows into a file, use --csv."
)


def check_allowed(connection: Connection, text: str) -> None:
    """Raise QueryRefused unless every statement of the text reads what is published, and nothing else."""
    try:
        found = connection.extract_statements(text)
    except DatabaseError as problem:
        raise QueryRefused(str(problem)) from None
    for statement in found:
        query = statement.query
        # PRAGMA and PIVOT are made into other statements, which are not the person's.
        if statement.type.name not in ("SELECT", "EXPLAIN") or not query.strip() or query not in text:
            raise QueryRefused(_QUERIES_ONLY)
        if statement.type.name == "EXPLAIN" and (prefix := _EXPLAIN.match(query)):
            query = query[prefix.end() :]
        row = one(connection, statements("lake")["understood"], {"query": query})
        understood = json.loads(row[0]) if row else {"error": True}
        if understood["error"] or not understood["statements"]:
            raise QueryRefused(_QUERIES_ONLY)
        for node in _nodes(understood):
            _check(node)


def _nodes(found: Any) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        yield found
    for part in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        yield from _nodes(part)


def _check(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if kind in ("BASE_TABLE", "SHOW_REF"):
        catalog, schema, table = (str(node[part]).casefold() for part in ("catalog_name", "schema_name", "table_name"))
        if catalog not in CATALOGS or schema.startswith("__ducklake"):
            raise QueryRefused("Only the published tables can be queried, not the catalog that says where they are.")
        if _LIKE_A_FILE.search(table):
            raise QueryRefused("Only the published tables can be queried, not files.")
    elif kind == "TABLE_FUNCTION":
        function = node["function"]
        name = str(function.get("function_name", "")).casefold()
        if name not in TABLE_FUNCTIONS:
            raise QueryRefused(f"The function {name} is not available here: only the published tables can be queried.")
        if name == AS_OF:
            _check_as_of(function["children"])


def _check_as_of(arguments: list[dict[str, Any]]) -> None:
    for number, argument in enumerate(arguments):
        named = argument.get("alias", "").casefold()
        if named == "ts" or (not named and number == 1):
            continue
        value = argument["value"]["value"] if argument.get("class") == "CONSTANT" else None
        if not isinstance(value, str) or '"' in value:
            raise QueryRefused("as_of takes the name of an instrument between quotation marks, and a time.")
