"""Requests about whole projects: change settings, create a project, export one as XML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from redcap_source.simulator.api.call import Answer, Call, return_format_of, text_answer
from redcap_source.simulator.errors import Refusal, SimulatorError
from redcap_source.simulator.export.odm import odm_text
from redcap_source.simulator.export.selection import selection_of
from redcap_source.simulator.loaders.odm import project_from_xml
from redcap_source.simulator.state.design import NEW_SETTINGS
from redcap_source.simulator.state.dictionary import Dictionary, Field
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.versions import keys_known
from redcap_source.simulator.whole_numbers import number_or
from redcap_source.simulator.wire.formats import CONTENT_TYPES
from redcap_source.simulator.wire.import_data import BAD_FORMAT, json_of, rows_of, texts
from redcap_source.simulator.wire.parameters import Parameters

SETTABLE = frozenset(
    name
    for name in NEW_SETTINGS
    if name
    not in (
        "project_id", "creation_time", "production_time", "in_production", "has_repeating_instruments_or_events",
        "ddp_enabled", "missing_data_codes", "external_modules",
    )
)  # fmt: skip


def import_settings(call: Call) -> Answer:
    """content=project_settings: how many values were changed; unknown ones are ignored, and none at all is refused."""
    call.require("api_import", "design")
    given = [(name, value) for row in _settings_rows(call.parameters) for name, value in row.items()]
    settable = keys_known("project", SETTABLE, call.site.version)
    known = [(name, value) for name, value in given if name in settable]
    if not known:
        raise Refusal(BAD_FORMAT)
    for name, value in known:
        call.project.settings[name] = _setting(name, value)
    call.log("manage", "Manage/Design ", "Import project settings (API)")
    return call.text(len(known))


def _settings_rows(parameters: Parameters) -> list[dict[str, str]]:
    # Settings are one object; in JSON it may be bare or in a list.
    text = parameters.text("data")
    if parameters.text("format").lower() == "json":
        try:
            loaded = json_of(text)
        except Refusal as error:
            raise Refusal(BAD_FORMAT) from error
        listed = loaded if isinstance(loaded, list) else [loaded]
        if not all(isinstance(row, dict) for row in listed):
            raise Refusal(BAD_FORMAT)
        text = json.dumps(listed)
    return texts(rows_of(Parameters([("data", text), ("format", parameters.text("format", "xml"))])))


def _setting(name: str, value: str) -> str | int:
    if isinstance(NEW_SETTINGS[name], int):
        number = number_or(value.removeprefix("-"), 0)
        return -number if value.startswith("-") else number
    return value


def create_project(site: Site, parameters: Parameters) -> Answer:
    """content=project with a super token: create a project; the answer is its token as plain text."""
    rows = _settings_rows(parameters)
    if not rows:
        raise Refusal(BAD_FORMAT)
    given = rows[0]
    _refuse_incomplete(given)
    project = _new_project(parameters.text("odm"))
    settable = keys_known("project", SETTABLE, site.version)
    for name, value in given.items():
        if name in settable:
            project.settings[name] = _setting(name, value)
    token = site.new_project(project)
    noise = "<br /> Notice: debug output<br />" if site.behaviour.noisy_project_creation else ""
    return text_answer(noise + token, return_format_of(parameters))


def _refuse_incomplete(given: Mapping[str, str]) -> None:
    if not given.get("project_title"):
        raise Refusal("You must provide a project_title")
    if given.get("purpose", "") not in ("0", "1", "2", "3", "4"):
        raise Refusal("You must provide a valid purpose: 0, 1, 2, 3 or 4")
    if given["purpose"] == "1" and not given.get("purpose_other"):
        raise Refusal("You must provide some text for 'purpose_other' since you specified 'purpose' as '1' (Other).")


def _new_project(odm: str) -> Project:
    if not odm:
        return Project(Dictionary([Field("record_id", "form_1", field_label="Record ID")]))
    try:
        project = project_from_xml(odm.encode(), "odm")
    except SimulatorError as error:
        raise Refusal(str(error)) from error
    _erase_calculated(project)
    return project


def _erase_calculated(project: Project) -> None:
    # When the API creates a project from an XML, its records are imported without the values of calculated fields: a
    # live server had none of them in the new project until something in their record changed.
    names = {field.field_name for field in project.dictionary.calculated}
    for record in list(project.records):
        slots = {
            slot: {name: value for name, value in values.items() if name not in names}
            for slot, values in record.slots.items()
        }
        if slots != record.slots:
            project.records.put(replace(record, slots=slots))


def export_xml(call: Call) -> Answer:
    """content=project_xml: metadata, and records unless returnMetadataOnly is on."""
    call.require("api_export")
    parameters = call.parameters
    call.log("export", "Data export (API) ", "export_format: CDISC ODM (project XML)")
    with_records = not parameters.flag("returnMetadataOnly")
    return _xml(call, parameters, files=parameters.flag("exportFiles"), with_records=with_records)


def export_odm(call: Call) -> Answer:
    """content=record&format=odm."""
    return _xml(call, call.parameters, files=False)


def _xml(call: Call, parameters: Parameters, *, files: bool, with_records: bool = True) -> Answer:
    now = call.clock.server_time()
    selection = selection_of(call.project, call.username, parameters, call.behaviour, now)
    pieces = odm_text(
        call.project,
        selection.rows(call.project) if with_records else (),
        selection.columns,
        version=call.site.version,
        now=now,
        groups=parameters.flag("exportDataAccessGroups") and not selection.group,
        files=files,
        surveys=parameters.flag("exportSurveyFields"),
        hides_record_id=selection.hides_record_id,
    )
    return Answer(pieces, 200, CONTENT_TYPES["xml"])
