"""The command publish: bring warehouse.duckdb up to date, without asking REDCap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipelines.cli.options import ConfigOption, JsonOption, complain, print_json, read_config
from pipelines.errors import NotAllPublished, NotLoadedYet

if TYPE_CHECKING:
    from pathlib import Path


def publish(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Bring the published warehouse up to date, without asking REDCap anything.

    `sync` and the nightly job publish by themselves. This publishes what they loaded and could not publish, and gives
    warehouse.duckdb the mode and group that projects.yaml says. A project that cannot be published keeps what was
    published of it before, and the others are published all the same; the exit code is 0 only if nothing was left out.
    """
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.publishing.publish import publish as bring_up_to_date

    configured = read_config(config)
    folder = WarehouseFolder(configured.warehouse)
    if not folder.work.exists():  # which publishing would make
        raise NotLoadedYet(path=folder.database)
    failed = ""
    try:
        published = bring_up_to_date(
            folder,
            memory_limit=configured.memory_limit,
            configured=configured.projects,
            sharing=configured.published,
        ).projects
    except NotAllPublished as problem:
        published, failed = problem.published, str(problem)
    if not failed and not folder.database.exists():
        raise NotLoadedYet(path=folder.database)
    if as_json:
        print_json({"published": published, "failures": {"publish": failed} if failed else {}})
    elif not failed or published:
        _show(published, folder.database)
    if failed:
        complain(failed)
        raise typer.Exit(1)


def _show(published: tuple[str, ...], database: Path) -> None:
    if published:
        typer.echo(f"Published: {database} ({', '.join(published)})")
    else:
        typer.echo(f"{database} is up to date.")
