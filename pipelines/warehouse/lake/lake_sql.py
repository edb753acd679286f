"""Statements over the catalog's own tables. Text only, nothing is executed here."""

from __future__ import annotations

from pipelines.warehouse.database.quoting import literal, qualified
from pipelines.warehouse.lake.address import METADATA_SCHEMA

# The catalog's own tables, in a connection to which the lake is attached as `warehouse`.
METADATA = "__ducklake_metadata_warehouse"
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


def schemas_of() -> str:
    """Which of the schemas $names there are; DuckDB's own list of them takes long."""
    schemas = qualified(METADATA, METADATA_SCHEMA, "ducklake_schema")
    return (
        f"SELECT schema_name FROM {schemas} WHERE end_snapshot IS NULL "
        "AND list_contains($names::VARCHAR[], schema_name) ORDER BY schema_name"
    )
