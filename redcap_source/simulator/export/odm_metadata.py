"""The metadata of a REDCap Project XML: settings, events, instruments, items and code lists."""

from __future__ import annotations

from redcap_source.simulator.export.xml_attributes import attributes, escaped
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import STATUS_LABELS, Field
from redcap_source.simulator.state.project import Project, Report
from redcap_source.simulator.wire.formats import XML_HEAD, xml_escaped

_TYPES = {"notes": "textarea", "dropdown": "select"}
_VALIDATIONS = {"integer": "int", "number": "float"}
_SETTINGS = (
    ("RecordAutonumberingEnabled", "record_autonumbering_enabled"),
    ("CustomRecordLabel", "custom_record_label"),
    ("SecondaryUniqueField", "secondary_unique_field"),
    ("SchedulingEnabled", "scheduling_enabled"),
    ("SurveysEnabled", "surveys_enabled"),
    ("RandomizationEnabled", "randomization_enabled"),
    ("DisplayTodayNowButton", "display_today_now_button"),
    ("PreventBranchingEraseValues", "bypass_branching_erase_field_prompt"),
    ("Purpose", "purpose"),
    ("PurposeOther", "purpose_other"),
    ("ProjectNotes", "project_notes"),
    ("MissingDataCodes", "missing_data_codes"),
)


def head_text(project: Project, oid: str, at: str, version: str) -> str:
    """The XML from its start to the end of the project's settings."""
    title = escaped(project.title)
    settings = "".join(
        f"\t<redcap:{tag}>{xml_escaped(str(project.settings[name]))}</redcap:{tag}>\n" for tag, name in _SETTINGS
    )
    settings += f"\t<redcap:MyCapEnabled>{int(project.mycap_enabled)}</redcap:MyCapEnabled>\n"
    return (
        f'{XML_HEAD}\n<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:redcap="https://projectredcap.org" '
        'xsi:schemaLocation="http://www.cdisc.org/ns/odm/v1.3 schema/odm/ODM1-3-1.xsd" ODMVersion="1.3.1" '
        f'FileOID="000-00-0000" FileType="Snapshot" Description="{title}" AsOfDateTime="{at}" '
        f'CreationDateTime="{at}" SourceSystem="REDCap" SourceSystemVersion="{version}">\n<Study OID="Project.{oid}">\n'
        f"<GlobalVariables>\n\t<StudyName>{title}</StudyName>\n\t<StudyDescription>This file contains the metadata, "
        f"events, and data for REDCap project &quot;{title}&quot;.</StudyDescription>\n"
        f"\t<ProtocolName>{title}</ProtocolName>\n{settings}{_repeats(project)}{_people(project)}</GlobalVariables>\n"
    )


def _repeats(project: Project) -> str:
    if not project.has_repeats:
        return ""
    name_of = {event.event_id: event.unique_name for event in project.events}
    lines = [
        f'\t\t<redcap:RepeatingEvent redcap:UniqueEventName="{name_of[event_id]}"/>\n'
        for event_id in sorted(project.repeating_events)
    ]
    lines += [
        "\t\t<redcap:RepeatingInstruments><redcap:RepeatingInstrument"
        + attributes(
            {
                "redcap:UniqueEventName": name_of[event_id],
                "redcap:RepeatInstrument": form,
                "redcap:CustomLabel": label,
            }
        )
        + "/></redcap:RepeatingInstruments>\n"
        for (event_id, form), label in project.repeating_forms.items()
    ]
    body = "".join(lines)
    return f"\t<redcap:RepeatingInstrumentsAndEvents>\n{body}\t</redcap:RepeatingInstrumentsAndEvents>\n"


