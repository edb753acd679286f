"""What is offered, before it is known what it means: columns, rows, and what holds for rows that do not say it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from pipelines.warehouse.comparison.cells import Chunk
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.decide.values import NOT_GIVEN, is_missing, spelled
from redcap_source.dictionary import ValueKind

# So many cells are converted at a time, however wide the rows are.
CELLS_AT_ONCE = 100_000


class Blanks(StrEnum):
    """What a blank in an edited table means where REDCap has a value."""

    LEAVE = "leave"
    """Nothing: the cell stays as it is."""
    CLEAR = "clear"
    """The value is to be erased."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows as they came from a file, a query or a frame."""

    columns: tuple[str, ...] = field(repr=False)
    """Out of the repr: a file without a header has a participant's values here."""
    rows: Iterable[Sequence[Any]] = field(repr=False)
    """Gone through once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How an offer is to be read and what it is called."""

    batch: str | None = None
    """A name of its own where None."""
    author: str = ""
    reason: str = field(repr=False, default="")
    instrument: str | None = None
    """Of an edited table; found by its columns where None."""
    blanks: Blanks = Blanks.LEAVE
    as_of: datetime | None = None
    """When the cleaner looked (UTC); the night that is published now where None."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A column of an edited table that is never written."""

    column: str
    """Its name, or where it stands: a name that the project does not know may be a participant's value."""
    why: str
    edited: int = 0
    """Cells in it that are not as they were published."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of the columns and cells that were no proposals."""

    rows: int
    left: int
    """Cells that propose nothing: without a new value, or blank in an edited table."""
    ignored: tuple[Ignored, ...] = ()


class RowRefusedError(Exception):
    """A row cannot be read; the text says why, without its values."""


def table_of(columns: Iterable[object], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of plain Python values."""
    return Table(tuple(str(column) for column in columns), rows)


Convert = Callable[[Sequence[Any]], Sequence[str | None]]


def chunks_of(table: Table, names: Sequence[str], convert: Convert, *, seen_at: int | None = None) -> Iterator[Chunk]:
    """The rows as text under our names for the columns; rows that `convert` refuses keep nothing but their number.

    `seen_at` is the column that tells what was seen; rows of Python may leave it out.
    """
    rows, first = iter(table.rows), 1
    while chunk := list(islice(rows, max(1, CELLS_AT_ONCE // max(1, len(names))))):
        texts: list[Sequence[str | None]] = []
        problems: dict[int, str] = {}
        for place, row in enumerate(chunk):
            try:
                texts.append(convert(row))
            except RowRefusedError as problem:
                problems[place] = str(problem)
                texts.append([None] * len(names))
        columns = dict(zip(names, zip(*texts, strict=True), strict=True))
        given = [seen_at is not None and row[seen_at] is not NOT_GIVEN for row in chunk]
        yield Chunk(first, columns, problems, given)
        first += len(chunk)


def cell_text(value: Any, rule: Rule | None) -> str | None:
    """A cell in REDCap's spelling; None where it holds nothing."""
    if is_missing(value):
        return None
    try:
        text = spelled(rule.field if rule else None, rule.kind if rule else ValueKind.TEXT, value)
        if not text.isascii():
            text.encode()
    except TypeError:
        what = type(value).__name__
    except UnicodeEncodeError:
        raise RowRefusedError("a value holds a character that no text may hold") from None
    else:
        return text
    # Raised out here, so that the value does not travel with it.
    raise RowRefusedError(f"a value has no spelling in REDCap: it is a {what}")
