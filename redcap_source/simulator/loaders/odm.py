"""A project from a REDCap Project XML: its settings, events, people and reports.

Not here: fields (odm_dictionary.py), records (odm_records.py), writing such a file (export/odm.py).
"""

from __future__ import annotations

import re

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.loaders.odm_dictionary import dictionary_of
from redcap_source.simulator.loaders.odm_records import ClinicalData
from redcap_source.simulator.loaders.odm_xml import ODM, REDCAP, Element, number_of, root_of, text_of
from redcap_source.simulator.state.design import NEW_SETTINGS, Event
from redcap_source.simulator.state.names import unique_group_name
from redcap_source.simulator.state.project import Group, Project, Report
from redcap_source.simulator.state.records import RecordStore
from redcap_source.simulator.state.users import OPTIONAL_RIGHTS, RIGHTS, Role
from redcap_source.simulator.whole_numbers import number_or

_FLAGS = {
    "RecordAutonumberingEnabled": "record_autonumbering_enabled",
    "SchedulingEnabled": "scheduling_enabled",
    "SurveysEnabled": "surveys_enabled",
    "RandomizationEnabled": "randomization_enabled",
    "DisplayTodayNowButton": "display_today_now_button",
    "PreventBranchingEraseValues": "bypass_branching_erase_field_prompt",
    "Purpose": "purpose",
}
_TEXTS = {
    "CustomRecordLabel": "custom_record_label",
    "SecondaryUniqueField": "secondary_unique_field",
    "PurposeOther": "purpose_other",
    "ProjectNotes": "project_notes",
}
# A role in the XML has other names for some rights than the API.
_ROLE_RIGHTS = {
    "lock_records": "lock_record",
    "lock_records_all_forms": "lock_record_multiform",
    "lock_records_customization": "lock_record_customize",
    "logging": "data_logging",
    "stats_and_charts": "graphical",
    "manage_survey_participants": "participants",
    "data_quality_create": "data_quality_design",
}
_FORM_RIGHT = re.compile(r"\[(\w+),(\d+)\]")


def project_from_xml(content: bytes, source: str) -> Project:
    """The project of an XML file's content; `source` names it in errors."""
    root = root_of(content, source)
    study = root.find(f"{ODM}Study")
    version = study.find(f"{ODM}MetaDataVersion") if study is not None else None
    if study is None or version is None:
        raise SimulatorError(f"{source} is not a REDCap Project XML: it has no Study with a MetaDataVersion.")
    variables = _required(study, "GlobalVariables", source)
    settings = _settings(variables)
    project = Project(dictionary=dictionary_of(version, source), settings=settings)
    project.mycap_enabled = text_of(variables, f"{REDCAP}MyCapEnabled") == "1"
    project.set_missing_codes(text_of(variables, f"{REDCAP}MissingDataCodes"))
    _read_events(project, version)
    _read_repeats(project, variables)
    _read_people(project, variables)
    project.surveys = {survey.get("form_name", "") for survey in variables.iter(f"{REDCAP}Surveys")}
    project.reports = _reports(variables)
    project.records = RecordStore()
    for record in ClinicalData(project).records(root):
        project.records.merge(record)
    project.refresh()
    return project


def _required(parent: Element, tag: str, source: str) -> Element:
    found = parent.find(f"{ODM}{tag}")
    if found is None:
        raise SimulatorError(f"{source} is not a REDCap Project XML: it has no {tag}.")
    return found


def _settings(variables: Element) -> dict[str, str | int]:
    settings = dict(NEW_SETTINGS)
    settings["project_title"] = text_of(variables, f"{ODM}StudyName")
    for tag, name in _FLAGS.items():
        text = text_of(variables, REDCAP + tag)
        settings[name] = number_or(text, int(settings[name]))
    for tag, name in _TEXTS.items():
        settings[name] = text_of(variables, REDCAP + tag)
    return settings


