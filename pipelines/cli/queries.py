"""The commands that read the warehouse: status, history and sql."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.cli.options import ConfigOption, JsonOption, ProjectsArgument, chosen, print_json, read_config


def status(projects: ProjectsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show each project's last good load, and what needs attention.

    Also lists projects that are no longer in projects.yaml. The exit code is 1 if a project's mirror is damaged or
    missing, because its next load will be refused, and if warehouse.duckdb is missing, is not what was published last,
    or lacks projects.
    """
    from pipelines.console.tables import show_statuses
    from pipelines.store import open_store

    configured = read_config(config)
    names = [project.name for project in chosen(configured, projects)]
    with open_store(configured) as store:
        found = store.statuses(names, others=not projects)
        condition = store.published.condition()
    if as_json:
        published = {"published_file": condition.state.value, "published_file_problem": condition.reason}
        print_json([{**asdict(one), "left_out": one.project in condition.left_out, **published} for one in found])
    else:
        show_statuses(found, condition.remarks)
    if not condition.is_right or any(one.lost for one in found if one.configured):
        raise typer.Exit(1)


def history(
    project: Annotated[str, typer.Argument(help="A project of projects.yaml.")],
    record: Annotated[str, typer.Argument(help="A record id, current or earlier.")],
    config: ConfigOption = None,
    cells: Annotated[
        bool, typer.Option("--cells", help="Show every cell, even of rows that were added or deleted as a whole.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a record's history: when it was first seen, every change and who made it, renames, and its deletion.

    The output contains participants' data.
    """
    from pipelines.console.tables import show_history
    from pipelines.store import open_store
    from pipelines.warehouse.published.record_history import record_history

    configured = read_config(config)
    name = configured.project(project).name
    with open_store(configured) as store:
        found = record_history(store, name, record)
    if as_json:
        print_json(asdict(found))
    else:
        show_history(found, cells=cells)


def sql(
    statement: Annotated[str | None, typer.Argument(help="A query; without one, a shell is opened.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Query the published warehouse, read-only; loads do not block it."""
    from pipelines.console.sql_shell import sql_shell
    from pipelines.console.tables import show_answer
    from pipelines.store import open_store
    from pipelines.warehouse.published.query import ask

    with open_store(read_config(config)) as store:
        if statement is None:
            sql_shell(store.published)
            return
        with store.published.open() as connection:
            answer = ask(store.published, connection, statement)
    show_answer(answer, "json" if as_json else "csv" if csv else "table")
