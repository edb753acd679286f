"""A project's design as tables: dictionary, export names, instruments, arms, events, mapping, repeats; its settings."""

from __future__ import annotations

from collections.abc import Sequence

from redcap_source.simulator.api.call import Answer, Call, refuse_classic
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.export.selection import refuse_unknown
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import FIELD_KEYS
from redcap_source.simulator.versions import keys_known
from redcap_source.simulator.wire.formats import Row, Table

NO_REPEATS = (
    "You cannot export repeating instruments and events because the project does not contain any repeating "
    "instruments and events"
)


def metadata(call: Call) -> Table:
    """The data dictionary, or the rows of some fields and forms."""
    dictionary = call.project.dictionary
    fields, forms = call.parameters.items("fields"), call.parameters.items("forms")
    if call.behaviour.unknown_names == "refuse":
        refuse_unknown("fields", fields, dictionary.by_name)
        refuse_unknown("forms", forms, dictionary.forms)
    wanted = [
        field
        for field in dictionary.fields
        if not (fields or forms) or field.field_name in fields or field.form_name in forms
    ]
    rows = [{key: getattr(field, key) for key in FIELD_KEYS} for field in wanted]
    return Table(FIELD_KEYS, rows, json_joint=",\n")


def export_field_names(call: Call) -> Table:
    """Each export column with its field and, for checkboxes, its choice."""
    dictionary, field = call.project.dictionary, call.parameters.text("field")
    keys = ("original_field_name", "choice_value", "export_field_name")
    if field and field not in dictionary.columns_by_field:
        raise Refusal(f"The following values in the parameter \"field\" are not valid: '{field}'")
    rows: list[Row] = [
        {"original_field_name": column.field, "choice_value": column.code, "export_field_name": column.name}
        for column in dictionary.columns
        if column.kind != "file" and (not field or column.field == field)
    ]
    return Table(keys, rows, root="fields", item="field")


def instruments(call: Call) -> Table:
    """The instruments in order."""
    dictionary = call.project.dictionary
    rows: list[Row] = [
        {"instrument_name": form, "instrument_label": dictionary.form_labels[form]} for form in dictionary.forms
    ]
    return Table(("instrument_name", "instrument_label"), rows, root="instruments")


def arms(call: Call) -> Table:
    """The arms that have events."""
    project, chosen = call.project, call.parameters.items("arms")
    refuse_classic(project, "export arms")
    used = {event.arm for event in project.events}
    rows: list[Row] = [
        {"arm_num": number, "name": name}
        for number, name in sorted(project.arms.items())
        if number in used and _chosen(number, chosen)
    ]
    return Table(("arm_num", "name"), rows, root="arms")


def events(call: Call) -> Table:
    """The events by arm."""
    project, chosen = call.project, call.parameters.items("arms")
    refuse_classic(project, "export events")
    keys = ["event_name", "arm_num", "unique_event_name", "custom_event_label", "event_id"]
    if call.behaviour.event_offsets or project.settings["scheduling_enabled"]:
        keys[2:2] = ["day_offset", "offset_min", "offset_max"]
    rows = [_event_row(event) for event in project.events_in_order() if _chosen(event.arm, chosen)]
    return Table(keys, [{key: row[key] for key in keys} for row in rows], root="events")


def _event_row(event: Event) -> Row:
    return {
        "event_name": event.name,
        "arm_num": event.arm,
        "day_offset": event.day_offset,
        "offset_min": event.offset_min,
        "offset_max": event.offset_max,
        "unique_event_name": event.unique_name,
        "custom_event_label": event.custom_label or None,
        "event_id": event.event_id,
    }


def form_event_mapping(call: Call) -> Table:
    """The instruments that are designated to each event."""
    project, chosen = call.project, call.parameters.items("arms")
    refuse_classic(project, "export form/event mappings")
    rows: list[Row] = [
        {"arm_num": event.arm, "unique_event_name": event.unique_name, "form": form}
        for event in project.events_in_order()
        if _chosen(event.arm, chosen)
        for form in project.forms_at(event.event_id)
    ]
    return Table(("arm_num", "unique_event_name", "form"), rows, root="items")


def repeating_forms_events(call: Call) -> Table:
    """The repeating instruments and, in longitudinal projects, the repeating events."""
    project = call.project
    if not project.has_repeats:
        raise Refusal(NO_REPEATS)
    keys = ["form_name", "custom_form_label"]
    if project.is_longitudinal:
        keys.insert(0, "event_name")
    rows: list[Row] = []
    for event in project.shown_events():
        if event.event_id in project.repeating_events:
            rows.append({"event_name": event.unique_name, "form_name": "", "custom_form_label": ""})
        for form in project.dictionary.forms:
            label = project.repeating_forms.get((event.event_id, form))
            if label is not None:
                rows.append({"event_name": event.unique_name, "form_name": form, "custom_form_label": label})
    return Table(keys, [{key: row[key] for key in keys} for row in rows], root="items", quotes_blanks=False)


def _chosen(arm: int, chosen: Sequence[str]) -> bool:
    return not chosen or str(arm) in chosen


def export_project_info(call: Call) -> Answer:
    """content=project: the settings that a server of the simulated version has."""
    call.require("api_export")
    call.log("manage", "Manage/Design ", "Export project information (API)")
    project = call.project
    project.refresh()
    settings = dict(project.settings) | {"is_longitudinal": int(project.is_longitudinal)}
    return call.object({key: settings[key] for key in keys_known("project", settings, call.site.version)})
