"""A project's setup as tables: dictionary, export names, instruments, arms, events, mapping, repeats, project info."""

from __future__ import annotations

from collections.abc import Sequence

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.export.selection import refuse_unknown
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import FIELD_KEYS, Dictionary
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.versions import keys_known
from redcap_source.simulator.wire.formats import Row, Table

NO_REPEATS = (
    "You cannot export repeating instruments and events because the project does not contain any repeating "
    "instruments and events"
)


def metadata(project: Project, fields: Sequence[str], forms: Sequence[str], *, refuse: bool) -> Table:
    """The data dictionary, or the rows of some fields and forms."""
    dictionary = project.dictionary
    if refuse:
        refuse_unknown("fields", list(fields), dictionary.by_name)
        refuse_unknown("forms", list(forms), dictionary.forms)
    wanted = [
        field
        for field in dictionary.fields
        if not (fields or forms) or field.field_name in fields or field.form_name in forms
    ]
    rows = [{key: getattr(field, key) for key in FIELD_KEYS} for field in wanted]
    return Table(FIELD_KEYS, rows, json_joint=",\n")


def export_field_names(dictionary: Dictionary, field: str) -> Table:
    """Each export column beside the field and the choice it comes from."""
    keys = ("original_field_name", "choice_value", "export_field_name")
    if field and field not in dictionary.columns_by_field:
        raise Refusal(f"The following values in the parameter \"field\" are not valid: '{field}'")
    rows: list[Row] = [
        {"original_field_name": column.field, "choice_value": column.code, "export_field_name": column.name}
        for column in dictionary.columns
        if column.kind != "file" and (not field or column.field == field)
    ]
    return Table(keys, rows, root="fields", item="field")


def instruments(dictionary: Dictionary) -> Table:
    """The instruments in order."""
    rows: list[Row] = [
        {"instrument_name": form, "instrument_label": dictionary.form_labels[form]} for form in dictionary.forms
    ]
    return Table(("instrument_name", "instrument_label"), rows, root="instruments")


def arms(project: Project, chosen: Sequence[str]) -> Table:
    """The arms that have events."""
    refuse_classic(project, "arms")
    used = {event.arm for event in project.events}
    rows: list[Row] = [
        {"arm_num": number, "name": name}
        for number, name in sorted(project.arms.items())
        if number in used and _chosen(number, chosen)
    ]
    return Table(("arm_num", "name"), rows, root="arms")


def events(project: Project, chosen: Sequence[str], behaviour: Behaviour) -> Table:
    """The events by arm."""
    refuse_classic(project, "events")
    keys = ["event_name", "arm_num", "unique_event_name", "custom_event_label", "event_id"]
    if behaviour.event_offsets or project.settings["scheduling_enabled"]:
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


def form_event_mapping(project: Project, chosen: Sequence[str]) -> Table:
    """Which instrument is designated to which event."""
    refuse_classic(project, "form/event mappings")
    rows: list[Row] = [
        {"arm_num": event.arm, "unique_event_name": event.unique_name, "form": form}
        for event in project.events_in_order()
        if _chosen(event.arm, chosen)
        for form in project.forms_at(event.event_id)
    ]
    return Table(("arm_num", "unique_event_name", "form"), rows, root="items")


def repeating_forms_events(project: Project) -> Table:
    """What repeats: instruments, and in longitudinal projects events."""
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


def refuse_classic(project: Project, what: str) -> None:
    """Refuse a question that only longitudinal projects have an answer to."""
    if not project.is_longitudinal:
        raise Refusal(f"You cannot export {what} for classic projects")


def _chosen(arm: int, chosen: Sequence[str]) -> bool:
    return not chosen or str(arm) in chosen


def project_info(project: Project, version: str) -> Row:
    """The project's settings that a server of that version knows."""
    project.refresh()
    settings = dict(project.settings) | {"is_longitudinal": int(project.is_longitudinal)}
    return {key: settings[key] for key in keys_known("project", settings, version)}
