"""What a load has read of a project before it judges it and writes anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.extract.change_detection import DetectedChanges, unlogged_deletions
from pipelines.extract.chunks import AtHand
from pipelines.extract.structure import Basics
from pipelines.sync.load_clock import LoadClock
from pipelines.warehouse.mirror.known_structure import KnownStructure
from pipelines.warehouse.mirror.schema.renames import Renames
from pipelines.warehouse.mirror.state import PreviousLoad
from pipelines.warehouse.staging.census import Census
from pipelines.warehouse.tables.layout import Layout
from pipelines.warehouse.tables.structure import Structure


@dataclass(frozen=True, slots=True)
class Preflight:
    """The project's structure, when it was read, and what the previous load left."""

    previous: PreviousLoad
    clock: LoadClock
    whole: Structure
    """The whole structure, as REDCap has it, or as it is assumed to be."""
    structure: Structure
    """The part of it that projects.yaml selects."""
    everything: bool
    """Whether the load reads every record, whatever REDCap says changed."""
    key: str
    """Under which the structure is stored for the next load."""
    assumed: Assumed | None = None
    """What is assumed of the structure, where it was not read as a whole."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """A structure that is assumed to be that of the last load, and what was read of it now."""

    known: KnownStructure
    basics: Basics = field(repr=False)


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to load of the project, and what changed since the previous load."""

    structure: Structure
    layout: Layout
    renames: Renames
    """Events and instruments that were renamed."""
    detected: DetectedChanges | None = field(repr=False)
    """What REDCap says changed; None if its time is unknown, because changes are requested by time."""
    known: tuple[str, ...] = field(repr=False)
    """Records that the mirror has."""
    census: Census
    """Records that REDCap has."""
    missing: tuple[str, ...] = field(repr=False)
    """Records that the mirror has and REDCap does not."""
    at_hand: AtHand | None = None
    """A record that was requested already."""

    @property
    def changed(self) -> frozenset[str] | None:
        """Records that may hold other data than before; None if every record has to be read."""
        return None if self.detected is None else self.detected.changed

    @property
    def unlogged_deletions(self) -> tuple[str, ...] | None:
        """Missing records that REDCap's log does not show as deleted; None if the log cannot be read."""
        return unlogged_deletions(self.missing, self.detected)
