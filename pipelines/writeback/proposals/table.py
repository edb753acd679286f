"""A submission before its format is known: columns and rows, and how a person wants them to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from pipelines.warehouse.comparison.submission import RowChunk
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.decide.values import NOT_GIVEN, is_missing, spelled
from redcap_source.dictionary import ValueKind

# This many cells are converted at a time, however wide the rows are.
CELLS_AT_ONCE = 100_000


class Blanks(StrEnum):
    """What a blank in an edited table means where REDCap has a value."""

    LEAVE = "leave"
    """Nothing: the cell is not changed."""
    CLEAR = "clear"
    """The value is to be erased."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows from a file, a query or a frame."""

    columns: tuple[str, ...] = field(repr=False)
    """Not in the repr: in a file without a header these are a participant's values."""
    rows: Iterable[Sequence[Any]] = field(repr=False)
    """Read once."""


@dataclass(frozen=True, slots=True)
class ProposalOptions:
    """How a submission is to be read, and the batch it goes into."""

    batch: str | None = None
    """The run's id if None."""
    author: str = ""
    reason: str = field(repr=False, default="")
    instrument: str | None = None
    """Of an edited table; found by its columns if None."""
    blanks: Blanks = Blanks.LEAVE
    as_of: datetime | None = None
    """When the cleaner read the warehouse (UTC); as it is published now if None."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A column of an edited table that is never written."""

    column: str
    """Its name, or its position if the project does not have that name: it may be a participant's value."""
    why: str
    edited: int = 0
    """Cells in it that differ from what was published."""


@dataclass(frozen=True, slots=True)
class ParsedProposals:
    """What a submission held besides its proposals, which are in the comparison."""

    rows: int
    left: int
    """Cells that propose nothing: without a new value, or blank in an edited table."""
    ignored: tuple[Ignored, ...] = ()


class RowRefusedError(Exception):
    """A row cannot be read; the text says why, without its values."""


def table_of(columns: Iterable[object], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table of plain Python values."""
    return Table(tuple(str(column) for column in columns), rows)


Convert = Callable[[Sequence[Any]], Sequence[str | None]]


def chunks_of(
    table: Table, names: Sequence[str], convert: Convert, *, seen_at: int | None = None
) -> Iterator[RowChunk]:
    """Yield the rows as text, with our names for the columns; of a row that `convert` refuses only its number is kept.

    `seen_at` is the position of the column with the value that was seen; Python rows may leave it out.
    """
    rows, first = iter(table.rows), 1
    while chunk := list(islice(rows, max(1, CELLS_AT_ONCE // max(1, len(names))))):
        texts: list[Sequence[str | None]] = []
        problems: dict[int, str] = {}
        for position, row in enumerate(chunk):
            try:
                texts.append(convert(row))
            except RowRefusedError as problem:
                problems[position] = str(problem)
                texts.append([None] * len(names))
        columns = dict(zip(names, zip(*texts, strict=True), strict=True))
        given = [seen_at is not None and row[seen_at] is not NOT_GIVEN for row in chunk]
        yield RowChunk(first, columns, problems, given)
        first += len(chunk)


def cell_text(value: Any, rule: Rule | None) -> str | None:
    """Return a cell in REDCap's spelling; None if it holds nothing. Raises RowRefusedError if it has no spelling."""
    if is_missing(value):
        return None
    try:
        text = spelled(rule.field if rule else None, rule.kind if rule else ValueKind.TEXT, value)
        if not text.isascii():
            text.encode()
    except TypeError:
        kind = type(value).__name__
    except UnicodeEncodeError:
        raise RowRefusedError("a value holds a character that no text may hold") from None
    else:
        return text
    # Raised out here, so that the error's context does not hold the value.
    raise RowRefusedError(f"a value has no spelling in REDCap: it is a {kind}")
