"""Whether REDCap would accept a value in a field."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime

from pipelines.writeback.decide.reasons import Why
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.decide.values import CLOCKS, DATES, NUMBERS, canonical, number
from redcap_source import dictionary
from redcap_source.dictionary import ValueKind

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


# All that any program takes for the end of a line: those of ASCII, and Unicode's own three.
_LINE_BREAK = re.compile(r"[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


def value_refusal(rule: Rule, value: str, missing: Collection[str] = ()) -> Why | None:
    """Why REDCap would not take a value that is not blank; None where it would, or where only REDCap can tell."""
    if rule.field is None or _NO_TEXT.search(value):
        return Why.BAD_TEXT
    if rule.kind is ValueKind.CHECKBOX:
        return None if value in ("0", "1") else Why.BAD_CHOICE
    if value in missing and "@NOMISSING" not in rule.tags:
        return None
    if rule.codes is not None:
        return None if value in rule.codes else Why.BAD_CHOICE
    if rule.kind is ValueKind.SLIDER:
        return None if re.fullmatch(r"-?[0-9]+", value) else Why.BAD_FORMAT
    if not dictionary.passes_validation(rule.field, value):
        return Why.BAD_FORMAT
    # Only a notes box takes one in REDCap; elsewhere it is most likely a quote in a file that took in further rows.
    if rule.field.field_type != "notes" and _LINE_BREAK.search(value):
        return Why.LINE_BREAK
    return Why.NO_SUCH_DATE if rule.kind in DATES and not _is_date(rule.kind, value) else None


def _is_date(kind: ValueKind, value: str) -> bool:
    text = canonical(kind, "", value)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def beyond(rule: Rule, value: str, limit: str, today: date, *, below: bool) -> bool:
    """Whether a value is on the wrong side of a limit; limits that refer to other fields are left to REDCap."""
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
