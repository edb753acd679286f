"""The command publish: bring warehouse.duckdb up to date, without asking REDCap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.failures import not_in_the_file
from pipelines.cli.options import ConfigOption, JsonOption, complain, print_json, read_config
from pipelines.errors import NotAllPublished, NotLoadedYet

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.warehouse.publishing.publish import Published


def publish(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the whole file again from the projects' mirrors.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the published warehouse up to date, without asking REDCap anything.

    `sync` and the nightly job publish by themselves. This publishes what they loaded and could not publish, makes
    warehouse.duckdb again if it is not what was published last, and gives it the mode and group that projects.yaml
    says. A project that cannot be published does not hold up the others; the exit code is 0 only if none was left out.
    """
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.publishing.publish import Published
    from pipelines.warehouse.publishing.publish import publish as bring_up_to_date

    configured = read_config(config)
    folder = WarehouseFolder(configured.warehouse)
    if not folder.work.exists():  # which publishing would make
        raise NotLoadedYet(path=folder.database)
    complaint = ""
    try:
        done = bring_up_to_date(
            folder,
            memory_limit=configured.memory_limit,
            configured=configured.projects,
            sharing=configured.published,
            rebuild=rebuild,
        )
    except NotAllPublished as problem:
        done = Published(problem.published, problem.failed, problem.left_out, problem.rebuilt, bool(problem.published))
        complaint = str(problem)
    if not done.failed and not done.left_out and not folder.database.exists():
        raise NotLoadedYet(path=folder.database)
    _report(done, folder.database, complaint, as_json=as_json)
    if done.failed or done.left_out:
        raise typer.Exit(1)


def _report(done: Published, database: Path, complaint: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "published": done.projects,
                "written": done.written,
                "rebuilt": done.rebuilt,
                "failures": done.failed,
                "left_out": done.left_out,
            }
        )
    elif done.written:
        typer.echo(f"Published: {database} ({', '.join(done.projects)})")
    elif not done.failed and not done.left_out:
        typer.echo(f"{database} is up to date.")
    if complaint:
        complain(complaint)
    for text in not_in_the_file({name: why for name, why in done.left_out.items() if name not in done.failed}):
        complain(text)
