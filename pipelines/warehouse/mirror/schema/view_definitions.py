"""How instruments are shown to analysts: the statements that a load stores for the next publish.

Not here: what the statements say (pipelines/warehouse/tables/views.py), and running them (publishing/project.py).
"""

from __future__ import annotations

import json

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import all_rows, insert_json
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import Layout
from pipelines.warehouse.tables.row_sql import any_instances
from pipelines.warehouse.tables.views import publication


def write_view_definitions(connection: Connection, project: str, layout: Layout) -> None:
    """Store how every instrument is published, in place of what was stored; in the caller's transaction."""
    connection.execute(statements("views")["clear"])
    numbered, invalid = _with_instances(connection, project, layout), invalid_columns(connection)
    rows = []
    for position, table in enumerate(layout.instruments):
        instances = table.repeats or table.name in numbered
        shown = publication(layout, table, instances=instances, invalid=invalid.get(table.name, ()))
        rows.append(
            {
                "position": position,
                "instrument": table.name,
                "raw_select": shown.raw_select,
                "typed_select": shown.typed_select,
                "label_select": shown.label_select,
                "labels_from": shown.labels_from,
                "comments": json.dumps({"": shown.table_comment, **shown.column_comments}),
                "keys": json.dumps(shown.keys),
                "hidden": json.dumps(shown.hidden),
            }
        )
    insert_json(connection, "state", "publication", rows)


def invalid_columns(connection: Connection) -> dict[str, list[str]]:
    """The columns of each instrument that have labels and a type, and hold values which do not fit it."""
    return dict(connection.execute(statements("views")["invalid"]).fetchall())


def _with_instances(connection: Connection, project: str, layout: Layout) -> frozenset[str]:
    """Instruments whose data has or had instances, whatever the setup says: their rows must be kept apart."""
    queries = any_instances(project, [table.name for table in layout.instruments if not table.repeats])
    return frozenset(name for (name,) in all_rows(connection, queries))
