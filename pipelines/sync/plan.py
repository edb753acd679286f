"""What a load has to fetch, as a value that can be kept on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pipelines.extract.chunks import ChunkSize
from pipelines.extract.planner import Errand
from pipelines.warehouse.tables.layout import Layout
from redcap_source import Calls


@dataclass(frozen=True, slots=True)
class WorkPlan:
    """Which records a load fetches, and everything its later steps need to know."""

    run_id: str
    began: datetime
    mode: str
    baseline: bool
    """Whether no load of the project ever came to its end before."""
    layout: Layout
    errands: tuple[Errand, ...]
    vanished: tuple[str, ...] = field(repr=False)
    """Records the mirror has and REDCap has not."""
    in_redcap: int
    upto: datetime | None
    """REDCap's clock (UTC) before anything was read: the next watermark."""
    remarks: tuple[str, ...]
    """What the ledger is to say of this load, however well it ends."""
    chunk_records: int | None
    calls: Calls
    """What it took to find all this out."""

    @property
    def size(self) -> int:
        """How many records are to be fetched, each once."""
        return sum(len(errand.records) for errand in self.errands)

    @property
    def requests(self) -> int:
        """About how many requests that takes, as far as is known from other nights."""
        size = self.chunk_records or ChunkSize().records
        return sum(-(-len(errand.records) // size) * max(1, len(errand.fetch.narrow)) for errand in self.errands)

    def batch(self, number: int, batches: int) -> tuple[tuple[int, slice], ...]:
        """One of so many batches, numbered from 0: parts of errands."""
        size = -(-self.size // batches)
        begin, end = number * size, (number + 1) * size
        found = []
        for at, errand in enumerate(self.errands):
            part = slice(max(0, begin), max(0, min(end, len(errand.records))))
            if part.start < part.stop:
                found.append((at, part))
            begin, end = begin - len(errand.records), end - len(errand.records)
        return tuple(found)