def _people(project: Project) -> str:
    text = ""
    if project.groups:
        groups = "".join(f'<redcap:DataAccessGroups group_name="{escaped(g.label)}"/>' for g in project.groups.values())
        text += f"\t<redcap:DataAccessGroupsGroup>{groups}</redcap:DataAccessGroupsGroup>\n"
    if project.surveys:
        forms = (form for form in project.dictionary.forms if form in project.surveys)
        surveys = "".join(f'<redcap:Surveys form_name="{form}"/>' for form in forms)
        text += f"\t<redcap:SurveysGroup>{surveys}</redcap:SurveysGroup>\n"
    if project.reports:
        reports = "".join(_report(project.reports[number]) for number in sorted(project.reports))
        text += f"\t<redcap:ReportsGroup>{reports}</redcap:ReportsGroup>\n"
    return text


def _report(report: Report) -> str:
    facts: dict[str, object] = {
        "title": report.title,
        "combine_checkbox_values": int(report.combines_checkboxes),
        "output_dags": int(report.shows_groups),
        "output_survey_fields": int(report.shows_survey_fields),
        "remove_line_breaks_in_values": int(report.folds_lines),
        "advanced_logic": report.logic,
        "filter_type": "RECORD" if report.whole_records else "EVENT",
        "redcap_reports_fields": ",".join(report.fields),
        "redcap_reports_filter_events": ",".join(report.events),
        "redcap_reports_filter_dags": ",".join(report.groups),
    }
    for at, (name, is_descending) in enumerate(report.order, start=1):
        facts |= {f"orderby_field{at}": name, f"orderby_sort{at}": "DESC" if is_descending else "ASC"}
    return f"<redcap:Reports{attributes(facts)}/>"


def metadata_text(project: Project, oid: str) -> str:
    """The MetaDataVersion: events, instruments, items, code lists."""
    dictionary = project.dictionary
    parts = [
        f'<MetaDataVersion OID="Metadata.{oid}" Name="{escaped(project.title)}" '
        f'redcap:RecordIdField="{dictionary.record_id}">\n'
    ]
    if project.is_longitudinal:
        parts += [_event(project, event) for event in project.events_in_order()]
    parts += [_form(project, form) for form in dictionary.forms]
    parts += [_group(project, form) for form in dictionary.forms]
    for field in dictionary.fields:
        parts.append(_items(project, field))
        if field is dictionary.fields_of(field.form_name)[-1]:
            parts.append(_status_item(field.form_name))
    parts += [_code_lists(project, field) for field in dictionary.fields]
    parts += [_code_list(f"{form}_complete", f"{form}_complete", STATUS_LABELS) for form in dictionary.forms]
    return "".join(parts) + "</MetaDataVersion>\n</Study>\n"


def _event(project: Project, event: Event) -> str:
    forms = "".join(
        f'\t\t<FormRef FormOID="Form.{form}" OrderNumber="{at}" Mandatory="No" redcap:FormName="{form}"/>\n'
        for at, form in enumerate(project.forms_at(event.event_id), start=1)
    )
    facts = attributes(
        {
            "OID": f"Event.{event.unique_name}",
            "Name": project.event_label(event),
            "Type": "Common",
            "Repeating": "Yes" if event.event_id in project.repeating_events else "No",
            "redcap:EventName": event.name,
            "redcap:CustomEventLabel": event.custom_label,
            "redcap:UniqueEventName": event.unique_name,
            "redcap:ArmNum": event.arm,
            "redcap:ArmName": project.arms.get(event.arm, ""),
            "redcap:DayOffset": event.day_offset,
            "redcap:OffsetMin": event.offset_min,
            "redcap:OffsetMax": event.offset_max,
        }
    )
    return f"\t<StudyEventDef{facts}>\n{forms}\t</StudyEventDef>\n"


def _form(project: Project, form: str) -> str:
    label = escaped(project.dictionary.form_labels[form])
    reference = f'<ItemGroupRef ItemGroupOID="{form}" Mandatory="No"/>'
    return (
        f'\t<FormDef OID="Form.{form}" Name="{label}" Repeating="No" redcap:FormName="{form}">{reference}</FormDef>\n'
    )


