"""Whole numbers as requests and files write them."""

from __future__ import annotations

# No number of REDCap's is longer, and Python refuses to read very long ones.
MOST_DIGITS = 18


def whole_number(text: str) -> int | None:
    """The number that digits alone write; None for any other text, and for numbers too long to mean anything."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


def number_or(text: str, otherwise: int) -> int:
    """The number that digits alone write, or another one where there is none."""
    found = whole_number(text)
    return otherwise if found is None else found
