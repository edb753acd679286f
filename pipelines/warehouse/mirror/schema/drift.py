"""What changed in a project's dictionary and setup since the previous load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.mirror.schema.renames import Renames
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.structure import Structure


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between the structures of two loads."""

    change: str
    kind: str
    name: str
    old: str | None
    new: str | None


Described = Mapping[tuple[str, str], Mapping[str, str]]


def described(structure: Structure) -> Described:
    """Every named part of a structure, with the properties whose changes are recorded."""
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
    """What was renamed, added, removed or altered; renamed parts are compared under their new names."""
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
    """A described structure with the present names of its events and instruments."""
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
        # A field whose position changed only because another was inserted before it was not moved.
        return old.split("#")[0] != new.split("#")[0]
    return old != new


def read_described(connection: Connection) -> Described:
    """The structure of the previous load, in the form in which structures are compared."""
    row = one(connection, statements("catalog")["read_described"])
    if row is None:
        return {}
    return {(kind, name): properties for kind, name, properties in json.loads(row[0])}


def save_described(connection: Connection, structure: Structure) -> None:
    """Store the structure for the next load's comparison."""
    connection.execute(statements("catalog")["write_described"], {"described": described_text(structure)})


def described_text(structure: Structure) -> str:
    """The described structure as it is stored."""
    return json.dumps([[kind, name, properties] for (kind, name), properties in described(structure).items()])
