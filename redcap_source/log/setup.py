"""Whether a row of REDCap's log may be about the project's setup: its design, users, roles, groups or settings.

REDCap logs setup under the action `Manage/Design`, with what was done in the details, and users and roles under actions
of their own. The texts differ by version, language and module and there is no complete list of them. So a row is taken
for harmless only where its text is known to be; every other row may be a change of the setup.
"""

import re

from redcap_source.log.changes import is_about_a_record
from redcap_source.model import LogRow

_DESIGN = re.compile(r"manage/design\s*", re.IGNORECASE)
# What an API request that only reads is logged as: `Export instruments (API)`, perhaps with the project's number.
# Imports begin with another word, and what a project's own names could add (quotes, equals signs) is not matched.
_READ = re.compile(r"(?:export|download) [\w/ -]+ \(API\)(?:\s+\(?project_id = '?\d+'?\)?)?\s*", re.IGNORECASE)
# What staff do every day while they enter data. Seen in the public test suite redcap_rsvc.
_EVERYDAY = re.compile(r"(?:(?:add|edit|delete) field comment|open data query) \(record: ", re.IGNORECASE)
# Actions that read: exports of records and files, and pages that were opened.
_READING = re.compile(r"(?:data\s+export|download(?:ed)?|page\s+view)(?!\w)", re.IGNORECASE)


def may_change_setup(entry: LogRow) -> bool:
    """Whether the row may be about a change of the project's setup: it is not known to be about anything else."""
    action, details = (entry.action or "").strip(), (entry.details or "").strip()
    if _DESIGN.fullmatch(action):
        return not (_READ.fullmatch(details) or _EVERYDAY.match(details))
    return not (_READING.match(action) or is_about_a_record(entry))


def is_setup_read(entry: LogRow) -> bool:
    """Whether the row is an API request that read the setup, as every load makes some."""
    action, details = (entry.action or "").strip(), (entry.details or "").strip()
    return bool(_DESIGN.fullmatch(action) and _READ.fullmatch(details))
