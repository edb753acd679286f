"""Builds the journal's statements over a project's own columns; the fixed ones are in sql/writeback.sql."""

from __future__ import annotations

from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.tables.layout import rows_now


def changed_after_write(project: str, instrument: str, column: str) -> str:
    """Confirmed cells of one column that have no recorded change and hold another value by now: proposal, value.

    Takes $instrument, $field and $records. An option that nobody ticked is 0 or blank, which is the same.
    """
    held = f"coalesce(r.{identifier(column)}, '')"
    return (
        f"SELECT j.proposal, {held} FROM writeback.journal j LEFT JOIN {rows_now(project, instrument)} r "
        "ON r._record = j.record AND r._event = coalesce(j.event, '') "
        "AND r._instance = coalesce(j.instance, '') "
        "WHERE j.accounted_run IS NULL AND j.status = 'confirmed' AND j.instrument = $instrument "
        "AND j.field = $field AND list_contains($records::VARCHAR[], j.record) "
        f"AND {held} <> coalesce(j.after_value, '') "
        f"AND NOT (contains(j.field, '___') AND {held} IN ('', '0') AND coalesce(j.after_value, '0') = '0')"
    )
