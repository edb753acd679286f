"""The nouns of write-back: a cell, a value proposed for it, the decision about it, and its outcome. Pure.

A blank is '' here and NULL in the tables, as in schema redcap. Not here: storing them (mirror/proposals.py and
mirror/journal.py), deciding about them (pipelines.writeback.decide).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

CHANGED_AFTER_WRITE = "somebody changed it directly after it was written"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell in REDCap; `field` is a column of its export, such as `race___1` for a checkbox's option."""

    record: str = field(repr=False)
    event: str
    instrument: str
    instance: str
    """A number, blank if nothing repeats, or `new` (`new-2`, …) for an instance that does not exist yet."""
    field: str


class FormRow(NamedTuple):
    """An instrument's row of one record: record, event, instrument and instance; blank if there is none."""

    record: str
    event: str
    instrument: str
    instance: str

    def __repr__(self) -> str:
        """Without the record id, which identifies a participant."""
        return f"FormRow(event={self.event!r}, instrument={self.instrument!r}, instance={self.instance!r})"


class Decision(StrEnum):
    """What to do about a proposed cell."""

    WRITE = "write"
    ALREADY_THERE = "already there"
    CONFLICT = "conflict"
    INVALID = "invalid"


class Status(StrEnum):
    """The state of a proposal, or of a cell that was sent."""

    OPEN = "open"
    INTENDED = "intended"
    CONFIRMED = "confirmed"
    ALREADY_THERE = "already there"
    FAILED = "failed"
    NOT_CONFIRMED = "not confirmed"
    SUPERSEDED = "superseded"
    """In conflict or invalid, and replaced by a newer proposal for the cell."""
    INVALID = "invalid"
    """Invalid when its batch was applied, which ends it."""
    WITHDRAWN = "withdrawn"
    """Withdrawn before it was sent."""
    FOLLOWED = "followed"
    """Not sent: REDCap changed the cell itself, because of what was written."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A value that somebody wants a cell to have, and the value they saw in it."""

    number: int
    batch: str
    cell: Cell
    seen: str = field(repr=False)
    new: str = field(repr=False)
    """Blank to erase the cell, which has to be requested explicitly."""
    reason: str = field(repr=False, default="")
    author: str = ""
    ruled_out: str = ""
    """Why the last decision found it invalid; blank if it did not, or if there has been no decision."""
    restores: bool = False
    """Whether it undoes a batch: then REDCap has held the value before."""


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """The decision about a proposal, as it is stored with the proposal."""

    number: int
    decision: Decision
    reason: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class JournalEntry:
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


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What happened to one cell that was recorded as intended."""

    number: int
    """The proposal's number."""
    status: Status
    after: str = field(repr=False, default="")
    """The value REDCap held when the cell was read back."""
    message: str = ""
    closes: bool = True
    """Whether it closes the proposal; one whose value never reached REDCap stays open and may be sent again."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A submitted row that did not become proposals; it never holds the row's values."""

    row: int
    """Counted from 1, without the header."""
    why: str


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch, as in its row of writeback.batches."""

    batch: str
    author: str
    source: str
    reverts: str
    created_at: datetime | None
    proposals: int
