"""How REDCap spells a value, and when two spellings are the same value. Pure.

Not here: what a field accepts (rules.py, value_checks.py).
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from redcap_source.dictionary import STATUS_CHOICES, ValueKind, choices
from redcap_source.model import Field
from redcap_source.protocol.import_data import cell_text

DATES = (ValueKind.DATE, ValueKind.DATETIME, ValueKind.DATETIME_SECONDS)
CLOCKS = (ValueKind.TIME, ValueKind.TIME_SECONDS, ValueKind.MINUTES_SECONDS)
NUMBERS = (ValueKind.INTEGER, ValueKind.NUMBER, ValueKind.NUMBER_COMMA, ValueKind.SLIDER, ValueKind.CALC)
TRUTHS = (ValueKind.BOOLEAN_YESNO, ValueKind.BOOLEAN_TRUEFALSE, ValueKind.CHECKBOX)

_DATE = re.compile(r"(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.0+)?)?)?")
_ENDS_WHOLE = re.compile(r"-?\d+[.,]0+", re.ASCII)
# Besides TRUTHS, the kinds that are written as a whole number or a code.
_WHOLE_KINDS = (ValueKind.INTEGER, ValueKind.SLIDER, ValueKind.CHOICE, ValueKind.STATUS)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.0+)?)?")


def canonical(kind: ValueKind, validation: str, text: str) -> str:
    """Return the spelling that REDCap stores: dates and hours padded, plain line ends, 0 for an option not ticked.

    Only spellings that REDCap is known to change itself become equal. Numbers stay as they were typed: `22` and `22.0`
    are two values, because one of them may be the error to correct.
    """
    if kind is ValueKind.CHECKBOX:
        return text or "0"
    if not text:
        return text
    if kind in DATES and (found := re.fullmatch(r"(\d{1,4})-(\d{1,2})-(\d{1,2})(?: (\d{1,2})(:.*))?", text)):
        year, month, day, hour, rest = found.groups()
        clock = f" {int(hour):02d}{rest}" if hour else ""
        return f"{int(year):04d}-{int(month):02d}-{int(day):02d}{clock}"
    if kind in (ValueKind.TIME, ValueKind.TIME_SECONDS) and re.match(r"\d:", text):
        return f"0{text}"
    if kind is ValueKind.MINUTES_SECONDS and re.fullmatch(r"\d:\d\d", text):
        return f"0{text}"
    if validation == "vmrn" and text.isascii() and text.isdigit():
        return text.zfill(9)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def stored_as_sent(kind: ValueKind, validation: str, sent: str, held: str) -> bool:
    """Whether REDCap holds what was sent, in its own spelling; blanks at the ends may have been trimmed."""
    after = canonical(kind, validation, held)
    return after in (canonical(kind, validation, sent), canonical(kind, validation, sent.strip()))


def looks_alike(kind: ValueKind, validation: str, one: str, other: str) -> bool:
    """Whether two spellings are one value to a person, as `41` and `41.0` are in a number field."""
    if canonical(kind, validation, one) == canonical(kind, validation, other):
        return True
    if kind not in NUMBERS:
        return False
    first, second = number(one), number(other)
    return first is not None and first == second


def number(text: str) -> Decimal | None:
    """Return the number a text spells, with a dot or a comma; None if it is not a number."""
    try:
        found = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


class NotGiven:
    """Marks a value that a Python row leaves out; None in a column that is given means a blank cell."""


NOT_GIVEN = NotGiven()


def is_missing(value: Any) -> bool:
    """Whether a cell of a frame or of SQL holds nothing: None, NaN, NaT, NA."""
    if value is None or value is NOT_GIVEN:
        return True
    differs = value != value
    return differs is True or type(value).__name__ in ("NAType", "NaTType")


def spelled(field: Field | None, kind: ValueKind, value: Any) -> str:
    """Return a value from SQL, pandas or a file in REDCap's spelling.

    Text changes only where a typed table or a spreadsheet spells it differently from REDCap: `true`, times with
    seconds that the field does not have, and `1.0` for a whole number or a code that is `1`. Raises TypeError, without
    the value in it, for a value that has no spelling in REDCap.
    """
    if hasattr(value, "item") and not isinstance(value, str):
        # A narrow float (160.1) widened to a Python float gets digits that nobody typed (160.10000610351562).
        narrow = type(value).__name__ in ("float16", "float32")
        value = float(str(value)) if narrow else value.item()
    if isinstance(value, timedelta):
        raise TypeError("a duration has no spelling in REDCap")
    if isinstance(value, datetime):
        return _clock_cut(kind, value.replace(microsecond=0, tzinfo=None).isoformat(sep=" "))
    if isinstance(value, time):
        return _clock_cut(kind, value.replace(microsecond=0, tzinfo=None).isoformat())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float | Decimal):
        return _number_spelled(field, kind, value)
    if isinstance(value, dict):
        raise TypeError("a structure has no spelling in REDCap")
    text = str(cell_text("", value))
    if kind in TRUTHS and text.lower() in ("true", "false"):
        return "1" if text.lower() == "true" else "0"
    return _whole(field, kind, text) if _ENDS_WHOLE.fullmatch(text) else _clock_cut(kind, text)


def respells(kind: ValueKind) -> bool:
    """Whether `spelled` may change text of that kind."""
    return kind in (*DATES, *CLOCKS, *TRUTHS, *_WHOLE_KINDS)


def _whole(field: Field | None, kind: ValueKind, text: str) -> str:
    """Return the text without the `.0` that a spreadsheet appends to whole numbers in a column with blanks.

    Only if the field accepts nothing but whole numbers, or if the number is one of its codes and the text is not.
    """
    number = re.split("[.,]", text)[0]
    if kind in (ValueKind.INTEGER, ValueKind.SLIDER):
        return number
    if kind is ValueKind.CHECKBOX:
        codes = {"0", "1"}
    elif kind is ValueKind.STATUS:
        codes = {choice.code for choice in STATUS_CHOICES}
    elif kind in _WHOLE_KINDS or kind in TRUTHS:
        codes = {choice.code for choice in choices(field)} if field is not None else set()
    else:
        return text
    return number if number in codes and text not in codes else text


def _clock_cut(kind: ValueKind, text: str) -> str:
    """Return the text without the part of a time that its kind of field does not have, if that part is zero."""
    if kind in DATES and (found := _DATE.fullmatch(text)):
        year, month, day, hour, minute, second = found.groups()
        if hour is None:
            return text
        date_part, seconds = f"{int(year):04d}-{int(month):02d}-{int(day):02d}", second or "00"
        match kind:
            case ValueKind.DATE if int(hour) == int(minute) == int(seconds) == 0:
                return date_part
            case ValueKind.DATETIME if int(seconds) == 0:
                return f"{date_part} {int(hour):02d}:{minute}"
            case ValueKind.DATETIME_SECONDS if second is not None:
                return f"{date_part} {int(hour):02d}:{minute}:{seconds}"
        return text
    if kind is ValueKind.TIME and (found := _CLOCK.fullmatch(text)) and found[3] is not None and int(found[3]) == 0:
        return f"{int(found[1]):02d}:{found[2]}"
    if kind is ValueKind.MINUTES_SECONDS and (found := re.fullmatch(r"00:(\d{2}:\d{2})", text)):
        return found[1]
    return text


def _number_spelled(field: Field | None, kind: ValueKind, value: float | Decimal) -> str:
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite():
        raise TypeError("a number that is not finite has no spelling in REDCap")
    text = f"{exact:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    places = _places(field)
    if places is not None and exact == round(exact, places):
        text = f"{exact:.{places}f}"
    return text.replace(".", ",") if kind is ValueKind.NUMBER_COMMA else text


def _places(field: Field | None) -> int | None:
    """Return how many decimals the field's validation requires; None if it does not say."""
    validation = field.text_validation_type_or_show_slider_number if field is not None else ""
    found = re.match(r"number_(\d)dp", validation)
    return int(found[1]) if found else None
