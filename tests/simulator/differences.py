"""Which recorded answers the simulator gives otherwise, and why; docs/simulator-differences.md is this table."""

from __future__ import annotations

RETYPED = "R retyped or made up the recording: its labels, words, numbers and tables stand for REDCap's"
LATER = "the recording shows the project at another time than its XML"
NOT_IN_XML = "a project XML does not hold this: event ids, the file repository"
HISTORY = "a log tells what was done on its server; here its wording is compared instead, call by call"
REPEATS = "nothing recorded says what repeats in this project"
OTHER_CALL = "the recording holds more or less than the request written beside it asks for"
# (project, answer): why the simulator's answer is another.
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
        "the server had lost the files of this copied project: EAV leaves them out"
    ),
    ("redcapr-blank-for-gray-status", "read-eav-oneshot__blank-for-gray-true"): (
        "the server had lost the files of this copied project: EAV leaves them out"
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


def table() -> str:
    lines = [
        "# Where the simulator differs from recorded answers",
        "",
        "Every recorded answer whose project and request are known is asked of the simulator by",
        "`tests/simulator/test_recorded.py`. These are the ones that differ, and why; all others agree in every cell,",
        "and to the byte where the recording is byte-exact. The test writes this table.",
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
        told = "; ".join(f"{', '.join(projects)}: {names}" for names, projects in answers.items())
        lines.append(f"| {reason} | {told} |")
    return "\n".join(lines) + "\n"
