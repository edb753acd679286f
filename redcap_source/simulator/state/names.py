"""How REDCap derives names from labels and codes, and how it sorts record ids."""

from __future__ import annotations

import re
from collections.abc import Container
from itertools import chain, count

from redcap_source.simulator.whole_numbers import whole_number

_NOT_IN_COLUMN = re.compile(r"[^a-z0-9_]")
_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")
_FORM_NAME = re.compile(r"[a-z0-9_]+")
_DIGITS = re.compile(r"(\d+)")

NaturalKey = tuple[tuple[int, int, str], ...]


def checkbox_column(field: str, code: str) -> str:
    """The export column of one checkbox option: race and -4 give race____4."""
    return f"{field}___{_NOT_IN_COLUMN.sub('_', code.lower())}"


def natural_key(record: str) -> NaturalKey:
    """A sort key that puts 2 before 10, and numbers before text."""
    number = whole_number(record)
    if number is not None:
        return ((0, number, ""),)
    parts = _DIGITS.split(record.lower())
    numbers = ((part, whole_number(part)) for part in parts if part)
    return tuple((1, 0, part) if number is None else (0, number, "") for part, number in numbers)


def unique_event_name(label: str, arm: int, taken: Container[str]) -> str:
    """The unique name REDCap gives an event: Visit 1 in arm 2 gives visit_1_arm_2."""
    stem = _NOT_IN_NAME.sub("_", label.lower().replace("-", "")).strip("_")[:18].strip("_") or "event"
    return _free(f"{stem}_arm_{arm}", taken)


def unique_group_name(label: str, taken: Container[str]) -> str:
    """The unique name REDCap gives a data access group: Site A gives site_a, and dag-a gives daga."""
    stem = _NOT_IN_NAME.sub("_", label.lower().replace("-", "")).strip("_")[:18].strip("_") or "group"
    return _free(stem, taken)


def form_name(label: str) -> str:
    """The unique name of an instrument: Adverse events! gives adverse_events."""
    return _NOT_IN_NAME.sub("_", label.lower()).strip("_")


def is_form_name(text: str) -> bool:
    """Whether a text is a valid unique name of an instrument."""
    return _FORM_NAME.fullmatch(text) is not None


def _free(name: str, taken: Container[str]) -> str:
    # REDCap appends a letter to a name that is taken: testing_long_name_arm_1b.
    if name not in taken:
        return name
    # After z, which no server is likely to have reached, come numbers.
    endings = chain("bcdefghijklmnopqrstuvwxyz", map(str, count(2)))
    return next(name + ending for ending in endings if name + ending not in taken)
