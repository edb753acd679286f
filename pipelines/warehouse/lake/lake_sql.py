"""Statements over the catalog's own tables. Text only, nothing is executed here."""

from __future__ import annotations

from pipelines.warehouse.database.quoting import literal, qualified
from pipelines.warehouse.lake.address import METADATA_SCHEMA

# The catalog's own tables, in a connection to which the lake is attached as `warehouse`.
METADATA = "__ducklake_metadata_warehouse"
# The tables of the catalog whose rows are there from one snapshot to another.
VERSIONED = (
    "schema", "table", "view", "macro", "column", "tag", "column_tag", "data_file", "delete_file", "partition_info",
    "sort_info",
)  # fmt: skip
# The least text there is, and the greatest: the last character of Unicode.
LEAST, GREATEST = "", "\U0010ffff"


def hide_extremes() -> str:
    """Let the least and the greatest text of every column be no value that was ever in it.

    DuckLake keeps both for each table, never corrects them after rows were deleted, and leaves out a table or a file
    that cannot hold what a query asks for. So they may only ever become wider.
    """
    stats = qualified(METADATA, METADATA_SCHEMA, "ducklake_table_column_stats")
    columns = qualified(METADATA, METADATA_SCHEMA, "ducklake_column")
    return (
        f"UPDATE {stats} SET min_value = {literal(LEAST)}, max_value = {literal(GREATEST)} "
        f"WHERE min_value IS NOT NULL AND (table_id, column_id) IN "
        f"(SELECT (table_id, column_id) FROM {columns} WHERE column_type = 'varchar')"
    )


def size_of_data() -> str:
    """How many bytes the data files have that any snapshot reads."""
    return f"SELECT coalesce(sum(file_size_bytes), 0) FROM {qualified(METADATA, METADATA_SCHEMA, 'ducklake_data_file')}"


def data_files() -> str:
    """How many data files there are that any snapshot reads."""
    return f"SELECT count(*) FROM {qualified(METADATA, METADATA_SCHEMA, 'ducklake_data_file')}"


def schemas_of() -> str:
    """Which of the schemas $names there are; DuckDB's own list of them takes long."""
    schemas = qualified(METADATA, METADATA_SCHEMA, "ducklake_schema")
    return (
        f"SELECT schema_name FROM {schemas} WHERE end_snapshot IS NULL "
        "AND list_contains($names::VARCHAR[], schema_name) ORDER BY schema_name"
    )


def last_snapshot() -> str:
    """The number of the last snapshot."""
    return f"SELECT max(snapshot_id) FROM {_of('snapshot')} HAVING count(*) > 1"


def files_of() -> str:
    """The paths of all files that were added by $snapshot."""
    return _files("f.begin_snapshot = $snapshot")


def files_before() -> str:
    """The paths of some files that were added before $snapshot, and that it or an earlier one needs."""
    return f"{_files('f.begin_snapshot < $snapshot')} LIMIT 100"


def files_of_schemas() -> str:
    """The data files of today of $schemas: the schema, its folder, the path and the bytes of each."""
    folder = _whole("s.path", "s.path_is_relative", "m.value")
    return _files(
        "f.end_snapshot IS NULL AND t.end_snapshot IS NULL AND list_contains($schemas::VARCHAR[], s.schema_name)",
        f"s.schema_name, {folder}",
        "f.file_size_bytes",
    )


def _files(condition: str, *more: str) -> str:
    before, after = (f"{more[0]}, ", f", {more[1]}") if more else ("", "")
    queries = []
    for kind in ("data_file", "delete_file"):
        table = _whole("t.path", "t.path_is_relative", _whole("s.path", "s.path_is_relative", "m.value"))
        queries.append(
            f"SELECT {before}{_whole('f.path', 'f.path_is_relative', table)}{after} FROM {_of(kind)} f "
            f"JOIN {_of('table')} t USING (table_id) JOIN {_of('schema')} s USING (schema_id) "
            f"JOIN {_of('metadata')} m ON m.key = 'data_path' WHERE {condition}"
        )
    return " UNION ".join(queries)


def take_back(snapshot: int) -> list[str]:
    """Bring the catalog to the state before its last snapshot; no number is used again that a reader may know."""
    last = f"FROM {_of('snapshot')} WHERE snapshot_id = {int(snapshot)}"
    files = f"(SELECT data_file_id FROM {_of('data_file')} WHERE begin_snapshot = {int(snapshot)})"
    tables = f"(SELECT table_id FROM {_of('table')} WHERE begin_snapshot = {int(snapshot)})"
    statements = [
        f"DELETE FROM {_of('file_column_stats')} WHERE data_file_id IN {files}",
        f"DELETE FROM {_of('table_column_stats')} WHERE table_id IN {tables}",
        f"DELETE FROM {_of('table_stats')} WHERE table_id IN {tables}",
        f"UPDATE {_of('snapshot')} SET schema_version = (SELECT schema_version + 1 {last}), "
        f"next_catalog_id = (SELECT next_catalog_id {last}), next_file_id = (SELECT next_file_id {last}) "
        f"WHERE snapshot_id = (SELECT max(snapshot_id) FROM {_of('snapshot')} WHERE snapshot_id < {int(snapshot)})",
        f"DELETE FROM {_of('snapshot')} WHERE snapshot_id = {int(snapshot)}",
        f"DELETE FROM {_of('snapshot_changes')} WHERE snapshot_id = {int(snapshot)}",
        f"DELETE FROM {_of('schema_versions')} WHERE begin_snapshot = {int(snapshot)}",
    ]
    for name in VERSIONED:
        statements += [
            f"DELETE FROM {_of(name)} WHERE begin_snapshot = {int(snapshot)}",
            f"UPDATE {_of(name)} SET end_snapshot = NULL WHERE end_snapshot = {int(snapshot)}",
        ]
    return statements


def _of(table: str) -> str:
    return qualified(METADATA, METADATA_SCHEMA, f"ducklake_{table}")


def _whole(path: str, is_relative: str, folder: str) -> str:
    return f"CASE WHEN {is_relative} THEN {folder} || {path} ELSE {path} END"
