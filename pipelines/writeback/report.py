"""What a person asks of a write-back, and what a plan or a write-back reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.writeback.decide.cells import Counts, PlannedCell


@dataclass(frozen=True, slots=True)
class WritebackOptions:
    """What a person asked for, where it differs from projects.yaml."""

    batch: str | None = None
    """Only this batch; all open ones if None."""
    max_cells: int | None = None
    new_records: bool | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done about every open proposal; its repr has counts only."""

    project: str
    run_id: str
    counts: Counts
    records: int
    """Records that would be written to."""
    batches: tuple[str, ...]
    unsettled: int
    """Cells of an earlier run whose outcome is not known."""
    refusal: str = ""
    """Why the whole plan would be refused; blank if it would not be."""
    to_publish: bool = False
    """Whether readers may see the decisions now."""
    requests: int = 0
    seconds: float = 0.0
    decided: tuple[PlannedCell, ...] = field(repr=False, default=())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write-back did, in counts."""

    project: str
    run_id: str
    batches: tuple[str, ...]
    counts: Counts
    """The last decision about each proposal."""
    sent: int = 0
    confirmed: int = 0
    failed: int = 0
    not_confirmed: int = 0
    settled: int = 0
    """Cells of an earlier run whose outcome is known now."""
    messages: Mapping[str, int] = field(default_factory=dict)
    """Why cells failed or are not confirmed, without values, and how many."""
    rows_changed: int = 0
    to_publish: bool = False
    """Whether readers may see the result now: the load it builds on is published."""
    requests: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every proposal is in REDCap now."""
        return not (self.counts.conflict or self.counts.invalid or self.failed or self.not_confirmed)


class Done(Protocol):
    """What `publish_results` can publish: a plan, an outcome or a withdrawal."""

    @property
    def run_id(self) -> str:
        """The id of the run."""

    @property
    def to_publish(self) -> bool:
        """Whether readers may see its result now."""
