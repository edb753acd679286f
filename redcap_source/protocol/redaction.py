"""Redact REDCap's error messages, so that they can be logged and mailed.

REDCap's messages name records and quote values. The original stays in the error's `server_text`, for callers who may
look at data.
"""

import csv
import io
import json
import re
from collections.abc import Iterator

from redcap_source.protocol.request import Parameter, Request, form_fields

# Messages about these name participants' records and values; about the others, only the project's design.
_ABOUT_RECORDS = {"record", "report", "file", "log", "pdf", "participantList", "project_xml"}
_ABOUT_RECORDS |= {"surveyLink", "surveyQueueLink", "surveyReturnCode", "surveyAccessCode"}
_NAMING_PARAMETERS = ("fields", "forms", "events", "field", "instrument", "event", "report_id", "folder_id")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_FIELDS_FOLLOW = re.compile(r"following fields", re.I)
_LIST_FOLLOWS = re.compile(r"(?:exist|exists|are|is|records?)\s*:\s*\S", re.I)


def redact(text: str, request: Request, most: int = 400) -> str:
    """REDCap's message without quoted or listed words that could be a participant's, cut after `most` characters."""
    line = " ".join(text.split())
    if request.content in _ABOUT_RECORDS:
        known = _design_names(request)
        for value in _participants_words(request, line):
            line = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", line)
        line = _QUOTED.sub(lambda m: m[0] if (m[1] or m[2] or "") in known else "'…'", line)
        if (found := _LIST_FOLLOWS.search(line)) and not _FIELDS_FOLLOW.search(line):
            line = line[: found.end() - 1] + "…"
    return line if len(line) <= most else line[:most] + "…"


def _design_names(request: Request) -> set[str]:
    """Names in the request that are the project's, not a participant's."""
    names = {"content", "fields", "forms", "events", "records", "format", "type", "file", request.content}
    names |= {
        "redcap_data_access_group",
        "redcap_event_name",
        "redcap_repeat_instance",
        "redcap_repeat_instrument",
    }
    for parameter in _NAMING_PARAMETERS:
        names.update(value for _, value in form_fields(parameter, request.parameters.get(parameter)))
    return names


def _participants_words(request: Request, line: str) -> list[str]:
    """Ids, logic and cells of the request that the message contains, perhaps unquoted, the longest first."""
    sent = set(_cells(request.parameters.get("data")))
    for parameter in ("records", "record", "new_record_name", "filterLogic"):
        sent.update(value for _, value in form_fields(parameter, request.parameters.get(parameter)))
    return sorted((value for value in sent if value and value in line), key=len, reverse=True)


def _cells(data: Parameter) -> Iterator[str]:
    """The cells of an import, in JSON or else as CSV; XML is rare here and not parsed."""
    if not isinstance(data, str):
        return
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError):
        yield from (cell for row in _csv_rows(data) for cell in row)
        return
    for row in rows if isinstance(rows, list) else [rows]:
        yield from (str(value) for value in (row.values() if isinstance(row, dict) else [row]))


def _csv_rows(data: str) -> list[list[str]]:
    try:
        # The first row has the names of the columns, which may be repeated.
        return list(csv.reader(io.StringIO(data, newline="")))[1:]
    except csv.Error:
        return []
