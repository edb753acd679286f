"""What a person asks of a write-back, and what they are told afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.warehouse.tables.writeback import Proposal
from pipelines.writeback.decide.decide import Counts, Decided

MODE = "writeback"
"""What the ledger calls these runs."""

Step = Callable[[str], None]
"""Called before each thing that is done, for tests that let a run die there."""


def no_step(name: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class WritebackOptions:
    """What the person asked for, where it differs from projects.yaml."""

    batch: str | None = None
    """Only this batch; all that are open where None."""
    max_cells: int | None = None
    new_records: bool | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done about every open proposal; its repr has counts only."""

    project: str
    run_id: str
    counts: Counts
    records: int
    """Records that would be written."""
    batches: tuple[str, ...]
    unsettled: int
    """Cells of an earlier run of which nobody knows whether they arrived."""
    refusal: str = ""
    """Why applying it would be refused as a whole; blank where it would not."""
    to_publish: bool = False
    """Whether the decisions may be shown to readers now."""
    requests: int = 0
    seconds: float = 0.0
    decided: tuple[Decided, ...] = field(repr=False, default=())


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
    """Cells of an earlier run of which it is known now what became of them."""
    messages: Mapping[str, int] = field(default_factory=dict)
    """Why cells failed or are not confirmed, without values, and how many."""
    rows_changed: int = 0
    to_publish: bool = False
    """Whether it may be shown to readers now: the load it builds on is published."""
    requests: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every proposal is in REDCap now."""
        return not (self.counts.conflict or self.counts.invalid or self.failed or self.not_confirmed)


class Done(Protocol):
    """What can be shown to readers: a plan, an outcome, a withdrawal."""

    @property
    def run_id(self) -> str:
        """The run that did it."""

    @property
    def to_publish(self) -> bool:
        """Whether readers may see it now."""


def count_records(decided: Sequence[Decided]) -> int:
    return len({item.place.record for item in decided if item.writes})


def batch_names(proposals: Sequence[Proposal]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(proposal.batch for proposal in proposals))


def reverse_name(batch: str) -> str:
    """The name of the batch that undoes another."""
    return f"revert {batch}"
