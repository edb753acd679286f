"""Whether the data files that the catalog names are where it says, and as large. No file is read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.lake import lake_sql
from pipelines.warehouse.lake.address import Lake
from pipelines.warehouse.sql import statements


def faulty_schemas(connection: Connection, lake: Lake, schemas: list[str]) -> set[str]:
    """The schemas of these that have a file, of today's, which is missing or has another size."""
    files = connection.execute(lake_sql.files_of_schemas(), {"schemas": schemas}).fetchall()
    if not lake.in_bucket:
        return {schema for schema, _, path, size in files if _size(path) != size}
    found: dict[str, int] = {}
    for folder in {folder for _, folder, _, _ in files}:
        found |= dict(connection.execute(statements("objects")["sizes"], {"pattern": f"{folder}**"}).fetchall())
    return {schema for schema, _, path, size in files if found.get(path) != size}


def _size(path: str) -> int | None:
    with suppress(FileNotFoundError):
        return Path(path).stat().st_size
    return None
