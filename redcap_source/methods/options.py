"""The options of record and report exports under Python names, and REDCap's names for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict

from redcap_source.protocol.request import Expect, Parameter

Moment = datetime | str | None
RecordType = Literal["flat", "eav"]
RecordFormat = Literal["csv", "json", "xml", "odm"]
ReportFormat = Literal["csv", "json", "xml"]

SHAPES: Mapping[str, Expect] = {"json": Expect.ROWS, "xml": Expect.XML, "odm": Expect.XML}
"""What an export in each format looks like; CSV is left to the caller, who knows whether its rows are flat."""


class RecordOptions(TypedDict, total=False):
    """Which records and fields an export has, and how it is written; all optional.

    No records, fields, forms or events means all of them. Times are the server's own: text or a naive datetime.
    The export has the union of `fields` and `forms`; the record id only if it is among them (REDCap 6 and later).
    """

    records: Sequence[str]
    fields: Sequence[str]
    forms: Sequence[str]
    events: Sequence[str]
    raw_or_label: Literal["raw", "label"]
    raw_or_label_headers: Literal["raw", "label"]
    export_checkbox_label: bool
    export_survey_fields: bool
    export_data_access_groups: bool
    blank_for_gray_form_status: bool
    combine_checkbox_options: bool
    filter_logic: str
    date_range_begin: Moment
    date_range_end: Moment
    csv_delimiter: Literal[",", "tab", ";", "|", "^"]
    decimal_character: Literal[",", ".", ""]


_RECORD_PARAMETERS: Mapping[str, str] = {
    "records": "records",
    "fields": "fields",
    "forms": "forms",
    "events": "events",
    "raw_or_label": "rawOrLabel",
    "raw_or_label_headers": "rawOrLabelHeaders",
    "export_checkbox_label": "exportCheckboxLabel",
    "export_survey_fields": "exportSurveyFields",
    "export_data_access_groups": "exportDataAccessGroups",
    "blank_for_gray_form_status": "exportBlankForGrayFormStatus",
    "combine_checkbox_options": "combineCheckboxOptions",
    "filter_logic": "filterLogic",
    "date_range_begin": "dateRangeBegin",
    "date_range_end": "dateRangeEnd",
    "csv_delimiter": "csvDelimiter",
    "decimal_character": "decimalCharacter",
}


class ReportOptions(TypedDict, total=False):
    """How a report is written; which records and fields it has is saved with the report itself."""

    raw_or_label: Literal["raw", "label"]
    raw_or_label_headers: Literal["raw", "label"]
    export_checkbox_label: bool
    csv_delimiter: Literal[",", "tab", ";", "|", "^"]
    decimal_character: Literal[",", ".", ""]


def report_parameters(options: Mapping[str, Any]) -> dict[str, Parameter]:
    """Report options under REDCap's parameter names; TypeError for an unknown option."""
    unknown = set(options) - set(ReportOptions.__annotations__)
    if unknown:
        raise TypeError(f"A report has no option {', '.join(sorted(unknown))}.")
    return {_RECORD_PARAMETERS[name]: value for name, value in options.items()}


def record_parameters(options: Mapping[str, Any]) -> dict[str, Parameter]:
    """Record options under REDCap's parameter names; TypeError for an unknown option."""
    unknown = set(options) - set(_RECORD_PARAMETERS)
    if unknown:
        raise TypeError(f"A record export has no option {', '.join(sorted(unknown))}.")
    return {_RECORD_PARAMETERS[name]: as_list(name, value) for name, value in options.items()}


def as_list(name: str, value: Any) -> Any:
    """A single name as a list of one; a request would otherwise treat it as a list of letters."""
    return [value] if name in ("records", "fields", "forms", "events") and isinstance(value, str) else value
