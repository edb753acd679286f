"""What REDCap added in which version, so that a server's answers fit the version that it reports.

The versions are those that public change logs and clients name; of a range, the newer end. What none of them dates,
such as the methods of groups and user roles, is taken to be in every version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from redcap_source.simulator.errors import SimulatorError

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")

# The version that is simulated by default.
DEFAULT_VERSION = "14.7.3"
# The first version with a right to export data for each instrument, not one for all.
EXPORT_RIGHTS_BY_INSTRUMENT = "12.5.0"
# Rights in the exports of users and user roles.
RIGHTS_SINCE: Mapping[str, str] = {
    "mycap_participants": "13.0.0",
    "api_modules": "14.0.3",
    "email_logging": "14.4.0",
}
# Keys of answers, by content.
KEYS_SINCE: Mapping[str, Mapping[str, str]] = {
    "project": {
        "project_irb_number": "6.7.0",
        "project_grant_number": "6.7.0",
        "project_pi_firstname": "6.7.0",
        "project_pi_lastname": "6.7.0",
        "secondary_unique_field": "6.11.0",
        "has_repeating_instruments_or_events": "7.0.0",
        "project_pi_email": "15.8.2",
    },
    "user": {"data_access_group_label": "16.0.0"},
    "userRoleMapping": {"data_access_group": "15.8.2"},
    "dag": {"data_access_group_id": "13.1.0"},
    "log": {"record": "13.0.0"},
    "fileRepository": {"role": "16.0.8", "dag": "16.0.8"},
}
# Methods, by content and action; a server without one answers that the content or the action is not valid.
METHODS_SINCE: Mapping[tuple[str, str], str] = {
    ("exportFieldNames", "export"): "6.4.0",
    **{(content, "export"): "6.4.0" for content in ("pdf", "surveyLink", "surveyQueueLink", "surveyReturnCode",
                                                    "surveyAccessCode", "participantList")},
    ("instrument", "export"): "6.5.0",
    ("project", "export"): "6.5.0",
    **{(content, "import"): "6.11.0" for content in ("metadata", "arm", "event", "formEventMapping", "user",
                                                     "project_settings")},
    ("arm", "delete"): "6.11.0",
    ("event", "delete"): "6.11.0",
    ("project_xml", "export"): "6.12.0",
    ("repeatingFormsEvents", "import"): "8.10.0",
    ("log", "export"): "10.8.0",
}  # fmt: skip


def version_numbers(text: str) -> tuple[int, int, int] | None:
    """A version as numbers that can be compared; None if the text is not a version."""
    found = _VERSION.fullmatch(text.strip())
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def is_from(version: str, first: str) -> bool:
    """Whether a version has what was added in the version `first`; one that cannot be read has everything."""
    numbers, wanted = version_numbers(version), version_numbers(first)
    return numbers is None or wanted is None or numbers >= wanted


def is_known(since: Mapping[str, str], key: str, version: str) -> bool:
    """Whether a version has a key of a table; every version has the keys that the table does not name."""
    return key not in since or is_from(version, since[key])


def keys_known(content: str, keys: Iterable[str], version: str) -> list[str]:
    """Those keys of an answer that a version has."""
    since = KEYS_SINCE.get(content, {})
    return [key for key in keys if is_known(since, key, version)]


def checked_version(text: str) -> str:
    """A version without blanks around it; raises SimulatorError for text that is not a version."""
    if version_numbers(text) is None:
        raise SimulatorError(f"'{text}' is not a version of REDCap; give one such as {DEFAULT_VERSION}.")
    return text.strip()
