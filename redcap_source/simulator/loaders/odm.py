"""Read a REDCap Project XML: CDISC ODM 1.3.1 with REDCap's own additions.

Writing one is odm_export.py's business.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.dictionary import YES_NO, Dictionary, Field
from redcap_source.simulator.state.names import unique_group_name
from redcap_source.simulator.state.project import NEW_SETTINGS, Event, Group, Project, Report, StoredFile
from redcap_source.simulator.state.records import Record, RecordStore, Slot
from redcap_source.simulator.state.users import OPTIONAL_RIGHTS, RIGHTS, Role
from redcap_source.simulator.whole_numbers import number_or, whole_number

ODM = "{http://www.cdisc.org/ns/odm/v1.3}"
REDCAP = "{https://projectredcap.org}"
_ATTRIBUTE = re.compile(rb'="[^"<]*"')
_TYPES = {"textarea": "notes", "select": "dropdown"}
_VALIDATIONS = {"int": "integer", "float": "number"}
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

Element = ElementTree.Element


def project_from_xml(content: bytes, source: str) -> Project:
    """The project of an XML file's content; `source` names it in errors."""
    root = _root(content, source)
    study = root.find(f"{ODM}Study")
    version = study.find(f"{ODM}MetaDataVersion") if study is not None else None
    if study is None or version is None:
        raise SimulatorError(f"{source} is no REDCap Project XML: it has no Study with a MetaDataVersion.")
    variables = _required(study, "GlobalVariables", source)
    settings = _settings(variables)
    project = Project(dictionary=_dictionary(version, source), settings=settings)
    project.mycap_enabled = _text(variables, f"{REDCAP}MyCapEnabled") == "1"
    project.set_missing_codes(_text(variables, f"{REDCAP}MissingDataCodes"))
    _take_events(project, version)
    _take_repeats(project, variables)
    _take_people(project, variables)
    project.surveys = {survey.get("form_name", "") for survey in variables.iter(f"{REDCAP}Surveys")}
    project.reports = _reports(variables)
    project.records = RecordStore()
    for record in _Reader(project).records(root):
        project.records.take(record)
    project.refresh()
    return project


def records_from_xml(content: bytes, project: Project, source: str = "data") -> list[Record]:
    """The records that ODM holds for a project that exists already; files land in the project."""
    return list(_Reader(project).records(_root(content, source)))


def _root(content: bytes, source: str) -> Element:
    # REDCap writes line breaks bare inside attributes, where XML turns them into spaces; as character
    # references they survive.
    kept = _ATTRIBUTE.sub(_with_line_breaks, content)
    try:
        root = ElementTree.fromstring(kept)  # noqa: S314 - expat expands no external entities
    except ElementTree.ParseError as error:
        raise SimulatorError(f"{source} is not well-formed XML ({error}); export it again from REDCap.") from error
    if root.tag != f"{ODM}ODM":
        raise SimulatorError(f"{source} is XML, but not CDISC ODM as a REDCap Project XML is.")
    return root


def _with_line_breaks(match: re.Match[bytes]) -> bytes:
    text = match.group()
    if b"\n" not in text:
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"&#10;").replace(b"\t", b"&#9;")


def _required(parent: Element, tag: str, source: str) -> Element:
    found = parent.find(f"{ODM}{tag}")
    if found is None:
        raise SimulatorError(f"{source} is no REDCap Project XML: it has no {tag}.")
    return found


def _text(parent: Element, tag: str) -> str:
    return (parent.findtext(tag) or "").strip()


def _number(element: Element, attribute: str, otherwise: int) -> int:
    text = element.get(attribute) or str(otherwise)
    number = whole_number(text.strip().removeprefix("-"))
    if number is None:
        name = attribute.removeprefix(REDCAP)
        raise SimulatorError(f'The XML says {name}="{text[:40]}" where only a whole number can stand.')
    return -number if text.strip().startswith("-") else number


def _settings(variables: Element) -> dict[str, str | int]:
    settings = dict(NEW_SETTINGS)
    settings["project_title"] = _text(variables, f"{ODM}StudyName")
    for tag, name in _FLAGS.items():
        text = _text(variables, REDCAP + tag)
        settings[name] = number_or(text, int(settings[name]))
    for tag, name in _TEXTS.items():
        settings[name] = _text(variables, REDCAP + tag)
    return settings


