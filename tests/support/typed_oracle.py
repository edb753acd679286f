"""What a verbatim value means, told a second time and without a line of the product: its typed value, and its label.

It is asked of the dictionary as REDCap sends it, one value at a time, in Python. A value that is none of its field's
type is nothing; so is a missing data code, unless the field is text.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

State = Mapping[tuple[str, str, str, str], Mapping[str, object]]
Values = dict[tuple[str, str, str, str], dict[str, object]]

STATUS = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
LABELS = {
    "checkbox": {"1": "Checked", "0": "Unchecked"},
    "yesno": {"1": "Yes", "0": "No"},
    "truefalse": {"1": "True", "0": "False"},
}


def integer(text: str) -> int | None:
    """A whole number of 64 bits."""
    found = int(text) if re.fullmatch("[-+]?[0-9]+", text) else None
    return found if found is not None and -(2**63) <= found < 2**63 else None


def number(text: str) -> float | None:
    """A number that the nearest DOUBLE gives back digit by digit."""
    if not re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text):
        return None
    found = float(text)
    return found if abs(found) < float("inf") and Decimal(repr(found)) == Decimal(text) else None


def number_with_comma(text: str) -> float | None:
    """The same with a decimal comma."""
    return number(text.replace(",", ".")) if len(re.findall("[.,]", text)) < 2 else None


def date(text: str) -> dt.date | None:
    """A day, every digit written."""
    try:
        return dt.date.fromisoformat(text) if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
    except ValueError:
        return None


def time(text: str) -> dt.time | None:
    """A time of day, with or without seconds; the hour may have one digit."""
    if not re.fullmatch("[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", text):
        return None
    try:
        return dt.time(*map(int, text.split(":")))
    except ValueError:
        return None


def moment(text: str) -> dt.datetime | None:
    """A day and a time of day."""
    day, _, clock = text.partition(" ")
    found, hour = date(day), time(clock)
    return dt.datetime.combine(found, hour) if found is not None and hour is not None else None


def minutes(text: str) -> dt.time | None:
    """Minutes and seconds."""
    return time(f"00:{text}") if re.fullmatch("[0-9]{2}:[0-9]{2}", text) else None


def yes_no(text: str) -> bool | None:
    """One or nought."""
    return {"1": True, "0": False}.get(text)


Read = Callable[[str], object]
VALIDATED: dict[str, Read] = {
    "integer": integer,
    "int": integer,
    "number": number,
    "float": number,
    "number_comma_decimal": number_with_comma,
    "time": time,
    "time_hh_mm_ss": time,
    "time_mm_ss": minutes,
    **{f"date_{order}": date for order in ("ymd", "mdy", "dmy")},
    **{f"datetime_{kind}{order}": moment for kind in ("", "seconds_") for order in ("ymd", "mdy", "dmy")},
    **{f"number_{places}dp": number for places in (1, 2, 3, 4)},
    **{f"number_{places}dp_comma_decimal": number_with_comma for places in (1, 2, 3, 4)},
}
BY_TYPE: dict[str, Read] = {
    "calc": number,
    "slider": integer,
    "yesno": yes_no,
    "truefalse": yes_no,
    "checkbox": yes_no,
}


class Known(NamedTuple):
    """How a column's values are read."""

    read: Read | None
    """None if the text is the value."""
    labels: dict[str, str]
    """Of its choices."""
    missing: dict[str, str]
    """The missing data codes that it may hold, with their labels."""

    def typed(self, text: str) -> object:
        """What the table with types shows."""
        if self.read is None:
            return text
        return None if text in self.missing else self.read(text)

    def label(self, text: str) -> object:
        """What the view of labels shows."""
        labels = self.missing | self.labels
        return labels.get(text, text) if labels else self.typed(text)


def pairs(text: str) -> dict[str, str]:
    """The codes of a list of choices, and their labels."""
    split = [choice.partition(",") for choice in text.split("|") if choice.strip()]
    return {code.strip(): label.strip() or code.strip() for code, _, label in split}


class Design:
    """What REDCap's dictionary says of every column of every instrument."""

    def __init__(self, fields: list[dict], names: list[dict], missing: str) -> None:
        codes = pairs(missing)
        self.record_id: str = fields[0]["field_name"]
        self.instruments = tuple(dict.fromkeys(field["form_name"] for field in fields))
        self.columns: dict[tuple[str, str], Known] = {}
        for field in fields[1:]:
            known = _known(field, codes)
            exported = [row["export_field_name"] for row in names if row["original_field_name"] == field["field_name"]]
            for column in exported if field["field_type"] == "checkbox" else [field["field_name"]]:
                self.columns[field["form_name"], column] = known
        for instrument in self.instruments:
            self.columns[instrument, f"{instrument}_complete"] = Known(None, STATUS, {})
            self.columns[instrument, f"{instrument}_timestamp"] = Known(moment, {}, {})

    def typed(self, state: State) -> Values:
        """The state as the tables with types show it."""
        return self._read(state, Known.typed)

    def labelled(self, state: State) -> Values:
        """The state as the views of labels show it."""
        return self._read(state, Known.label)

    def dated(self, state: State) -> Values:
        """The state with times of surveys as times, also of instruments that are no surveys any more."""
        found: Values = {}
        for key, cells in state.items():
            name, found[key] = f"{key[2]}_timestamp", dict(cells)
            if key[2] in self.instruments and isinstance(text := cells.get(name), str):
                found[key] |= {name: moment(text)}
                found[key] = {column: value for column, value in found[key].items() if value is not None}
        return found

    def _read(self, state: State, read: Callable[[Known, str], object]) -> Values:
        found: Values = {}
        for key, cells in state.items():
            values = {name: self._value(key[2], name, value, read) for name, value in cells.items()}
            found[key] = {name: value for name, value in values.items() if value is not None}
        return found

    def _value(self, instrument: str, name: str, value: object, read: Callable[[Known, str], object]) -> object:
        known = self.columns.get((instrument, name))
        # Columns that the instrument has no longer, and those that say whose row it is.
        return value if known is None or not isinstance(value, str) else read(known, value)


def _known(field: dict, codes: dict[str, str]) -> Known:
    kind = field["field_type"]
    read = VALIDATED.get(field["text_validation_type_or_show_slider_number"]) if kind == "text" else BY_TYPE.get(kind)
    labels = LABELS.get(kind, {})
    if kind in ("radio", "dropdown"):
        labels = pairs(field["select_choices_or_calculations"])
    own = {"0", "1"} if kind == "checkbox" else set(labels)
    tagged = "@NOMISSING" in field["field_annotation"].upper()
    return Known(read, labels, {} if tagged else {code: label for code, label in codes.items() if code not in own})
