"""What a load has to fetch, as a value that can be kept on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pipelines.extract.chunks import ChunkSize
from pipelines.extract.planner import FetchTask
from pipelines.warehouse.tables.layout import Layout
from redcap_source import Calls


@dataclass(frozen=True, slots=True)
class WorkPlan:
    """Which records a load fetches, and everything its later steps need to know."""

    run_id: str
    began: datetime
    mode: str
    baseline: bool
    """Whether no load of the project has finished before."""
    layout: Layout
    tasks: tuple[FetchTask, ...]
    vanished: tuple[str, ...] = field(repr=False)
    """Records that the mirror has and REDCap does not."""
    in_redcap: int
    upto: datetime | None
    """REDCap's clock (UTC) before anything was read: the next watermark."""
    remarks: tuple[str, ...]
    """What the ledger should say about this load, even if it succeeds."""
    chunk_records: int | None
    calls: Calls
    """The requests that it took to find this out."""

    @property
    def size(self) -> int:
        """How many records are to be fetched, each once."""
        return sum(len(task.records) for task in self.tasks)

    @property
    def searched(self) -> bool:
        """Whether nothing has to be searched for before some of the records are fetched by themselves."""
        return all(task.searched or not any(task.scope_masks) for task in self.tasks)

    @property
    def requests(self) -> int:
        """About how many requests that takes, as far as is known from earlier loads."""
        size = self.chunk_records or ChunkSize().records
        return sum(-(-len(task.records) // size) * max(1, len(task.fetch.narrow)) for task in self.tasks)

    def batch(self, number: int, batches: int) -> tuple[tuple[int, slice], ...]:
        """One of this many batches, numbered from 0: parts of tasks."""
        size = -(-self.size // batches)
        begin, end = number * size, (number + 1) * size
        found = []
        for at, task in enumerate(self.tasks):
            part = slice(max(0, begin), max(0, min(end, len(task.records))))
            if part.start < part.stop:
                found.append((at, part))
            begin, end = begin - len(task.records), end - len(task.records)
        return tuple(found)
