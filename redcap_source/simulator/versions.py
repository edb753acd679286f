"""What came to REDCap with which version, so that a server's answers fit the version it reports.

The versions are those that public change logs and clients name; where they name a range, its newest end that is sure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")

# Rights in the exports of users and user roles.
RIGHTS_SINCE: Mapping[str, str] = {
    "mycap_participants": "13.0.0",
    "api_modules": "14.0.3",
    "email_logging": "14.4.0",
}


def version_numbers(text: str) -> tuple[int, int, int] | None:
    """A version as numbers that can be compared; None if the text is no version."""
    found = _VERSION.fullmatch(text.strip())
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def is_from(version: str, first: str) -> bool:
    """Whether a server of a version has what came with another; one whose version cannot be read has everything."""
    numbers, wanted = version_numbers(version), version_numbers(first)
    return numbers is None or wanted is None or numbers >= wanted


def is_known(since: Mapping[str, str], key: str, version: str) -> bool:
    """Whether a server of that version has a key; what the table does not name was always there."""
    return key not in since or is_from(version, since[key])
