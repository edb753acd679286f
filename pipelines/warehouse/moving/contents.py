"""What a mirror holds, as far as is needed to tell whether one of two contains the other. Reads, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.warehouse.database.connection import open_reader
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.publishing.source import MirrorSource, read_source
from pipelines.warehouse.sql import statements


@dataclass(frozen=True, slots=True)
class Contents:
    """What one mirror of a project holds."""

    source: MirrorSource
    runs: frozenset[str] = frozenset()
    """Every run in its ledger, loads and write-backs."""
    proposals: frozenset[int] = frozenset()
    """The number of every proposal that was made."""

    def is_in(self, other: Contents) -> bool:
        """Whether the other mirror is this one, or what this one became: nothing of this is missing there."""
        if self.source.identity in other.source.replaced:
            return True
        same = self.source.identity == other.source.identity
        return same and self.runs <= other.runs and self.proposals <= other.proposals


def read_contents(path: Path, project: str) -> Contents:
    """What the mirror at this path holds; raises WarehouseError if it cannot be read."""
    with open_reader(path) as connection:
        source = read_source(connection, project)
        proposals: frozenset[int] = frozenset()
        if count(connection, statements("source")["has_writeback"]):
            found = connection.execute(statements("moving")["proposals"]).fetchall()
            proposals = frozenset(number for (number,) in found)
    return Contents(source, frozenset(run.run_id for run in source.runs), proposals)
