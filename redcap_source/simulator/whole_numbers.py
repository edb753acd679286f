"""Whole numbers as requests and files write them."""

from __future__ import annotations

# REDCap has no longer numbers, and Python refuses to convert very long ones.
MOST_DIGITS = 18


def whole_number(text: str) -> int | None:
    """The number of a text of digits; None for any other text, and for more digits than MOST_DIGITS."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


def number_or(text: str, otherwise: int) -> int:
    """The number of a text of digits, or `otherwise` for any other text."""
    found = whole_number(text)
    return otherwise if found is None else found
