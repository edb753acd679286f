"""How REDCap makes names out of labels and codes, and how it orders record ids."""

from __future__ import annotations

import re
from collections.abc import Container

_NOT_IN_COLUMN = re.compile(r"[^a-z0-9_]")
_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")
_DIGITS = re.compile(r"(\d+)")

NaturalKey = tuple[tuple[int, int, str], ...]


def checkbox_column(field: str, code: str) -> str:
    """The export column of one checkbox option: race and -4 give race____4."""
    return f"{field}___{_NOT_IN_COLUMN.sub('_', code.lower())}"


def natural_key(record: str) -> NaturalKey:
    """A sort key that puts 2 before 10, and numbers before text."""
    if record.isdecimal():
        return ((0, int(record), ""),)
    parts = _DIGITS.split(record.lower())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


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


def _free(name: str, taken: Container[str]) -> str:
    # REDCap tells equal names apart by a letter: testing_long_name_arm_1b.
    if name not in taken:
        return name
    return next(name + letter for letter in "bcdefghijklmnopqrstuvwxyz" if name + letter not in taken)