def _dictionary(version: Element, source: str) -> Dictionary:
    groups = {group.get("OID"): group for group in version.iter(f"{ODM}ItemGroupDef")}
    items = {item.get("OID", ""): item for item in version.iter(f"{ODM}ItemDef")}
    lists = {codes.get("OID", ""): codes for codes in version.iter(f"{ODM}CodeList")}
    fields: dict[str, Field] = {}
    labels: dict[str, str] = {}
    for form in version.iter(f"{ODM}FormDef"):
        name = form.get(f"{REDCAP}FormName") or form.get("OID", "").removeprefix("Form.")
        labels[name] = form.get("Name") or name
        for reference in form.iter(f"{ODM}ItemGroupRef"):
            group = groups.get(reference.get("ItemGroupOID"))
            for item in _items_of(group, items):
                field = _field(item, name, lists)
                if field is not None:
                    fields.setdefault(field.field_name, field)
    if not fields:
        raise SimulatorError(f"{source} defines no fields; was it exported with its metadata?")
    return Dictionary(fields.values(), form_labels=labels)


def _items_of(group: Element | None, items: dict[str, Element]) -> Iterator[Element]:
    if group is None:
        return
    for reference in group.iter(f"{ODM}ItemRef"):
        item = items.get(reference.get("ItemOID", ""))
        if item is not None:
            yield item


def _field(item: Element, form: str, lists: dict[str, Element]) -> Field | None:
    name, kind = item.get(f"{REDCAP}Variable", ""), item.get(f"{REDCAP}FieldType")
    if kind is None or name == f"{form}_complete":
        return None  # a pseudo-field or the form's status

    def extra(attribute: str) -> str:
        return item.get(REDCAP + attribute, "")

    kind = _TYPES.get(kind, kind)
    validation = extra("TextValidationType")
    low, high = _range(item)
    return Field(
        field_name=name,
        form_name=form,
        section_header=extra("SectionHeader"),
        field_type=kind,
        field_label=_label(item),
        select_choices_or_calculations=_choices(item, kind, lists),
        field_note=extra("FieldNote"),
        text_validation_type_or_show_slider_number=_VALIDATIONS.get(validation, validation),
        text_validation_min=low,
        text_validation_max=high,
        identifier=extra("Identifier"),
        branching_logic=extra("BranchingLogic"),
        required_field=extra("RequiredField"),
        custom_alignment=extra("CustomAlignment"),
        question_number=extra("QuestionNumber") or extra("QuestionNum"),
        matrix_group_name=extra("MatrixGroupName"),
        matrix_ranking=extra("MatrixRanking"),
        field_annotation=extra("FieldAnnotation"),
    )


def _label(item: Element) -> str:
    question = item.find(f"{ODM}Question")
    if question is None:
        return ""
    formatted = question.findtext(f"{REDCAP}FormattedTranslatedText")
    return formatted or question.findtext(f"{ODM}TranslatedText") or ""


def _range(item: Element) -> tuple[str, str]:
    bounds = {"GE": "", "LE": ""}
    for check in item.iter(f"{ODM}RangeCheck"):
        bounds[check.get("Comparator", "")] = check.findtext(f"{ODM}CheckValue") or ""
    return bounds["GE"], bounds["LE"]


def _choices(item: Element, kind: str, lists: dict[str, Element]) -> str:
    if kind == "calc":
        return item.get(f"{REDCAP}Calculation", "")
    if kind == "slider":
        return item.get(f"{REDCAP}SliderLabels", "")
    reference = item.find(f"{ODM}CodeListRef")
    codes = lists.get(reference.get("CodeListOID", "")) if reference is not None else None
    if codes is None or kind in YES_NO:
        return ""
    if kind == "checkbox":
        parts = (codes.get(f"{REDCAP}CheckboxChoices") or "").split("|")
        return "|".join(part.strip() for part in parts)
    return "|".join(f"{entry.get('CodedValue', '')}, {_decode(entry)}" for entry in codes.iter(f"{ODM}CodeListItem"))


def _decode(entry: Element) -> str:
    return entry.findtext(f"{ODM}Decode/{ODM}TranslatedText") or ""


