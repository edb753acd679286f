"""SQL in files: sections headed `-- name --`, each a statement with a sentence. Used by every package that has SQL."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def read_statements(package: str, file: str) -> dict[str, str]:
    """The statements of `file`.sql in a package's folder, by name; comments inside a section belong to it."""
    text = resources.files(package).joinpath(f"{file}.sql").read_text(encoding="utf-8")
    parts = _HEADING.split(text)
    return dict(zip(parts[1::2], (body.strip() for body in parts[2::2]), strict=True))
