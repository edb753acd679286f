"""The configuration as the rest of the product sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pipelines.config.names import did_you_mean, show_name
from pipelines.config.schema import Narrowing
from pipelines.config.tokens import TokenSource
from pipelines.config.values import Identifiers
from pipelines.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A REDCap server, and how fast it may be asked."""

    name: str
    url: str
    ca_bundle: Path | None
    requests_per_minute: int | None
    """None for no limit: a simulator on this machine, unless the file sets one."""
    concurrency: int
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class WritebackConfig:
    """What may be written back to a project; nothing unless fields or instruments are named."""

    fields: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    max_cells: int = 1000
    max_record_share: float = 0.2
    max_age: timedelta = timedelta(hours=36)
    new_records: bool = False


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """A REDCap project: where it is, who we are there, and which part of it is wanted."""

    name: str
    server: ServerConfig
    token: TokenSource
    project_id: int | None
    identifiers: Identifiers
    full_refresh_every: timedelta
    include: Narrowing | None
    exclude: Narrowing | None
    files: Literal["none"]
    writeback: WritebackConfig = WritebackConfig()


@dataclass(frozen=True, slots=True)
class Config:
    """A projects.yaml that can be used."""

    path: Path
    warehouse: Path
    schedule: str
    time_zone: str
    deletion_limit: float
    memory_limit: str | None
    """None where what a database needs is found out by itself."""
    servers: Mapping[str, ServerConfig]
    projects: Mapping[str, ProjectConfig]

    def project(self, name: str) -> ProjectConfig:
        """The project of that name; ConfigError, which lists the names there are, if there is none."""
        if name in self.projects:
            return self.projects[name]
        raise ConfigError(
            f"there is no project {show_name(name)}.{did_you_mean(name, self.projects)}",
            where=str(self.path),
            remedy=f"It has: {', '.join(self.projects)}.",
        )
