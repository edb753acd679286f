"""Options and arguments that several commands share, and the steps with which they begin and end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.wording import printable

if TYPE_CHECKING:
    from pipelines.config.settings import Config, ProjectConfig


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The projects.yaml to use (default: $REDCAP_WAREHOUSE_CONFIG or ./projects.yaml)."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
ApplyOption = Annotated[bool, typer.Option("--apply", help="Send it. Without this nothing is sent.")]
MaxCellsOption = Annotated[
    int | None, typer.Option("--max-cells", min=0, help="Cells that may be written (default: from projects.yaml).")
]
AuthorOption = Annotated[str | None, typer.Option("--author", help="Who proposes (default: your user name).")]
ProjectsArgument = Annotated[list[str] | None, typer.Argument(help="Project names from projects.yaml (default: all).")]


def read_config(path: Path | None) -> Config:
    """The configuration that --config, the environment or the current folder names."""
    from pipelines.config.load import load_config

    return load_config(path)


def chosen(config: Config, names: list[str] | None) -> list[ProjectConfig]:
    """The named projects, each once, or all."""
    return [config.project(name) for name in dict.fromkeys(names)] if names else list(config.projects.values())


def in_utc(moment: datetime | None, zone: str) -> datetime | None:
    """A time in the zone as a time in UTC, both without a zone."""
    from zoneinfo import ZoneInfo

    return moment and moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


def complain(message: str) -> None:
    """Print a message to standard error, with control characters escaped."""
    typer.echo(f"redcap-warehouse: {printable(message)}", err=True)


def print_json(document: object) -> None:
    """Print one JSON document to standard output."""
    import json

    typer.echo(json.dumps(document, indent=2, default=str))
