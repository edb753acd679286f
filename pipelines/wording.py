"""Text for people: counts with their nouns, and text that is safe to print in a terminal."""

from __future__ import annotations

import unicodedata

# Line breaks and tabs are layout; everything else in Unicode's class C controls the terminal or is invisible.
_LAYOUT = "\n\t"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: 1 record, 1,200 records; `plural` where an s is not enough."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """The text with control and invisible characters escaped, as in \\x1b, so that it cannot control a terminal."""
    if text.isprintable():
        return text
    return "".join(_escaped(c) if _unseen(c) else c for c in text)


def unseen(text: str) -> str:
    """The first control or invisible character, escaped; an empty string if there is none."""
    return next((_escaped(c) for c in text if _unseen(c)), "")


def _unseen(character: str) -> bool:
    return character not in _LAYOUT and unicodedata.category(character).startswith("C")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
