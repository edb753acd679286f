"""The nouns of a comparison: rows of a submission, and how they differ from what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

# What str.strip() removes; DuckDB's trim removes spaces only.
BLANKS = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # noqa: E501
# Our names for the columns of a submission with one cell per row; those it lacks are blank.
CELL_COLUMNS = (
    "project", "batch", "record", "event", "instrument", "instance", "field", "seen", "new", "clear", "reason",
    "author",
)  # fmt: skip
# Our names for the key columns of a submission with a column for each field.
KEY_COLUMNS = ("record", "event", "instrument", "instance")


@dataclass(frozen=True, slots=True)
class RowChunk:
    """Some rows of a submission as text, column by column."""

    first: int
    """The number of the first row, counted from 1 in the whole submission."""
    columns: Mapping[str, Sequence[str | None]] = field(repr=False)
    problems: Mapping[int, str]
    """Rows that have no spelling in REDCap, by their position in the chunk."""
    seen_given: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class Defaults:
    """What applies to rows that do not say otherwise."""

    project: str
    batch: str
    reason: str = field(repr=False, default="")
    author: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that differs from what is published."""

    row: int
    record: str = field(repr=False)
    event: str
    instrument: str
    instance: str
    column: str
    seen: str = field(repr=False)
    new: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row in which some cell differs in any letter from what is published, with all its cells of some columns."""

    row: int
    record: str = field(repr=False)
    event: str
    instance: str
    there: bool
    """Whether such a row is published."""
    submitted: Sequence[str] = field(repr=False)
    published: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class EarlierValue:
    """What a proposed cell held until a load found it changed (UTC)."""

    row: int
    column: str
    new: str = field(repr=False)
    old: str = field(repr=False)
    detected_at: datetime
