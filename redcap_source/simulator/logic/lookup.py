"""The value that a reference of logic has in a record."""

from __future__ import annotations

from redcap_source.simulator.logic.nodes import Reference
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot


def value_at(project: Project, record: Record, slot: Slot, reference: Reference) -> str:
    """The value of a reference in the logic of one row of a record."""
    if reference.field == project.dictionary.record_id or reference.field == "record-name":
        return record.id
    event_id = slot[0]
    if reference.event and reference.event != "event-name":
        event = project.event_named(reference.event)
        if event is None:
            return ""
        event_id = event.event_id
    columns = project.dictionary.columns_by_field.get(reference.field, ())
    names = [column.name for column in columns if not reference.code or column.code == reference.code]
    if not names:
        return ""
    form = columns[0].form
    instance = int(reference.instance) if reference.instance.isdigit() else slot[2]
    for place in _places(project, slot, event_id, form, instance):
        values = record.slots.get(place)
        if values is not None and names[0] in values:
            return values[names[0]]
    return "0" if reference.code else ""


def _places(project: Project, slot: Slot, event_id: int, form: str, instance: int) -> list[Slot]:
    places = [slot] if event_id == slot[0] else []
    if (event_id, form) in project.repeating_forms:
        # In a row of another instrument a repeating field has no value.
        return [*places, (event_id, form, instance)] if slot[1] in ("", form) and instance else places
    if event_id in project.repeating_events:
        return [*places, (event_id, "", max(instance, 1))]
    return [*places, (event_id, "", 0)]
