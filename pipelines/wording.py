"""Words for people: counts with their nouns, and text that does nothing to a terminal but show."""

from __future__ import annotations

import unicodedata

# Line breaks and tabs lay a text out; everything else of Unicode's class C steers the terminal or cannot be seen.
_LAYOUT = "\n\t"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: 1 record, 1,200 records; `plural` where an s does not make it."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """The text with control and invisible characters written out, as in \\x1b, so that it cannot steer a terminal."""
    if text.isprintable():
        return text
    return "".join(_escaped(c) if _unseen(c) else c for c in text)


def unseen(text: str) -> str:
    """The first control or invisible character, written out; nothing if there is none."""
    return next((_escaped(c) for c in text if _unseen(c)), "")


def _unseen(character: str) -> bool:
    return character not in _LAYOUT and unicodedata.category(character).startswith("C")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