def _take_events(project: Project, version: Element) -> None:
    definitions = list(version.iter(f"{ODM}StudyEventDef"))
    if not definitions:
        return
    project.settings["is_longitudinal"] = 1
    project.arms, project.events, project.mapping = {}, [], {}
    for number, event in enumerate(definitions, start=1):
        arm = _number(event, f"{REDCAP}ArmNum", 1)
        project.arms[arm] = event.get(f"{REDCAP}ArmName") or f"Arm {arm}"
        project.events.append(
            Event(
                event_id=number,
                name=event.get(f"{REDCAP}EventName") or event.get("Name") or "",
                arm=arm,
                unique_name=event.get(f"{REDCAP}UniqueEventName") or event.get("OID", "").removeprefix("Event."),
                custom_label=event.get(f"{REDCAP}CustomEventLabel") or "",
                day_offset=_number(event, f"{REDCAP}DayOffset", 0),
                offset_min=_number(event, f"{REDCAP}OffsetMin", 0),
                offset_max=_number(event, f"{REDCAP}OffsetMax", 0),
            )
        )
        forms = (form.get(f"{REDCAP}FormName", "") for form in event.iter(f"{ODM}FormRef"))
        project.mapping[number] = tuple(forms)


def _take_repeats(project: Project, variables: Element) -> None:
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


def _take_people(project: Project, variables: Element) -> None:
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
    found = {}
    for number, report in enumerate(variables.iter(f"{REDCAP}Reports"), start=1):
        found[number] = _report(report)
    return found


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
        order=tuple((name, falls) for name, falls in order if name),
        shows_groups=is_on("output_dags"),
        shows_survey_fields=is_on("output_survey_fields"),
        combines_checkboxes=is_on("combine_checkbox_values"),
        folds_lines=is_on("remove_line_breaks_in_values"),
    )


class _Reader:
    """Reads ClinicalData into records, files into the project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._ids = {event.unique_name: event.event_id for event in project.events}
        self._only = project.first_event().event_id
        # ODM puts a T between date and time, REDCap a space.
        self._moments = {f.field_name for f in project.dictionary.fields if f.validation.startswith("datetime")}

    def records(self, root: Element) -> Iterator[Record]:
        for subject in root.iter(f"{ODM}SubjectData"):
            # As an import takes it: with blanks around it, nobody could ask for the record.
            record = subject.get("SubjectKey", "").strip()
            if not record:
                raise SimulatorError("The XML holds data of a record without an id (SubjectKey).")
            slots: dict[Slot, dict[str, str]] = {}
            group = ""
            for slot, item in self._items(subject):
                name = item.get("ItemOID", "")
                value = self._value(item)
                # An item of any kind shows that its row exists, though only what is not blank is kept.
                values = slots.setdefault(slot, {})
                if name == "redcap_data_access_group":
                    group = value
                elif value and self._is_kept(name, value):
                    values[name] = value.replace("T", " ") if name in self._moments else value
            yield Record(record, dict(slots), self._group_name(group))

    def _items(self, subject: Element) -> Iterator[tuple[Slot, Element]]:
        events = subject.findall(f"{ODM}StudyEventData")
        for event in events:
            name = event.get(f"{REDCAP}UniqueEventName") or event.get("StudyEventOID", "").removeprefix("Event.")
            event_id = self._ids.get(name)
            if event_id is not None:
                yield from self._form_items(event, event_id, _number(event, "StudyEventRepeatKey", 1))
        if not events:
            yield from self._form_items(subject, self._only, 1)

    def _form_items(self, parent: Element, event_id: int, event_instance: int) -> Iterator[tuple[Slot, Element]]:
        for form in parent.findall(f"{ODM}FormData"):
            name = form.get("FormOID", "").removeprefix("Form.")
            repeats = event_id in self._project.repeating_events
            instance = event_instance if repeats else _number(form, "FormRepeatKey", 1)
            slot = self._project.slot_of(event_id, name, instance)
            for item in form.iter():
                if item.tag in (f"{ODM}ItemData", f"{ODM}ItemDataBase64Binary"):
                    yield slot, item

    def _value(self, item: Element) -> str:
        if item.tag == f"{ODM}ItemData":
            return item.get("Value", "")
        number = self._project.next_file_id()
        name = item.get(f"{REDCAP}DocName", "file")
        mime_type = item.get(f"{REDCAP}MimeType", "application/octet-stream")
        self._project.files[number] = StoredFile(name, _decoded(item.text or ""), mime_type)
        return str(number)

    def _is_kept(self, name: str, value: str) -> bool:
        if name == self._project.dictionary.record_id:
            return False
        column = self._project.dictionary.column_named.get(name)
        return column is None or column.kind != "checkbox" or value == "1"

    def _group_name(self, group: str) -> str:
        if not group or group in self._project.groups:
            return group
        named = next((name for name, known in self._project.groups.items() if known.label == group), None)
        if named is None:
            named = group
            self._project.groups[named] = Group(len(self._project.groups) + 1, group, named)
        return named


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""
