"""The command forget: remove all data of a project."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import ConfigOption, JsonOption
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.warehouse.store.results import Traces


def forget(
    project: Annotated[str, typer.Argument(help="A project that is no longer in projects.yaml.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove all data of a project from the warehouse: published, working, staging and ledger.

    A project that is still in projects.yaml is refused, because the next load would restore it.
    """
    from pipelines.config.load import load_config
    from pipelines.store import open_store

    configured = load_config(config)
    if project in configured.projects:
        raise ConfigError(
            f"{project} is still configured, so the next load would restore it.",
            where=str(configured.path),
            remedy="Remove it from the file first. To read it again from scratch, use `sync PROJECT --start-over`.",
        )
    with open_store(configured) as store:
        found = store.find_traces(project)
        if not found:
            raise ConfigError("the warehouse has no project of this name.", remedy="`status` lists them all.")
        if not yes:
            _ask(found)
        removed = store.forget(project)
    if as_json:
        typer.echo(json.dumps(asdict(removed), indent=2))
    else:
        typer.echo(f"Removed {removed.project}: {_listed(removed)}")
        typer.echo("Backups, and Dagster's own record of its runs, are not part of the warehouse and still name it.")


def _ask(found: Traces) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            "this is not a terminal, so the removal cannot be confirmed.",
            remedy="Nothing was removed. Use --yes to remove it without confirmation.",
        )
    typer.echo(f"This removes {found.project}: {_listed(found)}", err=True)
    typer.confirm("This cannot be undone. Continue?", abort=True, err=True)


def _listed(traces: Traces) -> str:
    rows = ", ".join(f"{table} {count:,}" for table, count in traces.rows.items())
    return (
        f"schemas {', '.join(traces.schemas) or 'none'}; rows {rows or 'none'}; "
        f"files {', '.join(traces.files) or 'none'}."
    )
