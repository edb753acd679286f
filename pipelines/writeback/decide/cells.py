"""A planned cell, its row in REDCap's flat export, and REDCap's current values. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pipelines.warehouse.tables.writeback import Cell, Decision, DecisionRow, Proposal
from pipelines.writeback.decide.reasons import Reason


class RowKey(NamedTuple):
    """The keys of one row of a flat export; a tuple, because every cell is looked up by it several times."""

    record: str
    event: str
    repeat_instrument: str
    instance: str

    def __repr__(self) -> str:
        return f"RowKey(event={self.event!r}, instance={self.instance!r})"


@dataclass(frozen=True, slots=True)
class CurrentValues:
    """What REDCap holds for the cells in question, just read."""

    rows: Mapping[RowKey, Mapping[str, str]] = field(repr=False)
    records: frozenset[str] = field(repr=False)
    """The requested records that exist."""
    alike: Mapping[str, str] = field(repr=False, default_factory=dict)
    """For requested records that do not exist, the existing one that REDCap may take each for."""
    refused: frozenset[str] = field(repr=False, default=frozenset())
    """Records that REDCap does not let this token read."""
    hidden: frozenset[str] = frozenset()
    """Requested columns that the answer lacks: the token may not see them."""
    taken: Mapping[str, frozenset[str]] = field(repr=False, default_factory=dict)
    """The records that hold each value of the secondary unique field; filled only if such a value is proposed."""

    def value(self, key: RowKey, column: str) -> str:
        """Return a cell's value, from whichever record REDCap may have stored it in; blank if there is no row."""
        if key.record in self.alike:
            key = key._replace(record=self.alike[key.record])
        row = self.rows.get(key)
        return "" if row is None else row.get(column, "")


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A proposal, the row it would be written to, and the decision about it."""

    proposal: Proposal
    key: RowKey
    column: str
    decision: Decision
    reason: Reason | None = None
    warning: Reason | None = None
    current: str = field(repr=False, default="")
    """What REDCap held when the decision was made."""

    @property
    def writes(self) -> bool:
        """Whether the cell is to be sent."""
        return self.decision is Decision.WRITE

    @property
    def cell(self) -> Cell:
        """The proposal's cell, with the number of a new instance and the id a new record is created with."""
        cell, key = self.proposal.cell, self.key
        if (cell.record, cell.instance) == (key.record, key.instance):
            return cell
        return replace(cell, record=key.record, instance=key.instance)

    @property
    def decision_row(self) -> DecisionRow:
        """The decision as it is stored."""
        return DecisionRow(self.proposal.number, self.decision, self.reason or "", self.warning or "")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many cells there are of each decision, and of each reason."""

    write: int
    already_there: int
    conflict: int
    invalid: int
    reasons: Mapping[str, int]
    warnings: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return self.write + self.already_there + self.conflict + self.invalid


def counts(planned: Sequence[PlannedCell]) -> Counts:
    """Count decisions and reasons; the result is safe to log."""
    by = Counter(item.decision for item in planned)
    return Counts(
        write=by[Decision.WRITE],
        already_there=by[Decision.ALREADY_THERE],
        conflict=by[Decision.CONFLICT],
        invalid=by[Decision.INVALID],
        reasons=dict(Counter(str(item.reason) for item in planned if item.reason).most_common()),
        warnings=dict(Counter(str(item.warning) for item in planned if item.warning).most_common()),
    )


def count_records(planned: Sequence[PlannedCell]) -> int:
    """Count the records that would be written to."""
    return len({item.key.record for item in planned if item.writes})
