"""The points on which real servers differ, or which nobody has recorded, as switches with a default.

Each default is the answer of a current server where one was recorded. An object of this class is handed to
`Simulator(behaviour=…)`; nothing here acts by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Which of the known variants of REDCap the simulator plays."""

    # The help text says 401, every recorded server answers 403.
    bad_token_status: Literal[401, 403] = 403
    # Servers of the 6.x line ignored unknown names in `fields`, `forms`, `events`; current ones refuse.
    unknown_names: Literal["refuse", "ignore"] = "refuse"
    # A format that is none, such as yaml, is refused, or counts as the default, which is XML.
    unknown_format: Literal["refuse", "xml"] = "refuse"
    # Old servers put the literal text [document] where newer ones put the file's name.
    file_value: Literal["name", "document"] = "name"
    # The help text describes 0/1 rows; recorded answers hold one row per checked code.
    eav_checkbox: Literal["codes", "columns"] = "codes"
    # The fields of a row in EAV answers: in the dictionary's order, on some servers with the calculated ones last, as
    # in every recorded answer; by their names, as one public client's suite expects of its live server; or in the
    # order in which their values were stored.
    eav_order: Literal["calculated_last", "dictionary", "name", "stored"] = "calculated_last"
    # Whether the content type of a file ends with `;charset=UTF-8`.
    file_charset: bool = True
    # What a report shows in place of a line break that was stored as CRLF.
    report_crlf: Literal["one_blank", "two_blanks"] = "one_blank"
    # PHP escapes what is not ASCII unless told otherwise.
    json_unicode: Literal["escaped", "raw"] = "escaped"
    # The edges of dateRange are unrecorded: the seconds of begin and end probably count, unless switched.
    date_range_begin_inclusive: bool = True
    date_range_end_inclusive: bool = True
    # Renames and moves between data access groups need not write a data row in the log.
    date_range_sees_renames: bool = False
    date_range_sees_dag_moves: bool = False
    # Whether a request for the record id alone also returns the instances of repeating instruments.
    id_only_instances: bool = False
    # The edges of a log request are unrecorded: minutes equal to either count, unless switched.
    log_begin_inclusive: bool = True
    log_end_inclusive: bool = True
    # Servers before 12 or 13 had no `record` key in the log.
    log_has_record: bool = True
    # Old servers, and those with scheduling, list day offsets of events.
    event_offsets: bool = False
    # Form rights are 128, 129, 130 … since 15.6.
    form_right_codes: Literal["plain", "since_15_6"] = "plain"
    # Rights in the role export have been recorded as texts, in the user export as numbers.
    role_values: Literal["text", "number"] = "text"
    # What an import does that nobody has recorded: values for calculated fields, instruments the user may only read,
    # and the limits, required fields and @READONLY that REDCap minds at the screen.
    import_calculated: Literal["ignore", "refuse"] = "ignore"
    import_checks_form_rights: bool = False
    import_checks_limits: bool = False
    # An export that names a record of another data access group than its user's: such records are left out, or the
    # whole request is refused.
    foreign_records: Literal["omit", "refuse"] = "omit"
    # MySQL looks record ids up without regard to letter case, so an import of `A1` may be saved in `a1`.
    ids_ignore_case: bool = False
    # Warnings before the body of a new project's token have been seen.
    noisy_project_creation: bool = False
    # Exports of more cells than this fail for want of memory; 0 is no limit.
    max_cells: int = 0
    # Bodies longer than this are cut by PHP and answered with an empty error; 0 is no limit.
    max_body_bytes: int = 0
    # What happens past `rate_limit` requests a minute: an HTML page until `reset_ban()`, or, as proxies do, a 429
    # until the minute is over. 0 is no limit.
    rate_limit: int = 0
    rate_limit_answer: Literal["ban", "429"] = "ban"
