"""Writes a project's structure into schema redcap, and records what changed since the previous load.

Not here: the tables (sql/catalog.sql), and reading the structure from REDCap (pipelines/extract/structure.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache

from pipelines.warehouse.database.connection import Connection, connect
from pipelines.warehouse.database.rows import Row, described_columns, insert_json, insert_json_into, one
from pipelines.warehouse.database.table_sql import delete_all
from pipelines.warehouse.mirror.schema.drift import Drift, compare, described, read_described, save_described
from pipelines.warehouse.mirror.schema.renames import Renames
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.choice_checks import CONTRADICTED, disagreements
from pipelines.warehouse.tables.layout import Layout
from pipelines.warehouse.tables.structure import Structure
from pipelines.warehouse.tables.types import type_name
from redcap_source import dictionary, model

# Users' rights are stored whole as JSON, because their list differs between REDCap versions.
STRUCTURE_TABLES = (
    "data_dictionary",
    "field_choices",
    "instruments",
    "arms",
    "events",
    "form_event_mapping",
    "repeating_forms_events",
    "users",
    "user_form_rights",
    "user_roles",
    "user_role_assignments",
    "data_access_groups",
    "data_access_group_assignments",
)


def table_columns(table: str) -> list[tuple[str, str]]:
    """The columns of a table of schema redcap, as (name, type)."""
    return [(name, kind) for owner, name, kind in _all_columns() if owner == table]


@cache
def _all_columns() -> tuple[tuple[str, str, str], ...]:
    # A database that has them costs 45 ms, and Dagster asks for several tables whenever it loads the assets.
    with connect() as connection:
        connection.execute(statements("catalog")["create_catalog"])
        connection.execute(statements("catalog")["create_record_changes"])
        return tuple(connection.execute(statements("catalog")["table_columns"]).fetchall())


def write_structure(
    connection: Connection,
    project: str,
    structure: Structure,
    layout: Layout,
    run_id: str,
    now: datetime,
    renames: Renames | None = None,
) -> tuple[Drift, ...]:
    """Replace the project's rows in schema redcap; returns how the structure differs from the previous one."""
    rows = structure_rows(structure, layout)
    before = read_described(connection)
    drift = compare(before, described(structure), renames or Renames()) if before else ()
    for table in STRUCTURE_TABLES:
        connection.execute(delete_all("redcap", table))
        _insert(connection, project, table, rows[table])
    _insert(connection, project, "dictionary_changes", _drift_rows(drift, run_id, now))
    _write_project(connection, project, structure, layout)
    save_described(connection, structure)
    return drift


def list_disagreements(connection: Connection, project: str, structure: Structure, run_id: str) -> None:
    """List choices that contradict the export field names among the invalid values; they belong to no record."""
    connection.execute(statements("tables")["delete_disagreements"])
    rows = [
        {
            "project": project,
            "instrument": found.instrument,
            "field": found.field,
            "value": found.code,
            "expected": found.expected,
            "reason": CONTRADICTED,
            "run_id": run_id,
        }
        for found in disagreements(structure)
    ]
    insert_json(connection, "redcap", "invalid_values", rows)


def _write_project(connection: Connection, project: str, structure: Structure, layout: Layout) -> None:
    names = ("records", "rows", "last_run_id", "last_loaded_at")
    totals = one(connection, statements("catalog")["read_project_totals"]) or (None,) * len(names)
    values = {"project": project, **project_row(structure, layout), **dict(zip(names, totals, strict=True))}
    connection.execute(statements("catalog")["write_project"], values)


def project_row(structure: Structure, layout: Layout) -> dict[str, object]:
    """The project's row in redcap.projects by column, without its name and its totals."""
    info = structure.project
    return {
        "project_id": info.project_id,
        "project_title": info.project_title,
        "record_id_field": structure.record_id_field,
        "is_longitudinal": structure.longitudinal,
        "has_repeating_instruments_or_events": bool(structure.repeating),
        "surveys_enabled": info.surveys_enabled,
        "record_autonumbering_enabled": info.record_autonumbering_enabled,
        "in_production": info.in_production,
        "creation_time": info.creation_time or None,
        "production_time": info.production_time or None,
        "missing_data_codes": info.missing_data_codes or None,
        "secondary_unique_field": info.secondary_unique_field or None,
        "project_notes": info.project_notes or None,
        "redcap_version": structure.version,
        "not_readable": list(structure.not_readable),
        "hidden_fields": list(layout.hidden_fields),
    }


