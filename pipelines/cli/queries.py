"""The commands that read the warehouse: status, history and sql."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.cli.app import app
from pipelines.cli.options import ConfigOption, JsonOption, ProjectsArgument, chosen, print_json, read_config


@app.command()
def status(projects: ProjectsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say for each project when it was last loaded well, and what needs attention.

    Also lists projects that are no longer in projects.yaml. The exit code is 1 if a project's working file is damaged
    or missing, because its next load will be refused.
    """
    from pipelines.console.tables import show_standings
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.published.status import statuses

    configured = read_config(config)
    names = [project.name for project in chosen(configured, projects)]
    found = statuses(WarehouseFolder(configured.warehouse), names, others=not projects)
    if as_json:
        print_json([asdict(standing) for standing in found])
    else:
        show_standings(found)
    if any(standing.lost for standing in found if standing.configured):
        raise typer.Exit(1)


@app.command()
def history(
    project: Annotated[str, typer.Argument(help="A project of projects.yaml.")],
    record: Annotated[str, typer.Argument(help="A record id, of today or of earlier.")],
    config: ConfigOption = None,
    cells: Annotated[
        bool, typer.Option("--cells", help="Show every cell, also of rows that came or went whole.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell a record's life: when it came, every change since with who made it, renames, and its end.

    It shows participants' data.
    """
    from pipelines.console.tables import show_life
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.published.record_history import record_history

    configured = read_config(config)
    found = record_history(WarehouseFolder(configured.warehouse), configured.project(project).name, record)
    if as_json:
        print_json(asdict(found))
    else:
        show_life(found, cells=cells)


@app.command()
def sql(
    statement: Annotated[str | None, typer.Argument(help="A query; without one, a shell is opened.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Query the published warehouse, read-only; loads are never in the way."""
    from pipelines.console.sql_shell import sql_shell
    from pipelines.console.tables import show_answer
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.published.query import query
    from pipelines.warehouse.published_file import open_published

    folder = WarehouseFolder(read_config(config).warehouse)
    if statement is None:
        sql_shell(folder)
        return
    with open_published(folder) as connection:
        answer = query(connection, statement)
    show_answer(answer, "json" if as_json else "csv" if csv else "table")
