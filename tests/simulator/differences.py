"""The recorded answers that differ from the simulator's, and why; docs/simulator-differences.md is this table."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args, get_type_hints

from redcap_source.simulator import Behaviour
from redcap_source.simulator.logic.dates import DATE_FUNCTIONS
from redcap_source.simulator.logic.functions import FUNCTIONS
from redcap_source.simulator.versions import (
    DEFAULT_VERSION,
    EXPORT_RIGHTS_BY_INSTRUMENT,
    KEYS_SINCE,
    METHODS_SINCE,
    RIGHTS_SINCE,
    version_numbers,
)

RETYPED = "the recording holds R's own labels, words, numbers and tables, not REDCap's"
LATER = "the recording shows the project at another time than its XML"
NOT_IN_XML = "a project XML does not hold this: event ids, the file repository"
HISTORY = "a log lists what was done on its server; only its wording is compared, call by call"
REPEATS = "no recording lists what repeats in this project"
OTHER_CALL = "the recording holds more or less than the request recorded with it asks for"
# (project, answer): why the simulator's answer differs.
DIFFERENCES: dict[tuple[str, str], str] = {
    ("redcapapi-basicdata", "records_flat.csv"): RETYPED,
    ("redcapapi-basicdata", "arms.csv"): RETYPED,
    ("redcapapi-basicdata", "events.csv"): RETYPED,
    ("redcapcast-stroke", "records_flat.csv"): RETYPED,
    ("redcapr-decimal-comma", "decimal-comma__set-locale"): RETYPED,
    ("redcapr-decimal-comma-and-dot", "decimal-comma-and-dot__default-mismatched"): RETYPED,
    ("redcapr-russian", "records_flat.csv"): RETYPED,
    ("redcapr-simple", "records_flat.csv"): RETYPED,
    ("redcapr-simple", "project-info-read__simple"): RETYPED,
    ("redcapr-simple", "read-batch-simple__na"): RETYPED,
    ("redcapr-simple", "read-oneshot__na"): RETYPED,
    ("redcapr-arm-multiple-delete", "records_flat.csv"): LATER,
    ("redcapr-arm-single-delete", "records_flat.csv"): LATER,
    ("redcapr-dag-write", "write-dag__before"): LATER,
    ("redcapr-survey", "records_flat.csv"): LATER,
    ("redcapr-validation-types-1", "records_flat.csv"): LATER,
    **{
        ("redcapr-simple-write", f"write-{how}"): LATER
        for how in (
            "batch__default", "batch__update-one-field", "batch__update-two-fields", "oneshot__default",
            "oneshot__one-field", "oneshot__overwrite-true", "oneshot__two-fields",
        )
    },
    ("redcapr-arm-multiple-delete", "events.csv"): NOT_IN_XML,
    ("redcapr-arm-single-longitudinal", "events.csv"): NOT_IN_XML,
    ("redcapr-longitudinal", "events.csv"): NOT_IN_XML,
    ("redcapr-file-repo", "file-repo-list-oneshot__default"): NOT_IN_XML,
    ("redcapr-file-repo", "file-repo-list-oneshot__first-subdirectory"): NOT_IN_XML,
    ("redcapr-simple", "log-read__2024-10-11"): HISTORY,
    **{
        (f"redcapsync-test-{name}", "log.csv"): HISTORY
        for name in ("cancer", "classic", "data", "edge", "longitudinal", "multiarm", "redcapr-simple", "repeating")
    },
    ("redcapetl-non-repeating", "project_info.json"): REPEATS,
    ("redcapetl-repeating-event-inst", "project_info.json"): REPEATS,
    ("redcapsync-test-edge", "user_dag_mapping.csv"): "the recordings of this project name different users",
    ("redcapr-simple", "metadata-read__normal-filter-form-all-three"): OTHER_CALL,
    ("redcapr-vignette-repeating", "read-batch-plumbing__repeated"): OTHER_CALL,
    ("redcapr-blank-for-gray-status", "read-eav-oneshot__blank-for-gray-false"): (
        "the server had lost the files of this copied project, and EAV leaves them out"
    ),
    ("redcapr-blank-for-gray-status", "read-eav-oneshot__blank-for-gray-true"): (
        "the server had lost the files of this copied project, and EAV leaves them out"
    ),
    ("redcapr-color-boxes", "records_flat.csv"): (
        "a download from the web page, with a group column though the project has no groups"
    ),
    ("redcapr-survey", "survey__default"): (
        "the time stamp of the first survey is missing, though the same project's other export has it"
    ),
    ("redcapetl-repeating-events", "records_flat.json"): (
        "a status of an instrument that the event does not have is stored on the server; the XML leaves it out"
    ),
    ("redcapexporter-avalanche", "users.csv"): "names were made anonymous by hand after recording, without quotes",
}  # fmt: skip

# A point on which live servers differ, or that was never recorded, by its switch in `Behaviour`: what it is about.
SWITCHES: dict[str, str] = {
    "bad_token_status": "the status of an answer to a bad token: the help text says 401, recorded servers said 403",
    "unknown_names": "names that do not exist in `fields`, `forms` and `events`: servers of the 6.x line ignored them",
    "unknown_format": "an unknown `format`, such as yaml",
    "file_value": "a file in a flat export: its name, or the text [document] on old servers",
    "eav_checkbox": "checkboxes in EAV: rows of codes as recorded, or rows of 0 and 1 as the help text says",
    "eav_order": "the order of a record's fields in EAV: recorded ones have the calculated fields last, others do not; "
    "`name` is what PHPCap's suite asserts of its server",
    "file_charset": "`;charset=UTF-8` after a file's content type, which one server sends and another does not",
    "report_crlf": "a stored CRLF in a report: one space, or two on one server",
    "json_unicode": "characters beyond ASCII in JSON: escaped, or as they are",
    "date_range_begin_inclusive": "whether a change in the second of `dateRangeBegin` counts; never recorded",
    "date_range_end_inclusive": "whether a change in the second of `dateRangeEnd` counts; never recorded",
    "date_range_sees_renames": "whether a rename counts as a change for `dateRange…`",
    "date_range_sees_dag_moves": "whether a move to another data access group counts as a change for `dateRange…`",
    "id_only_instances": "whether a request for the record id alone returns instances of repeating instruments",
    "log_begin_inclusive": "whether rows of the minute of `beginTime` count; never recorded",
    "log_end_inclusive": "whether rows of the minute of `endTime` count; never recorded",
    "log_has_record": "the `record` key of the log, which servers before 12 or 13 do not have",
    "event_offsets": "day offsets in the export of events: old servers list them, later ones only with scheduling",
    "form_right_codes": "rights by instrument: 0 to 3, or 128 and more, as servers since 15.6 may answer",
    "role_values": "rights in the export of user roles: recorded as texts, in the export of users as numbers",
    "import_calculated": "values for calculated fields in an import: ignored, or refused",
    "import_checks_form_rights": "whether an import checks the user's right to edit an instrument",
    "import_checks_limits": "whether an import checks limits, required fields and @READONLY, as the screen does",
    "foreign_records": "records of another data access group than the user's: left out, or the request is refused",
    "ids_ignore_case": "whether `A1` is found as `a1`, as MySQL may",
    "noisy_project_creation": "warnings before the token of a new project, as one server sends them",
    "max_cells": "exports of more cells fail for lack of memory; 0 is no limit",
    "max_body_bytes": "longer requests are cut and answered with an empty error; 0 is no limit",
    "rate_limit": "how many requests a minute are answered; 0 is no limit",
    "rate_limit_answer": "what requests over the limit get: a page until the ban is lifted, or a 429, as from proxies",
}


def table() -> str:
    lines = [*_differences(), "", *_switches(), "", *_versions(), "", *_logic()]
    return "\n".join(lines) + "\n"


def _switches() -> list[str]:
    lines = [
        "## Where live servers differ among themselves",
        "",
        "Each point is a switch of `Behaviour`, an argument of `Simulator(behaviour=…)`. The default is what a current",
        "server was recorded to answer, where one was.",
        "",
        "| switch | what it is about | default | other values |",
        "|---|---|---|---|",
    ]
    hints = get_type_hints(Behaviour)
    for field in fields(Behaviour):
        values = get_args(hints[field.name]) or ((True, False) if hints[field.name] is bool else ())
        others = ", ".join(f"`{value}`" for value in values if value != field.default)
        lines.append(f"| `{field.name}` | {SWITCHES[field.name]} | `{field.default}` | {others or 'any number'} |")
    return lines


def _logic() -> list[str]:
    missing = ("isblankormissingcode", "isblanknotmissingcode", "ismissingcode", "hasmissingcode")
    names = ", ".join(f"`{name}`" for name in sorted((*FUNCTIONS, *DATE_FUNCTIONS, *missing)))
    return [
        "## Logic",
        "",
        "filterLogic, reports and calculated fields may call the functions in REDCap's own list of special functions",
        f"up to 16.1: {names}.",
        "",
        "`random`, which 17.0 added, is not among them: a calculation that calls it is blank, and a filterLogic that",
        "calls it is refused, as is one with too few or too many arguments for a function.",
    ]


def _versions() -> list[str]:
    lines = [
        "## What changes with the version",
        "",
        f"The simulator plays {DEFAULT_VERSION} unless `simulate --redcap-version` or `Simulator(version=…)` names",
        "another. What a later version added is left out: a key is not in the answer, a method does not exist, and a",
        "setting is not counted when project information is imported.",
        "",
        "| from | content | what |",
        "|---|---|---|",
    ]
    rows = [(since, content, f"`{key}`") for content, keys in KEYS_SINCE.items() for key, since in keys.items()]
    rows += [(since, "user, userRole", f"`{right}`") for right, since in RIGHTS_SINCE.items()]
    rows += [(since, content, f"the method: {action}") for (content, action), since in METHODS_SINCE.items()]
    rows.append((EXPORT_RIGHTS_BY_INSTRUMENT, "user, userRole", "`forms_export`, in place of `data_export`"))
    rows.sort(key=lambda row: (version_numbers(row[0]) or (0, 0, 0), row[1], row[2]))
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _differences() -> list[str]:
    lines = [
        "# Where the simulator differs from recorded answers",
        "",
        "`tests/simulator/test_recorded.py` sends the simulator every recorded request whose project is known, and",
        "compares the answers. These differ, for the reasons given; all others agree in every cell and in the order of",
        "their rows, to the byte where the recording is byte-exact. A test writes this table.",
        "",
        "| why it differs | answers |",
        "|---|---|",
    ]
    grouped: dict[str, dict[str, list[str]]] = {}
    for (project, answer), reason in DIFFERENCES.items():
        grouped.setdefault(reason, {}).setdefault(project, []).append(f"`{answer}`")
    for reason, projects in grouped.items():
        answers: dict[str, list[str]] = {}
        for project, names in projects.items():
            answers.setdefault(", ".join(names), []).append(project)
        listed = "; ".join(f"{', '.join(projects)}: {names}" for names, projects in answers.items())
        lines.append(f"| {reason} | {listed} |")
    return lines