def _group(project: Project, form: str) -> str:
    names = [(column, field.field_name) for field in project.dictionary.fields_of(form)
             for column in _item_names(project, field)]  # fmt: skip
    references = "".join(
        f'<ItemRef ItemOID="{item}" Mandatory="No" redcap:Variable="{variable}"/>'
        for item, variable in [*names, (f"{form}_complete", f"{form}_complete")]
    )
    return f'\t<ItemGroupDef OID="{form}" Name="{form}" Repeating="No">{references}</ItemGroupDef>\n'


def _item_names(project: Project, field: Field) -> list[str]:
    columns = project.dictionary.columns_by_field.get(field.field_name, ())
    return [column.name for column in columns] or [field.field_name]


def _items(project: Project, field: Field) -> str:
    return "".join(_item(field, name) for name in _item_names(project, field))


def _item(field: Field, name: str) -> str:
    extras = {
        "FieldNote": field.field_note,
        "SectionHeader": field.section_header,
        "Identifier": field.identifier,
        "BranchingLogic": field.branching_logic,
        "RequiredField": field.required_field,
        "CustomAlignment": field.custom_alignment,
        "QuestionNumber": field.question_number,
        "MatrixGroupName": field.matrix_group_name,
        "MatrixRanking": field.matrix_ranking,
        "FieldAnnotation": field.field_annotation,
        "TextValidationType": _VALIDATIONS.get(field.validation, field.validation),
        "Calculation": field.select_choices_or_calculations if field.field_type in ("calc", "sql") else "",
        "SliderLabels": field.select_choices_or_calculations if field.field_type == "slider" else "",
    }
    facts: dict[str, object] = {
        "OID": name,
        "Name": name,
        "DataType": "text",
        "Length": 999,
        "redcap:Variable": field.field_name,
        "redcap:FieldType": _TYPES.get(field.field_type, field.field_type),
        **{f"redcap:{key}": value for key, value in extras.items() if value},
    }
    codes = f'<CodeListRef CodeListOID="{name}.choices"/>' if field.choices else ""
    label = f"<Question><TranslatedText>{xml_escaped(field.field_label)}</TranslatedText></Question>"
    return f"\t<ItemDef{attributes(facts)}>{label}{_range(field)}{codes}</ItemDef>\n"


def _range(field: Field) -> str:
    bounds = (("GE", field.text_validation_min), ("LE", field.text_validation_max))
    return "".join(
        f'<RangeCheck Comparator="{sign}" SoftHard="Soft"><CheckValue>{xml_escaped(bound)}</CheckValue></RangeCheck>'
        for sign, bound in bounds
        if bound
    )


def _status_item(form: str) -> str:
    name = f"{form}_complete"
    return (
        f'\t<ItemDef OID="{name}" Name="{name}" DataType="text" Length="1" redcap:Variable="{name}" '
        'redcap:FieldType="select" redcap:SectionHeader="Form Status"><Question><TranslatedText>Complete?'
        f'</TranslatedText></Question><CodeListRef CodeListOID="{name}.choices"/></ItemDef>\n'
    )


def _code_lists(project: Project, field: Field) -> str:
    if not field.choices:
        return ""
    if field.field_type != "checkbox":
        return _code_list(field.field_name, field.field_name, field.choices)
    raw = f' redcap:CheckboxChoices="{escaped(field.select_choices_or_calculations)}"'
    checked = {"1": "Checked", "0": "Unchecked"}
    return "".join(_code_list(name, field.field_name, checked, raw) for name in _item_names(project, field))


def _code_list(name: str, variable: str, choices: dict[str, str], extra: str = "") -> str:
    items = "".join(
        f'<CodeListItem CodedValue="{escaped(code)}"><Decode><TranslatedText>{xml_escaped(label)}</TranslatedText>'
        "</Decode></CodeListItem>"
        for code, label in choices.items()
    )
    return (
        f'\t<CodeList OID="{name}.choices" Name="{name}" DataType="text" redcap:Variable="{variable}"{extra}>'
        f"{items}</CodeList>\n"
    )
