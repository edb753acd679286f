"""Which columns a user may export; an export silently leaves out the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.state.dictionary import Column, Dictionary, Field
from redcap_source.simulator.state.users import DEIDENTIFIED, FULL_EXPORT, NO_EXPORT, Rights

NO_EXPORT_RIGHT = "You do not have permission to export data from this project (export rights: No Access)"


def exportable_columns(dictionary: Dictionary, rights: Rights, columns: Iterable[Column]) -> tuple[Column, ...]:
    """Those of the columns that a user may export; refuses users who may export nothing."""
    levels = {form: rights.export_level(form) for form in dictionary.forms}
    if all(level == NO_EXPORT for level in levels.values()):
        raise Refusal(NO_EXPORT_RIGHT, 403)
    if all(level == FULL_EXPORT for level in levels.values()):
        return tuple(columns)
    return tuple(column for column in columns if _is_exportable(dictionary, column, levels[column.form]))


def _is_exportable(dictionary: Dictionary, column: Column, level: int) -> bool:
    if level == NO_EXPORT:
        return False
    field = dictionary.by_name.get(column.field)
    if level == FULL_EXPORT or field is None:
        return True
    return not field.identifier and not (level == DEIDENTIFIED and _may_identify(field))


def _may_identify(field: Field) -> bool:
    # De-identified exports leave out free text, notes, files and dates, besides the fields tagged as identifiers.
    if field.field_type in ("notes", "file"):
        return True
    return field.field_type == "text" and (not field.validation or field.validation.startswith("date"))


def hashed_id(record: str) -> str:
    """The id shown to users who may not see a record's own."""
    return hashlib.md5(record.encode(), usedforsecurity=False).hexdigest()
