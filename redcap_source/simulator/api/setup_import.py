"""Requests that change a project's design: dictionary, arms, events, mapping, what repeats."""

from __future__ import annotations

from dataclasses import replace

from redcap_source.simulator.api.call import Answer, Call, refuse_classic
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.loaders.dictionary_file import dictionary_problems
from redcap_source.simulator.rules.renaming import relabelled
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import FIELD_TYPES, Dictionary, fields_from_rows
from redcap_source.simulator.state.names import unique_event_name
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Slot
from redcap_source.simulator.whole_numbers import number_or, whole_number
from redcap_source.simulator.wire.import_data import require_keys, rows_of, texts

Rows = list[dict[str, str]]


def _rows(call: Call) -> Rows:
    call.require("api_import", "design")
    return texts(rows_of(call.parameters))


def _require_development(call: Call) -> None:
    if call.project.settings["in_production"]:
        raise Refusal("This method can only be used for projects in Development status")


def import_metadata(call: Call) -> Answer:
    """content=metadata with data: replace the whole dictionary."""
    rows = _rows(call)
    _require_development(call)
    _refuse_bad_fields(rows)
    project, before = call.project, call.project.dictionary
    fields = fields_from_rows(rows, source="data")
    labels = {form: label for form, label in before.form_labels.items() if any(f.form_name == form for f in fields)}
    project.dictionary = Dictionary(fields, form_labels=labels, missing_codes=before.missing_codes)
    project.follow_dictionary(before.forms)
    call.log("manage", "Manage/Design ", "Upload data dictionary (API)")
    return call.text(len(fields))


def _refuse_bad_fields(rows: Rows) -> None:
    if not rows:
        raise Refusal("The data dictionary has no fields")
    problems = []
    nameless = [f"A{line}" for line, row in enumerate(rows, start=2) if not row.get("field_name", "").strip()]
    if nameless:
        problems.append(
            "Each row MUST have a variable/field name, but the following cells have a field name missing: "
            f"{', '.join(nameless)}."
        )
    names = [row.get("field_name", "") for row in rows]
    twice = [f"{name} (A{line})" for line, name in enumerate(names, start=2) if name and name in names[: line - 2]]
    if twice:
        problems.append(
            f"Each variable/field name must be unique, but the following are duplicated: {', '.join(twice)}."
        )
    odd = [f"D{line}" for line, row in enumerate(rows, start=2) if row.get("field_type", "text") not in FIELD_TYPES]
    if odd:
        problems.append(f"The following cells have a field type that is not valid: {', '.join(odd)}.")
    # From here on the wording is the simulator's own: these rules have no recorded answer.
    digits = [f"B{line}" for line, row in enumerate(rows, start=2) if row.get("form_name", "").strip()[:1].isdigit()]
    if digits:
        problems.append(f"The following cells have a form name that begins with a digit: {', '.join(digits)}.")
    problems = problems or [str(problem) for problem in dictionary_problems(dict(enumerate(rows, start=2)))]
    if problems:
        raise Refusal("\n".join(problems))


def import_arms(call: Call) -> Answer:
    """content=arm&action=import: add or rename arms; a classic project stores them but does not show them."""
    rows = _rows(call)
    require_keys(rows, "arm_num", "name")
    numbers = [_arm_number(row) for row in rows]
    if call.parameters.flag("override"):
        _require_development(call)
        for number in [arm for arm in call.project.arms if arm not in numbers]:
            _remove_arm(call.project, number)
    for number, row in zip(numbers, rows, strict=True):
        call.project.arms[number] = row.get("name", call.project.arms.get(number, ""))
    call.log("manage", "Manage/Design ", "Import arms (API)")
    return call.text(len(rows))


def _arm_number(row: dict[str, str]) -> int:
    text = row.get("arm_num", "").strip() or "1"
    number = whole_number(text)
    if number is None:
        raise Refusal(f"The arm number '{text}' is not valid")
    return number


def delete_arms(call: Call) -> Answer:
    """content=arm&action=delete: delete arms with their events and data."""
    _require_design_in_development(call)
    chosen = call.named("arms")
    unknown = [arm for arm in chosen if number_or(arm, -1) not in call.project.arms]
    if unknown:
        raise Refusal(f"The following arms do not exist: {', '.join(unknown)}")
    for arm in chosen:
        _remove_arm(call.project, int(arm))
    call.log("manage", "Manage/Design ", "Delete arms (API)")
    return call.text(len(chosen))


def _require_design_in_development(call: Call) -> None:
    call.require("api_import", "design")
    _require_development(call)


def _remove_arm(project: Project, arm: int) -> None:
    for event in [event for event in project.events if event.arm == arm]:
        _remove_event(project, event)
    project.arms.pop(arm, None)


def _remove_event(project: Project, event: Event) -> None:
    project.events.remove(event)
    project.last_event_id = max(project.last_event_id, event.event_id)
    project.mapping.pop(event.event_id, None)
    project.repeating_events.discard(event.event_id)
    project.repeating_forms = {key: v for key, v in project.repeating_forms.items() if key[0] != event.event_id}
    for record in list(project.records):
        left = record.without_slots(lambda slot: slot[0] == event.event_id)
        if not left.slots:
            project.records.remove(record.id)
        elif len(left.slots) < len(record.slots):
            project.records.put(left)