def _read_events(project: Project, version: Element) -> None:
    definitions = list(version.iter(f"{ODM}StudyEventDef"))
    if not definitions:
        return
    project.settings["is_longitudinal"] = 1
    project.arms, project.events, project.mapping = {}, [], {}
    for number, event in enumerate(definitions, start=1):
        arm = number_of(event, f"{REDCAP}ArmNum", 1)
        project.arms[arm] = event.get(f"{REDCAP}ArmName") or f"Arm {arm}"
        project.events.append(
            Event(
                event_id=number,
                name=event.get(f"{REDCAP}EventName") or event.get("Name") or "",
                arm=arm,
                unique_name=event.get(f"{REDCAP}UniqueEventName") or event.get("OID", "").removeprefix("Event."),
                custom_label=event.get(f"{REDCAP}CustomEventLabel") or "",
                day_offset=number_of(event, f"{REDCAP}DayOffset", 0),
                offset_min=number_of(event, f"{REDCAP}OffsetMin", 0),
                offset_max=number_of(event, f"{REDCAP}OffsetMax", 0),
            )
        )
        forms = (form.get(f"{REDCAP}FormName", "") for form in event.iter(f"{ODM}FormRef"))
        project.mapping[number] = tuple(forms)


def _read_repeats(project: Project, variables: Element) -> None:
    ids = {event.unique_name: event.event_id for event in project.events}
    only = project.first_event().event_id
    for event in variables.iter(f"{REDCAP}RepeatingEvent"):
        event_id = ids.get(event.get(f"{REDCAP}UniqueEventName", ""))
        if event_id is not None:
            project.repeating_events.add(event_id)
    for form in variables.iter(f"{REDCAP}RepeatingInstrument"):
        event_id = ids.get(form.get(f"{REDCAP}UniqueEventName", ""), None if project.is_longitudinal else only)
        if event_id is not None:
            label = form.get(f"{REDCAP}CustomLabel", "")
            project.repeating_forms[event_id, form.get(f"{REDCAP}RepeatInstrument", "")] = label


def _read_people(project: Project, variables: Element) -> None:
    for number, group in enumerate(variables.iter(f"{REDCAP}DataAccessGroups"), start=1):
        label = group.get("group_name", "")
        name = unique_group_name(label, project.groups)
        project.groups[name] = Group(number, label, name)
    for role in variables.iter(f"{REDCAP}UserRoles"):
        name = role.get("unique_role_name", "")
        project.roles[name] = _role(name, role)


def _role(name: str, role: Element) -> Role:
    def number(right: str) -> int:
        text = role.get(_ROLE_RIGHTS.get(right, right), "0")
        return number_or(text, 0)

    return Role(
        unique_name=name,
        label=role.get("role_name", ""),
        rights={right: number(right) for right in (*RIGHTS, *OPTIONAL_RIGHTS)},
        forms={form: number_or(r, 0) for form, r in _FORM_RIGHT.findall(role.get("data_entry", ""))},
        forms_export={
            form: number_or(r, 0) for form, r in _FORM_RIGHT.findall(role.get("data_export_instruments", ""))
        },
    )


def _reports(variables: Element) -> dict[int, Report]:
    return {number: _report(report) for number, report in enumerate(variables.iter(f"{REDCAP}Reports"), start=1)}


def _report(report: Element) -> Report:
    def names(attribute: str) -> tuple[str, ...]:
        return tuple(name for name in report.get(attribute, "").split(",") if name)

    def is_on(attribute: str) -> bool:
        return report.get(attribute) == "1"

    order = ((report.get(f"orderby_field{at}", ""), report.get(f"orderby_sort{at}") == "DESC") for at in (1, 2, 3))
    return Report(
        title=report.get("title", ""),
        fields=names("redcap_reports_fields"),
        logic=report.get("advanced_logic", ""),
        whole_records=report.get("filter_type") == "RECORD",
        events=names("redcap_reports_filter_events"),
        groups=names("redcap_reports_filter_dags"),
        order=tuple((name, is_descending) for name, is_descending in order if name),
        shows_groups=is_on("output_dags"),
        shows_survey_fields=is_on("output_survey_fields"),
        combines_checkboxes=is_on("combine_checkbox_values"),
        folds_lines=is_on("remove_line_breaks_in_values"),
    )
