"""The configuration as all other packages see it: plain values, without what they were read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pipelines.config.names import did_you_mean, show_name
from pipelines.config.store import StoreConfig
from pipelines.config.tokens import TokenSource
from pipelines.errors import ConfigError
from pipelines.sharing import PRIVATE, Sharing

Identifiers = Literal["keep", "drop", "hash"]
"""What is done with fields that can identify a participant."""


@dataclass(frozen=True, slots=True)
class InstrumentSelection:
    """Some of a project's instruments, by their names in the data dictionary."""

    instruments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A REDCap server, and the limits on requests to it."""

    name: str
    url: str
    ca_bundle: Path | None
    requests_per_minute: int | None
    """None for no limit: a server on this machine, unless the file sets one."""
    concurrency: int
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class WritebackConfig:
    """What may be written back to a project; nothing unless fields or instruments are named.

    The limits are those of one run, and of the age of the last good load.
    """

    fields: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    max_cells: int = 1000
    max_record_share: float = 0.2
    max_age: timedelta = timedelta(hours=36)
    new_records: bool = False


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """A REDCap project: its server, its token, and which part of it is loaded."""

    name: str
    server: ServerConfig
    token: TokenSource
    project_id: int | None
    identifiers: Identifiers
    full_refresh_every: timedelta
    include: InstrumentSelection | None
    """Load only these instruments."""
    exclude: InstrumentSelection | None
    """Load all but these instruments."""
    files: Literal["none"]
    writeback: WritebackConfig = WritebackConfig()


@dataclass(frozen=True, slots=True)
class Config:
    """A valid projects.yaml."""

    path: Path
    warehouse: Path
    schedule: str
    time_zone: str
    deletion_limit: float
    memory_limit: str | None
    """None if each load sets the limit by the width of its tables."""
    servers: Mapping[str, ServerConfig]
    projects: Mapping[str, ProjectConfig]
    published: Sharing = PRIVATE
    """Who may read the published file."""
    store: StoreConfig | None = None
    """The store that several machines share; None for files on this machine."""

    def project(self, name: str) -> ProjectConfig:
        """The project of that name; ConfigError, which lists all names, if there is none."""
        if name in self.projects:
            return self.projects[name]
        raise ConfigError(
            f"there is no project {show_name(name)}.{did_you_mean(name, self.projects)}",
            where=str(self.path),
            remedy=f"It has: {', '.join(self.projects)}.",
        )
