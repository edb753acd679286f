"""Names from projects.yaml, safe to print: masked where they could be a token, and cut where they are long."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from pipelines.wording import printable

# Longer than any name made of hexadecimal digits alone, shorter than a token that was copied incompletely.
LIKE_A_TOKEN = re.compile(r"[0-9A-Fa-f]{24,}")


TOKEN = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{64}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean …?` with the nearest known name; blank if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def list_names(names: Iterable[str]) -> str:
    """The names, safe to print, with commas between them."""
    return ", ".join(show_name(name) for name in names)


def show_name(text: str, *, longest: int = 300) -> str:
    """A name for a message: on one line, of at most `longest` characters, with what may be a token masked."""
    masked = LIKE_A_TOKEN.sub("****", printable(" ".join(text.split())))
    return masked if len(masked) <= longest else f"{masked[:longest]}…"
