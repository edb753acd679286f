"""The command sync: load projects now."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.app import app
from pipelines.cli.failures import expected, file_problem
from pipelines.cli.options import (
    ConfigOption,
    JsonOption,
    ProjectsArgument,
    chosen,
    complain,
    in_utc,
    print_json,
    read_config,
)
from pipelines.errors import ConfigError, NotAllPublished, WarehouseError
from pipelines.interrupts import was_interrupted

if TYPE_CHECKING:
    from pipelines.sync.reports import LoadReport


@app.command()
def sync(
    projects: ProjectsArgument = None,
    config: ConfigOption = None,
    full: Annotated[bool, typer.Option("--full", help="Read every record again, not only what changed.")] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
            help="Read what changed since then (in projects.yaml's time zone), not since the last load.",
        ),
    ] = None,
    allow_deletions: Annotated[
        bool, typer.Option("--allow-deletions", help="Accept that many records are gone from REDCap.")
    ] = False,
    allow_narrower: Annotated[
        bool, typer.Option("--allow-narrower", help="Accept that the token sees fewer fields than last time.")
    ] = False,
    start_over: Annotated[
        bool,
        typer.Option(
            "--start-over",
            help="Discard a project's working file, including its history and write-back journal, and read everything "
            "again. Requires project names.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Load projects from REDCap into the warehouse and publish them.

    A project that fails keeps yesterday's data, and the others are published all the same; the exit code is 0 only
    if every project was loaded completely.
    """
    from pipelines.console.progress import ProgressBars
    from pipelines.console.tables import show_loads
    from pipelines.sync.load import load_project
    from pipelines.sync.reports import LoadOptions
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.published.publish import publish

    configured = read_config(config)
    options = LoadOptions(
        full=full,
        since=in_utc(since, configured.time_zone),
        allow_deletions=allow_deletions,
        allow_narrower=allow_narrower,
        start_over=start_over,
    )
    if start_over and not projects:
        raise ConfigError(
            "--start-over gives up the history of every project it is used for.",
            remedy="Name the projects it is meant for.",
        )
    reports: list[LoadReport] = []
    failures: dict[str, str] = {}
    with ProgressBars(quiet=as_json) as bars:
        for project in chosen(configured, projects):
            try:
                reports.append(load_project(configured, project, options=options, progress=bars.of(project.name)))
            except expected(OSError) as problem:
                if was_interrupted(problem):
                    raise
                failures[project.name] = file_problem(problem) if isinstance(problem, OSError) else str(problem)
                bars.failed(project.name)
    folder = WarehouseFolder(configured.warehouse)
    published: tuple[str, ...] = ()
    try:
        # Where every load failed there is nothing to take up, and yesterday's file is left as it is.
        published = (
            publish(folder, memory_limit=configured.memory_limit, configured=configured.projects).projects
            if reports
            else ()
        )
    except NotAllPublished as problem:
        published, failures["publish"] = problem.published, str(problem)
    except WarehouseError as problem:
        failures["publish"] = str(problem)
    if as_json:
        print_json(
            {
                "loads": [asdict(report) for report in reports],
                "failures": failures,
                "published": published,
            }
        )
    else:
        show_loads(reports, folder.database if published else None)
    for problem_text in failures.values():
        complain(problem_text)
    for report in reports:
        if report.message:
            complain(f"{report.project}: {report.message}")
    if failures or not all(report.complete for report in reports):
        raise typer.Exit(1)
