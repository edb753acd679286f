"""Writing a project's structure into schema redcap, and noticing what changed since it was last written.

What the tables are is sql/catalog.sql; reading the structure from REDCap is pipelines.structure's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines.structure import Structure
from pipelines.warehouse.connection import Connection, connect
from pipelines.warehouse.layout import Layout
from pipelines.warehouse.quoting import literal, qualified
from pipelines.warehouse.renames import Renames
from pipelines.warehouse.sql import statements
from pipelines.warehouse.types import type_name
from redcap_source import dictionary, model

Row = Sequence[object]

# Rights that say who may do what are kept whole as JSON: the list differs with every REDCap version.
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
    with connect() as connection:
        connection.execute(statements("catalog")["create_catalog"])
        connection.execute(statements("catalog")["create_record_changes"])
        return connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name = 'redcap' AND table_name = $table ORDER BY column_index",
            {"table": table},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between two nights' structures."""

    change: str
    kind: str
    name: str
    old: str | None
    new: str | None


def write_structure(
    connection: Connection,
    project: str,
    structure: Structure,
    layout: Layout,
    run_id: str,
    now: datetime,
    renames: Renames | None = None,
) -> tuple[Drift, ...]:
    """Replace the project's rows in schema redcap; returns what is different from the last time."""
    rows = structure_rows(structure, layout)
    before = read_described(connection)
    drift = compare(before, described(structure), renames or Renames()) if before else ()
    for table in STRUCTURE_TABLES:
        _replace(connection, project, table, rows[table])
    _replace(connection, project, "dictionary_changes", _drift_rows(drift, run_id, now), keep=True)
    return drift


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


Described = Mapping[tuple[str, str], Mapping[str, str]]


def described(structure: Structure) -> Described:
    """Every named part of a structure with the properties whose change matters to the warehouse."""
    parts: dict[tuple[str, str], dict[str, str]] = {}
    for position, field in enumerate(structure.fields):
        parts["field", field.field_name] = {
            "retyped": f"{field.field_type}:{field.text_validation_type_or_show_slider_number}",
            "relabelled": field.field_label or "",
            "recoded": field.select_choices_or_calculations or "",
            "moved": f"{field.form_name}#{position}",
        }
    for instrument in structure.instruments:
        parts["instrument", instrument.instrument_name] = {"relabelled": instrument.instrument_label or ""}
    for event in structure.events:
        parts["event", event.unique_event_name] = {"relabelled": event.event_name or ""}
    for pair in structure.form_event_mapping:
        parts["form-event pair", f"{pair.unique_event_name}/{pair.form}"] = {}
    for repeat in structure.repeating:
        parts["repeating", f"{repeat.event_name or ''}/{repeat.form_name or ''}"] = {}
    return parts


def compare(before: Described, after: Described, renames: Renames) -> tuple[Drift, ...]:
    """What was renamed, added, removed or altered; what was renamed is compared under its new name."""
    drift = [Drift("renamed", "event", new, old, new) for old, new in renames.events.items()]
    drift += [Drift("renamed", "instrument", new, old, new) for old, new in renames.instruments.items()]
    before = under_new_names(before, renames)
    drift += [Drift("added", kind, name, None, None) for kind, name in after if (kind, name) not in before]
    drift += [Drift("removed", kind, name, None, None) for kind, name in before if (kind, name) not in after]
    for part, properties in after.items():
        old = before.get(part)
        if old is not None:
            drift += [
                Drift(change, *part, old[change], value)
                for change, value in properties.items()
                if _matters(change, old[change], value)
            ]
    return tuple(drift)


def under_new_names(before: Described, renames: Renames) -> Described:
    """A structure as it would have been described had its events and instruments always been called as now."""
    return {
        (kind, _new_name(kind, name, renames)): {
            change: _new_place(value, renames) if (kind, change) == ("field", "moved") else value
            for change, value in properties.items()
        }
        for (kind, name), properties in before.items()
    }


def _new_name(kind: str, name: str, renames: Renames) -> str:
    if kind == "event":
        return renames.event(name)
    if kind == "instrument":
        return renames.instrument(name)
    if kind in ("form-event pair", "repeating"):
        event, _, instrument = name.partition("/")
        return f"{renames.event(event)}/{renames.instrument(instrument)}"
    return name


def _new_place(place: str, renames: Renames) -> str:
    instrument, mark, position = place.partition("#")
    return f"{renames.instrument(instrument)}{mark}{position}"


def _matters(change: str, old: str, new: str) -> bool:
    if change == "moved":
        # A field that only slid along because another was inserted before it has not been moved by anyone.
        return old.split("#")[0] != new.split("#")[0]
    return old != new


def read_described(connection: Connection) -> Described:
    """The structure as it was last written, in the form it is compared in."""
    row = connection.execute("SELECT described FROM state.structure").fetchone()
    if row is None:
        return {}
    return {(kind, name): properties for kind, name, properties in json.loads(row[0])}


def keep_described(connection: Connection, structure: Structure) -> None:
    """Remember the structure for the next night's comparison."""
    parts = [[kind, name, properties] for (kind, name), properties in described(structure).items()]
    connection.execute("DELETE FROM state.structure")
    connection.execute("INSERT INTO state.structure VALUES ($described)", {"described": json.dumps(parts)})


def _replace(connection: Connection, project: str, table: str, rows: Iterable[Row], *, keep: bool = False) -> None:
    if not keep:
        connection.execute(f"DELETE FROM {qualified('redcap', table)}")
    listed = [(project, *row) for row in rows]
    if listed:
        columns = _columns(connection, "redcap", table)
        names = [name for name, _ in columns]
        _insert_json(connection, "redcap", table, columns, [dict(zip(names, row, strict=True)) for row in listed])


def insert_json(connection: Connection, schema: str, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows given by column name, as one JSON document: a statement a row costs a millisecond."""
    if rows:
        _insert_json(connection, schema, table, _columns(connection, schema, table), rows)


def _insert_json(
    connection: Connection,
    schema: str,
    table: str,
    columns: Iterable[tuple[str, str]],
    rows: Sequence[Mapping[str, object]],
) -> None:
    shape = json.dumps([{name: _JSON_SHAPES.get(kind, kind) for name, kind in columns}])
    connection.execute(
        f"INSERT INTO {qualified(schema, table)} BY NAME "
        f"SELECT r.* FROM (SELECT unnest(from_json($rows::JSON, {literal(shape)})) AS r)",
        {"rows": json.dumps(rows, default=str)},
    )


def _columns(connection: Connection, schema: str, table: str) -> list[tuple[str, str]]:
    # Asking duckdb_columns() costs ten times as much: it looks at every table there is.
    return [row[:2] for row in connection.execute(f"DESCRIBE {qualified(schema, table)}").fetchall()]


_JSON_SHAPES: Mapping[str, object] = {"VARCHAR[]": ["VARCHAR"], "JSON": "VARCHAR"}


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
