"""What a store returns: what a publish did, whether readers find it, the status of a project, and its traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# The status of a project whose mirror is no complete database, or is missing although the project is published.
DAMAGED, MISSING = "damaged", "missing"


@dataclass(frozen=True, slots=True)
class Published:
    """What one publish did."""

    projects: tuple[str, ...] = ()
    """Projects of which readers find everything that was loaded."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Projects that could not be published, with the reason."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Projects that the published warehouse should have and, since it was made anew, lacks, with the reason."""
    rebuilt: str | None = None
    """Why all of it was made again; None if it was not."""
    written: bool = False
    """Whether anything was written; where nothing changed, what readers find stays as it is."""


class PublishedState(StrEnum):
    """What became of the published warehouse."""

    AS_PUBLISHED = "as published"
    CHANGED = "changed"
    MISSING = "missing"
    UNKNOWN = "unknown"
    NEVER = "never published"


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether readers find what was published last."""

    state: PublishedState
    reason: str | None = None
    """What is wrong with it; None if readers find what was published last."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Projects that were published before and that it lacks, with the last run that was."""
    remarks: tuple[str, ...] = ()
    """What a person should know and do about it; these name it."""

    @property
    def is_right(self) -> bool:
        """Whether readers find everything that was published."""
        return self.reason is None and not self.left_out


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """The status of one project: its last load, its last good one, and what the warehouse holds of it."""

    project: str
    last_run: str | None = None
    last_outcome: str | None = None
    last_started: datetime | None = None
    message: str | None = None
    last_good: datetime | None = None
    watermark: datetime | None = None
    records: int | None = None
    rows: int | None = None
    changes: int | None = None
    invalid_values: int | None = None
    quarantined: int | None = None
    drift: int | None = None
    hidden_fields: int | None = None
    not_readable: tuple[str, ...] = ()
    loading: bool = False
    waiting: bool = False
    """Whether its last load waits to be published."""
    configured: bool = True
    """Whether projects.yaml still has the project."""

    @property
    def lost(self) -> bool:
        """Whether its next load will be refused, because there is no mirror to continue."""
        return self.last_outcome in (DAMAGED, MISSING)


@dataclass(frozen=True, slots=True)
class Traces:
    """What the warehouse has of a project, in names and counts."""

    project: str
    schemas: tuple[str, ...] = ()
    """Schemas of the published database that are the project's alone."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows of the project in tables that all projects share."""
    files: tuple[str, ...] = ()
    """Files and folders, as paths in the warehouse folder or in the shared place."""
    recorded: bool = False
    """Whether the record of what was published names it."""

    def __bool__(self) -> bool:
        return bool(self.schemas or self.rows or self.files or self.recorded)
