"""Builds the statement that reads a project's rows as they were earlier; the fixed ones are in sql/snapshot.sql."""

from __future__ import annotations

from datetime import datetime

from pipelines.warehouse.database.quoting import identifier, literal, qualified


def create_rows_as_of(table: str, project: str, instrument: str, moment: datetime) -> str:
    """Create a temporary table of an instrument's rows as readers found them at that time (UTC)."""
    macro = qualified(f"{project}_history_raw", "as_of")
    return (
        f"CREATE OR REPLACE TEMP TABLE {identifier(table)} AS "
        f"SELECT * FROM {macro}({literal(instrument)}, TIMESTAMP {literal(moment.isoformat(sep=' '))})"
    )