def import_events(call: Call) -> Answer:
    """content=event&action=import: change the events whose unique name exists, add the others."""
    rows, project = _rows(call), call.project
    _refuse_bad_events(project, rows)
    named = [project.event_named(row.get("unique_event_name", "").strip()) for row in rows]
    if call.parameters.flag("override"):
        _require_development(call)
        kept = {event.event_id for event in named if event is not None}
        for event in [event for event in project.events if event.event_id not in kept]:
            _remove_event(project, event)
    for row, known in zip(rows, named, strict=True):
        _import_event(project, row, known.event_id if known is not None else 0)
    call.log("manage", "Manage/Design ", "Import events (API)")
    return call.text(len(rows))


def _refuse_bad_events(project: Project, rows: Rows) -> None:
    for row in rows:
        if not row.get("event_name", "").strip():
            raise Refusal("Each event must have an event_name")
        if _arm_number(row) not in project.arms:
            raise Refusal(f"The arm number '{_arm_number(row)}' does not exist")


def _import_event(project: Project, row: dict[str, str], event_id: int) -> None:
    arm, name = _arm_number(row), row["event_name"].strip()
    if not event_id:
        # REDCap makes the unique name of label and arm, whatever name the client sent.
        taken = {event.unique_name for event in project.events}
        made = unique_event_name(name, arm, taken)
        project.events.append(_changed(Event(project.next_event_id(), name, arm, made), row))
        return
    # A new label gives a new unique name.
    known = project.event(event_id)
    project.events[project.events.index(known)] = _changed(relabelled(project, known, name, arm), row)


def _changed(event: Event, row: dict[str, str]) -> Event:
    def number(key: str, old: int) -> int:
        return number_or(row.get(key, ""), old)

    return replace(
        event,
        custom_label=row.get("custom_event_label", event.custom_label),
        day_offset=number("day_offset", event.day_offset),
        offset_min=number("offset_min", event.offset_min),
        offset_max=number("offset_max", event.offset_max),
    )


def delete_events(call: Call) -> Answer:
    """content=event&action=delete: delete events with their data."""
    _require_design_in_development(call)
    names = call.named("events")
    events = [call.project.event_named(name) for name in names]
    unknown = [name for name, event in zip(names, events, strict=True) if event is None]
    if unknown:
        raise Refusal(f"The following unique event names do not exist: {', '.join(unknown)}")
    for event in events:
        if event is not None:
            _remove_event(call.project, event)
    call.log("manage", "Manage/Design ", "Delete events (API)")
    return call.text(len(names))


def import_mapping(call: Call) -> Answer:
    """content=formEventMapping&action=import: replace the whole mapping."""
    rows = _rows(call)
    project = call.project
    refuse_classic(project, "import form/event mappings")
    mapping: dict[int, tuple[str, ...]] = {event.event_id: () for event in project.events}
    for row in rows:
        event, form = project.event_named(row.get("unique_event_name", "")), row.get("form", "")
        if event is None:
            raise Refusal(f"The unique event name '{row.get('unique_event_name', '')}' does not exist")
        if form not in project.dictionary.forms:
            raise Refusal(f"The form '{form}' does not exist")
        mapping[event.event_id] = (*mapping[event.event_id], form)
    project.mapping = mapping
    call.log("manage", "Manage/Design ", "Import instrument-event mappings (API)")
    return call.text(len(rows))


def import_repeats(call: Call) -> Answer:
    """content=repeatingFormsEvents with data: replace all of what repeats; stored data are moved to fit."""
    rows = _rows(call)
    require_keys(rows, "event_name", "form_name")
    project = call.project
    events: set[int] = set()
    forms: dict[tuple[int, str], str] = {}
    for row in rows:
        name, form = row.get("event_name", ""), row.get("form_name", "")
        event = project.event_named(name) if project.is_longitudinal else project.first_event()
        if event is None:
            raise Refusal(f"The unique event name '{name}' does not exist")
        if form and form not in project.dictionary.forms:
            raise Refusal(f"The form '{form}' does not exist")
        if form:
            forms[event.event_id, form] = row.get("custom_form_label", "")
        else:
            events.add(event.event_id)
    project.repeating_events, project.repeating_forms = events, forms
    _move_to_instances(project)
    project.refresh()
    call.log("manage", "Manage/Design ", "Import repeating instruments and events (API)")
    return call.text(len(rows))


def _move_to_instances(project: Project) -> None:
    """Move data that now repeat to the first instance, and first instances of what no longer repeats to plain data."""
    named = project.dictionary.column_named
    for record in list(project.records):
        slots: dict[Slot, dict[str, str]] = {}
        for slot, values in record.slots.items():
            if not slot[1]:
                # The base row holds the record id, so it stays.
                slots.setdefault((slot[0], "", max(slot[2], 1)) if slot[0] in project.repeating_events else slot, {})
            for name, value in values.items():
                form = named[name].form if name in named else name.removesuffix("_timestamp")
                place = project.slot_of(slot[0], form, max(slot[2], 1))
                # Later instances of what no longer repeats are not moved.
                place = slot if slot[2] > 1 and place[2] == 0 else place
                slots.setdefault(place, {})[name] = value
        if slots != record.slots:
            project.records.put(replace(record, slots=slots))