def structure_rows(structure: Structure, layout: Layout) -> Mapping[str, list[Row]]:
    """The rows of every structure table, without the leading project."""
    return {
        "data_dictionary": _dictionary_rows(structure, layout),
        "field_choices": _choice_rows(layout),
        "instruments": [(i, t.name, t.label, t.repeats, t.survey) for i, t in enumerate(layout.instruments, 1)],
        "arms": [(a.arm_num, a.name) for a in structure.arms],
        "events": _event_rows(structure),
        "form_event_mapping": [(m.arm_num, m.unique_event_name, m.form) for m in structure.form_event_mapping],
        "repeating_forms_events": [
            (r.event_name or None, r.form_name or None, r.custom_form_label) for r in structure.repeating
        ],
        "users": [_user_row(user) for user in structure.users],
        "user_form_rights": _form_right_rows(structure),
        "user_roles": [
            (r.unique_role_name, r.role_label, _as_json({**r.rights, **r.extra})) for r in structure.user_roles
        ],
        "user_role_assignments": [
            (a.username, a.unique_role_name or None, a.data_access_group or None)
            for a in structure.user_role_assignments
        ],
        "data_access_groups": [
            (g.data_access_group_name, g.unique_group_name, g.data_access_group_id)
            for g in structure.data_access_groups
        ],
        "data_access_group_assignments": [
            (a.username, a.redcap_data_access_group or None) for a in structure.data_access_group_assignments
        ],
    }


def _insert(connection: Connection, project: str, table: str, rows: Iterable[Row]) -> None:
    listed = [(project, *row) for row in rows]
    if listed:
        columns = described_columns(connection, "redcap", table)
        names = [name for name, _ in columns]
        insert_json_into(connection, "redcap", table, columns, [dict(zip(names, row, strict=True)) for row in listed])


def _dictionary_rows(structure: Structure, layout: Layout) -> list[Row]:
    columns: dict[str, list[str]] = {structure.record_id_field: [layout.record_id_field]}
    types = {structure.record_id_field: "VARCHAR"}
    for table in layout.instruments:
        for column in table.columns:
            columns.setdefault(column.field, []).append(column.name)
            types[column.field] = type_name(column.kind)
    return [
        (
            position,
            f.field_name,
            f.form_name,
            f.section_header or None,
            f.field_type,
            f.field_label,
            f.select_choices_or_calculations or None,
            f.field_note or None,
            f.text_validation_type_or_show_slider_number or None,
            f.text_validation_min or None,
            f.text_validation_max or None,
            dictionary.is_identifier(f),
            f.branching_logic or None,
            f.required_field.lower() == "y",
            f.custom_alignment or None,
            f.question_number or None,
            f.matrix_group_name or None,
            f.matrix_ranking.lower() == "y",
            f.field_annotation or None,
            types.get(f.field_name),
            columns.get(f.field_name, []),
        )
        for position, f in enumerate(structure.fields, 1)
    ]


def _choice_rows(layout: Layout) -> list[Row]:
    seen: dict[str, None] = {}
    rows: list[Row] = []
    for table in layout.instruments:
        columns = {(c.field, c.code): c.name for c in table.columns}
        for column in table.columns:
            if column.field in seen:
                continue
            seen[column.field] = None
            rows += [
                (
                    column.field,
                    i,
                    choice.code,
                    choice.label,
                    columns.get((column.field, choice.code)) or columns.get((column.field, None)),
                )
                for i, choice in enumerate(column.choices, 1)
            ]
    return rows


def _event_rows(structure: Structure) -> list[Row]:
    repeating = {r.event_name for r in structure.repeating if not r.form_name}
    return [
        (
            position,
            e.event_name,
            e.arm_num,
            e.unique_event_name,
            e.custom_event_label or None,
            e.event_id,
            e.unique_event_name in repeating,
        )
        for position, e in enumerate(structure.events, 1)
    ]


def _user_row(user: model.User) -> Row:
    return (
        user.username,
        user.email or None,
        user.firstname or None,
        user.lastname or None,
        user.expiration or None,
        user.data_access_group or None,
        user.data_access_group_id,
        _as_json({**user.rights, **user.extra}),
    )


def _form_right_rows(structure: Structure) -> list[Row]:
    rows: list[Row] = []
    for user in structure.users:
        forms = dict.fromkeys([*(user.forms or {}), *(user.forms_export or {})])
        rows += [
            (user.username, form, (user.forms or {}).get(form), (user.forms_export or {}).get(form)) for form in forms
        ]
    return rows


def _as_json(rights: Mapping[str, object]) -> str:
    return json.dumps(dict(rights), sort_keys=True)


def _drift_rows(drift: Iterable[Drift], run_id: str, now: datetime) -> list[Row]:
    return [(now, run_id, d.change, d.kind, d.name, d.old, d.new) for d in drift]
