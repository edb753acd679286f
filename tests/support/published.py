"""Everything that readers of a published file find."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import Manifest, fingerprint, last_published, save_manifest
from pipelines.warehouse.publishing.candidates import release
from pipelines.warehouse.publishing.publish import publish

_TABLES = """
SELECT schema_name, table_name, list((column_name, data_type, comment) ORDER BY column_index)
FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal
AND schema_name <> '_publish' AND schema_name NOT LIKE '%:%' GROUP BY ALL
"""


def everything(database: Path) -> dict[str, tuple]:
    """The columns with their types and comments, and the rows, of every table and view, by schema and name."""
    found = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        for schema, table, columns in connection.execute(_TABLES).fetchall():
            rows = connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()
            found[f"{schema}.{table}"] = (columns, sorted(rows, key=repr))
    return found


def shown_anew(folder: WarehouseFolder, empty: Path, *projects: str) -> dict[str, tuple]:
    """What readers find after the mirrors of these projects were published into an empty folder."""
    other = WarehouseFolder(empty / "anew")
    other.make()
    for project in projects:
        shutil.copyfile(folder.mirror(project), other.mirror(project))
        release(other, project)
    publish(other)
    found = everything(other.database)
    shutil.rmtree(other.path)
    return found


def of_projects(found: dict[str, tuple], *projects: str) -> dict[str, tuple]:
    """What of it is of these projects: their schemas, and their rows of shared tables."""
    kept = {}
    for name, (columns, rows) in found.items():
        schema = name.partition(".")[0]
        if schema in ("redcap", "writeback"):
            place = [column for column, *_ in columns].index("project")
            kept[name] = (columns, [row for row in rows if row[place] in projects])
        elif re.sub("_(labels|raw|history|history_raw)$", "", schema) in projects:
            kept[name] = (columns, rows)
    return kept


def adopt(folder: WarehouseFolder, **known: int) -> None:
    """Let the manifest take the published file as it is for what was published last; `known` is kept as it was."""
    state = last_published(folder)
    found = replace(fingerprint(folder.database), **known)
    save_manifest(folder, Manifest((replace(state, file=found),)))
