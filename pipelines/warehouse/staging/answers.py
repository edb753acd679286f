"""An answer of REDCap on disk: its columns, and whether it has rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.errors import VerificationFailed

Format = Literal["csv", "json"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A flat export in the staging folder, and the columns that were requested."""

    path: Path
    format: Format
    columns: tuple[str, ...]
    """The columns the run expects, in REDCap's order."""


def csv_header(path: Path) -> tuple[str, ...]:
    """The column names of a CSV answer."""
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        return tuple(next(csv.reader(lines), ()))


def json_keys(path: Path) -> tuple[str, ...]:
    """The keys of the first object of a JSON answer."""
    text = path.read_text(encoding="utf-8", errors="replace").lstrip()
    if not text.startswith("["):
        raise VerificationFailed(reason="it is not a JSON list")
    try:
        first, _ = json.JSONDecoder().raw_decode(text[1:].lstrip())
    except ValueError:
        raise VerificationFailed(reason="its JSON is cut or broken") from None
    return tuple(first) if isinstance(first, dict) else ()


def is_blank(path: Path) -> bool:
    """Whether the answer says "no rows": nothing, a newline, or an empty list."""
    return path.stat().st_size < 8 and path.read_bytes().strip() in (b"", b"[]")


def list_some(names: Sequence[str]) -> str:
    """The first names, and how many others there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} others"
