"""Whether REDCap would accept a value in a field. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime

from pipelines.writeback.decide.reasons import Reason
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.decide.values import CLOCKS, DATES, NUMBERS, canonical, number
from redcap_source import dictionary
from redcap_source.dictionary import ValueKind

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


# Everything that some program treats as a line end: those of ASCII, and the three that Unicode adds.
_LINE_BREAK = re.compile(r"[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


def value_problem(rule: Rule, value: str, missing: Collection[str] = ()) -> Reason | None:
    """Return why REDCap would reject a value that is not blank; None if it would not, or only REDCap can know."""
    if rule.field is None or _NO_TEXT.search(value):
        return Reason.BAD_TEXT
    if rule.kind is ValueKind.CHECKBOX:
        return None if value in ("0", "1") else Reason.BAD_CHOICE
    if value in missing and "@NOMISSING" not in rule.tags:
        return None
    if rule.codes is not None:
        return None if value in rule.codes else Reason.BAD_CHOICE
    if rule.kind is ValueKind.SLIDER:
        return None if re.fullmatch(r"-?[0-9]+", value) else Reason.BAD_FORMAT
    if not dictionary.passes_validation(rule.field, value):
        return Reason.BAD_FORMAT
    # Only a notes box can hold one in REDCap; elsewhere it is most likely an unclosed quote.
    if rule.field.field_type != "notes" and _LINE_BREAK.search(value):
        return Reason.LINE_BREAK
    return Reason.NO_SUCH_DATE if rule.kind in DATES and not _is_date(rule.kind, value) else None


def _is_date(kind: ValueKind, value: str) -> bool:
    text = canonical(kind, "", value)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def beyond(rule: Rule, value: str, limit: str, today: date, *, below: bool) -> bool:
    """Whether a value is beyond a limit; limits that refer to other fields are left to REDCap."""
    limit = limit.strip()
    if not limit or limit.startswith("["):
        return False
    if rule.kind in NUMBERS:
        held, bound = number(value), number(limit)
        return held is not None and bound is not None and (held < bound if below else held > bound)
    if rule.kind not in (*DATES, *CLOCKS):
        return False
    if limit.lower() in ("today", "now"):
        if rule.kind not in DATES:
            return False
        limit = today.isoformat()
        value = value[:10]
    one, other = (canonical(rule.kind, "", text) for text in (value, limit))
    # Padded as REDCap pads them, dates and clocks compare as text.
    length = min(len(one), len(other))
    return one[:length] < other[:length] if below else one[:length] > other[:length]
