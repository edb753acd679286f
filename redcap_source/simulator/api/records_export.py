"""Requests that read records: exports, reports, the next record id."""

from __future__ import annotations

from dataclasses import replace

from redcap_source.simulator.api.call import Answer, Call, text_answer
from redcap_source.simulator.api.projects import export_odm
from redcap_source.simulator.errors import OUT_OF_MEMORY, Refusal
from redcap_source.simulator.export.eav import eav_text
from redcap_source.simulator.export.flat import flat_text
from redcap_source.simulator.export.selection import SelectedRow, Selection, in_field_order, selection_of
from redcap_source.simulator.export.style import Style
from redcap_source.simulator.rules.numbering import next_record_id
from redcap_source.simulator.state.names import NaturalKey, natural_key
from redcap_source.simulator.state.project import Project, Report
from redcap_source.simulator.whole_numbers import number_or
from redcap_source.simulator.wire.formats import CONTENT_TYPES
from redcap_source.simulator.wire.parameters import Parameters

EXPORT = "Data export (API) "


def export_records(call: Call) -> Answer:
    """content=record without data: the records asked for, flat or as EAV."""
    parameters, project = call.parameters, call.project
    kind = parameters.text("type", "flat").lower() or "flat"
    if kind not in ("flat", "eav"):
        raise Refusal('The value of the parameter "type" is not valid')
    now = call.clock.server_time()
    selection = selection_of(project, call.username, parameters, call.behaviour, now)
    style = replace(Style.of(parameters), format=call.format)
    shown = parameters.text("rawOrLabel") or "raw"
    call.log("export", EXPORT, f"export_format: {call.format.upper()}, rawOrLabel: {shown}")
    _refuse_too_big(call, selection)
    if call.format == "odm":
        return export_odm(call)
    make = flat_text if kind == "flat" else eav_text
    return Answer(make(project, selection, style, call.behaviour), 200, CONTENT_TYPES[call.format])


def _refuse_too_big(call: Call, selection: Selection) -> None:
    limit = call.behaviour.max_cells
    if not limit:
        return
    found = (call.project.records.get(record) for record in selection.record_ids)
    rows = sum(len(record.slots) for record in found if record is not None)
    if rows * len(selection.columns) > limit:
        raise Refusal(OUT_OF_MEMORY, 500)


def export_report(call: Call) -> Answer:
    """content=report: always flat, line breaks folded."""
    number = call.parameters.text("report_id")
    report = call.project.reports.get(number_or(number, -1))
    if report is None:
        raise Refusal(f'The value of the parameter "report_id" is not valid: {number}')
    known = call.project.dictionary.columns_by_field
    # A report may name fields that no longer exist.
    shown = tuple(name for name in report.fields if name in known)
    pairs = [(f"fields[{at}]", name) for at, name in enumerate(shown)]
    pairs += [(f"events[{at}]", name) for at, name in enumerate(report.events) if call.project.event_named(name)]
    switches = {
        "exportDataAccessGroups": report.shows_groups,
        "exportSurveyFields": report.shows_survey_fields,
        "combineCheckboxOptions": report.combines_checkboxes,
    }
    pairs += [(name, "true") for name, is_on in switches.items() if is_on]
    names = ("rawOrLabel", "rawOrLabelHeaders", "exportCheckboxLabel", "csvDelimiter", "decimalCharacter")
    pairs += [(name, call.parameters.text(name)) for name in names if name in call.parameters]
    asked = Parameters([*pairs, ("filterLogic", report.logic)])
    now = call.clock.server_time()
    selection = in_field_order(selection_of(call.project, call.username, asked, call.behaviour, now), shown)
    selection = _limited(call.project, selection, report)
    style = replace(Style.of(asked), format=call.format, folds_lines=report.folds_lines)
    call.log("export", EXPORT, f"report_id: {number}, export_format: {call.format.upper()}")
    return Answer(flat_text(call.project, selection, style, call.behaviour), 200, CONTENT_TYPES[call.format])


def _limited(project: Project, selection: Selection, report: Report) -> Selection:
    """The selection with what a report has beyond an export: its groups, whole records, its order."""
    test = selection.row_test
    if test is not None and report.whole_records:
        selection = replace(selection, row_test=lambda record, _: any(test(record, slot) for slot in record.slots))
    if report.groups:
        records = map(project.records.get, selection.record_ids)
        ids = tuple(record.id for record in records if record is not None and record.group in report.groups)
        selection = replace(selection, record_ids=ids)
    if report.order:
        selection = replace(selection, sort=lambda rows: _sorted(project, rows, report))
    return selection


def _sorted(project: Project, rows: list[SelectedRow], report: Report) -> list[SelectedRow]:
    # Sorting is stable, so the least important field is sorted first.
    for name, is_descending in reversed(report.order):
        rows = sorted(rows, key=lambda row: _rank(project, row, name), reverse=is_descending)
    return rows


def _rank(project: Project, row: SelectedRow, name: str) -> NaturalKey:
    record, _, values = row
    return natural_key(record.id if name == project.dictionary.record_id else values.get(name, ""))


def next_record_name(call: Call) -> Answer:
    """content=generateNextRecordName: the id that auto-numbering would give."""
    return text_answer(next_record_id(call.project, call.username), call.return_format)
