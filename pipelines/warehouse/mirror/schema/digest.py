"""Whether the mirror already has a structure: then nothing of it has to be written again.

Nearly every night it does. Writing the catalog and looking through all tables costs a load of 20 instruments as much as
reading what changed in them. Not here: writing it (catalog.py, migrate.py).
"""

from __future__ import annotations

import hashlib
import json

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.mirror.schema.catalog import project_row, structure_rows
from pipelines.warehouse.mirror.schema.drift import described_text
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.choice_checks import disagreements
from pipelines.warehouse.tables.layout import Layout, definition, work_columns
from pipelines.warehouse.tables.structure import Structure


def structure_digest(structure: Structure, layout: Layout) -> str:
    """A digest of everything that is written of a structure: its rows, its tables, and what determines their cells."""
    content = (
        statements("catalog")["create_catalog"],
        project_row(structure, layout),
        structure_rows(structure, layout),
        layout.answer_columns,
        [(table.name, work_columns(layout, table), definition(layout, table)) for table in layout.instruments],
        [(found.instrument, found.field, found.code, found.expected) for found in disagreements(structure)],
    )
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def is_written(connection: Connection, digest: str, structure: Structure) -> bool:
    """Whether the structure that was last written has this digest."""
    # A version of the warehouse that knows no digest writes the other text only.
    row = one(connection, statements("catalog")["read_digest"])
    return row is not None and row == (digest, described_text(structure))


def save_digest(connection: Connection, digest: str) -> None:
    """Store the digest of the structure that was written."""
    connection.execute(statements("catalog")["write_digest"], {"digest": digest})
