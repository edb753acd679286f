"""The SQL of the coordination, in PostgreSQL's dialect: every statement has a name and a sentence."""

from __future__ import annotations

from pipelines.named_statements import read_statements


def statements(file: str) -> dict[str, str]:
    """The named statements of one .sql file of this folder."""
    return read_statements(__package__ or __name__, file)
