"""The nouns of write-back: a cell, a proposed value for it, and what became of it.

Storing them is journal.py's business; deciding about them is pipelines.writeback's. A blank is '' here and NULL in the
tables, as in schema redcap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Cell:
    """One place for a value in REDCap; `field` is a column of its export, `race___1` for a checkbox's option."""

    record: str = field(repr=False)
    event: str
    instrument: str
    instance: str
    """A number, blank where nothing repeats, or `new` (`new-2`, …) for one that is yet to be made."""
    field: str


class FormRow(NamedTuple):
    """An instrument's row of one record: by record, event, instrument and instance; blank where there is none."""

    record: str
    event: str
    instrument: str
    instance: str

    def __repr__(self) -> str:
        """Without the record, which is a participant's."""
        return f"FormRow(event={self.event!r}, instrument={self.instrument!r}, instance={self.instance!r})"


class Decision(StrEnum):
    """What to do about a proposed cell."""

    WRITE = "write"
    ALREADY_THERE = "already there"
    CONFLICT = "conflict"
    INVALID = "invalid"


class Status(StrEnum):
    """What became of a proposal or of a cell that was sent."""

    OPEN = "open"
    INTENDED = "intended"
    CONFIRMED = "confirmed"
    ALREADY_THERE = "already there"
    FAILED = "failed"
    NOT_CONFIRMED = "not confirmed"
    SUPERSEDED = "superseded"
    """In conflict or invalid, and somebody proposed anew for the cell."""
    INVALID = "invalid"
    """Found invalid when its batch was applied: that ends it."""
    WITHDRAWN = "withdrawn"
    """Taken back before it was sent."""
    FOLLOWED = "followed"
    """Not sent: REDCap changed it by itself, because of what was."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A value somebody wants a cell to have, and what they saw in it."""

    number: int
    batch: str
    cell: Cell
    seen: str = field(repr=False)
    new: str = field(repr=False)
    """Blank to erase the cell, which was asked for explicitly."""
    reason: str = field(repr=False, default="")
    author: str = ""
    ruled_out: str = ""
    """Why it was invalid when it was last decided about; blank where it was not, or has not been decided about."""
    restores: bool = False
    """Whether it undoes a batch: then the value has been in REDCap before."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision about a proposal, as it is kept with it."""

    number: int
    decision: Decision
    reason: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell of one request in the journal."""

    proposal: int
    batch: str
    run_id: str
    request: int
    cell: Cell
    seen: str = field(repr=False)
    before: str = field(repr=False)
    new: str = field(repr=False)
    reason: str = field(repr=False, default="")
    author: str = ""
    after: str = field(repr=False, default="")
    status: Status = Status.INTENDED
    message: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that did not become proposals; never what stood in it."""

    row: int
    """Counted from 1, without the header."""
    why: str


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch as its row in writeback.batches tells it."""

    batch: str
    author: str
    source: str
    reverts: str
    created_at: datetime | None
    proposals: int
