"""The fixed SQL of the warehouse: every statement has a name and a sentence.

A file holds sections headed `-- name --`; comments inside a section belong to it.
"""

from __future__ import annotations

from functools import cache

from pipelines.named_statements import read_statements


@cache
def statements(file: str) -> dict[str, str]:
    """The named statements of one .sql file of this folder."""
    return read_statements(__package__ or __name__, file)
