"""Points on which real servers differ, or which were never recorded, as switches for `Simulator(behaviour=…)`.

Each default is what a current server was recorded to answer, where one was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Which of the known variants of REDCap are simulated."""

    # The status of an answer to a bad token: the help text says 401, every recorded server answers 403.
    bad_token_status: Literal[401, 403] = 403
    # Servers of the 6.x line ignored unknown names in `fields`, `forms`, `events`; current ones refuse.
    unknown_names: Literal["refuse", "ignore"] = "refuse"
    # An unknown format, such as yaml, is refused, or counts as the default, which is XML.
    unknown_format: Literal["refuse", "xml"] = "refuse"
    # Old servers put the literal text [document] where newer ones put the file's name.
    file_value: Literal["name", "document"] = "name"
    # The help text describes 0/1 rows; recorded answers hold one row per checked code.
    eav_checkbox: Literal["codes", "columns"] = "codes"
    # The order of a record's fields in EAV answers: the dictionary's with the calculated ones last, as in every
    # recorded answer; the dictionary's; by name, as PHPCap's suite expects of its live server; or that in which the
    # values were stored.
    eav_order: Literal["calculated_last", "dictionary", "name", "stored"] = "calculated_last"
    # Whether the content type of a file ends with `;charset=UTF-8`.
    file_charset: bool = True
    # What a report shows for a line break that was stored as CRLF.
    report_crlf: Literal["one_blank", "two_blanks"] = "one_blank"
    # PHP escapes all but ASCII by default.
    json_unicode: Literal["escaped", "raw"] = "escaped"
    # Whether changes in the very second of dateRangeBegin and dateRangeEnd are included; never recorded.
    date_range_begin_inclusive: bool = True
    date_range_end_inclusive: bool = True
    # Whether renames and moves between data access groups count as changes for dateRange.
    date_range_sees_renames: bool = False
    date_range_sees_dag_moves: bool = False
    # Whether a request for the record id alone also returns the instances of repeating instruments.
    id_only_instances: bool = False
    # Whether rows of the very minute of beginTime and endTime are included in a log; never recorded.
    log_begin_inclusive: bool = True
    log_end_inclusive: bool = True
    # Whether the log has the key `record`; servers before 12 or 13 had none.
    log_has_record: bool = True
    # Whether events are listed with day offsets, as by old servers; with scheduling they always are.
    event_offsets: bool = False
    # Rights by instrument are 0 to 3, or 128, 129, 130 … since 15.6.
    form_right_codes: Literal["plain", "since_15_6"] = "plain"
    # Rights in the export of roles were recorded as texts, in that of users as numbers.
    role_values: Literal["text", "number"] = "text"
    # What an import does with values for calculated fields, and whether it checks rights to edit instruments, and the
    # limits, required fields and @READONLY that REDCap checks at the screen; never recorded.
    import_calculated: Literal["ignore", "refuse"] = "ignore"
    import_checks_form_rights: bool = False
    import_checks_limits: bool = False
    # When an export names a record of another data access group than the user's: the record is left out, or the whole
    # request is refused.
    foreign_records: Literal["omit", "refuse"] = "omit"
    # Whether an import of `A1` is saved in a record `a1`, since MySQL ignores letter case in look-ups.
    ids_ignore_case: bool = False
    # Whether warnings precede the token of a new project, as one server was recorded to send.
    noisy_project_creation: bool = False
    # Exports of more cells fail for lack of memory; 0 is no limit.
    max_cells: int = 0
    # Longer bodies are cut by PHP and answered with an empty error; 0 is no limit.
    max_body_bytes: int = 0
    # How many requests a minute are answered (0 is no limit), and what the others get: an HTML page until
    # `Faults.reset_ban()`, or, as from proxies, a 429 until the minute is over.
    rate_limit: int = 0
    rate_limit_answer: Literal["ban", "429"] = "ban"
