"""The fixed SQL of the warehouse: every statement has a name and a sentence.

A file holds sections headed `-- name --`; comments inside a section belong to it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def statements(file: str) -> dict[str, str]:
    """The named statements of one .sql file of this folder."""
    text = resources.files(__package__).joinpath(f"{file}.sql").read_text(encoding="utf-8")
    parts = _HEADING.split(text)
    return dict(zip(parts[1::2], (body.strip() for body in parts[2::2]), strict=True))
