"""Statements that compare, rename and remove the rows of whole records. Text only, nothing is executed here.

The fixed statements, and what the temporary tables hold, are in sql/deletions.sql.
"""

from __future__ import annotations

from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.tables.layout import InstrumentTable, Layout, rows_now, work_columns

# How redcap.record_changes names what happened to a row of RENAMED rows.
CHANGE = "CASE WHEN d._is_new THEN 'insert' WHEN d._is_gone THEN 'delete' ELSE 'update' END"


def fill_candidate_cells(project: str, layout: Layout, table: InstrumentTable, kind: str) -> str:
    """The instrument's values of the records in the table `kind`: `missing` or `appeared`."""
    columns = work_columns(layout, table)
    names = ", ".join(literal(answer) for _, answer in columns)
    values = ", ".join(identifier(name) for name, _ in columns)
    return (
        f"INSERT INTO candidate_cells SELECT {literal(kind)}, _record, {literal(table.name)}, _event, _instance, "
        f"field, value FROM (SELECT _record, _event, _instance, unnest([{names}]) AS field, "
        f"unnest([{values}]) AS value "
        f"FROM {rows_now(project, table.name)} WHERE _record IN (SELECT record FROM {kind})) WHERE value IS NOT NULL"
    )


def renamed_rows(project: str, instrument: str) -> str:
    """The instrument's rows of renamed records: keys with the new id (d), cells of the old (po) and the new (ne)."""
    target = rows_now(project, instrument)
    keys = f"SELECT _record, _event, _instance FROM {target}"
    return (
        "(SELECT coalesce(n._record, r.new) AS _record, coalesce(n._event, p._event) AS _event, "
        "coalesce(n._instance, p._instance) AS _instance, "
        "p._record IS NULL AS _is_new, n._record IS NULL AS _is_gone, p._record AS _p, n._record AS _n "
        f"FROM ({keys} WHERE _record IN (SELECT old FROM renamed)) p JOIN renamed r ON r.old = p._record "
        f"FULL JOIN ({keys} WHERE _record IN (SELECT new FROM renamed)) n "
        "ON n._record = r.new AND n._event = p._event AND n._instance = p._instance) d "
        f"LEFT JOIN {target} po ON po._record = d._p AND po._event = d._event AND po._instance = d._instance "
        f"LEFT JOIN {target} ne ON ne._record = d._n AND ne._event = d._event AND ne._instance = d._instance"
    )


def rows_of(project: str, instrument: str, records: str) -> str:
    """The instrument's rows of the records that a query returns."""
    return f"SELECT * FROM {rows_now(project, instrument)} WHERE _record IN ({records})"


def delete_rows(project: str, instrument: str, records: str) -> str:
    """Delete the instrument's rows of the records that a query returns."""
    return f"DELETE FROM {rows_now(project, instrument)} WHERE _record IN ({records})"
