"""The command `redcap-warehouse`: what a person types, and the exit code a cron job reads.

Commands only call and show; the work is in sync.py, warehouse/ and redcap_source. Heavy imports stand inside the
commands, so that --help answers at once.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_forget import forget
from pipelines.cli_writeback import ConfigOption, JsonOption, register
from pipelines.errors import REPORT, ConfigError, NotAllPublished, WarehouseError
from pipelines.interrupts import Interrupted, listening, was_interrupted
from pipelines.wording import printable

if TYPE_CHECKING:
    from pipelines.config import Config, ProjectConfig
    from pipelines.sync import LoadReport

app = typer.Typer(
    name="redcap-warehouse",
    help="Load REDCap projects into a DuckDB warehouse, every night and provably complete.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would show tokens and patients' values.
    pretty_exceptions_enable=False,
    # click proposes the command that was meant; typer would say it a second time.
    suggest_commands=False,
)

ProjectsArgument = Annotated[list[str] | None, typer.Argument(help="Project names from projects.yaml (default: all).")]


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
    from pipelines.console import ProgressBars, show_loads
    from pipelines.sync import LoadOptions, load_project
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.publish import publish

    configured = _config(config)
    options = LoadOptions(
        full=full,
        since=_in_utc(since, configured.time_zone),
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
        for project in _chosen(configured, projects):
            try:
                reports.append(load_project(configured, project, options=options, progress=bars.of(project.name)))
            except _expected(OSError) as problem:
                if was_interrupted(problem):
                    raise
                failures[project.name] = _file_problem(problem) if isinstance(problem, OSError) else str(problem)
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
        _print_json(
            {
                "loads": [asdict(report) for report in reports],
                "failures": failures,
                "published": published,
            }
        )
    else:
        show_loads(reports, folder.database if published else None)
    for problem_text in failures.values():
        _complain(problem_text)
    for report in reports:
        if report.message:
            _complain(f"{report.project}: {report.message}")
    if failures or not all(report.complete for report in reports):
        raise typer.Exit(1)


@app.command()
def status(projects: ProjectsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say for each project when it was last loaded well, and what needs attention.

    Also lists projects that are no longer in projects.yaml. The exit code is 1 if a project's working file is damaged
    or missing, because its next load will be refused.
    """
    from pipelines.console import show_standings
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.standings import standings

    configured = _config(config)
    names = [project.name for project in _chosen(configured, projects)]
    found = standings(WarehouseFolder(configured.warehouse), names, others=not projects)
    if as_json:
        _print_json([asdict(standing) for standing in found])
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
    from pipelines.console import show_life
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.reading import life

    configured = _config(config)
    found = life(WarehouseFolder(configured.warehouse), configured.project(project).name, record)
    if as_json:
        _print_json(asdict(found))
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
    from pipelines.console import show_answer, sql_shell
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.published_file import open_published
    from pipelines.warehouse.reading import query

    folder = WarehouseFolder(_config(config).warehouse)
    if statement is None:
        sql_shell(folder)
        return
    with open_published(folder) as connection:
        answer = query(connection, statement)
    show_answer(answer, "json" if as_json else "csv" if csv else "table")


@app.command()
def simulate(
    load: Annotated[
        list[str] | None,
        typer.Option("--load", metavar="NAME=PATH", help="A project: REDCap project XML, dictionary CSV, or a folder."),
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave out the dictionary rows that REDCap would refuse, and list them.")
    ] = False,
    study: Annotated[
        list[str] | None,
        typer.Option("--study", metavar="[NAME=]KIND", help="A made-up study: classic, longitudinal, repeating."),
    ] = None,
    records: Annotated[
        list[str] | None,
        typer.Option("--records", metavar="[NAME=]N", help="Records of all made-up studies, or of one (default: 100)."),
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option("--token", metavar="NAME[:USER]=HEX", help="A project's or a user's token (default: random)."),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            "--user", metavar="PROJECT:NAME[:ROLE|GROUP]", help="A further user with a token, in a role or a group."
        ),
    ] = None,
    reports: Annotated[
        list[str] | None,
        typer.Option("--reports", metavar="NAME=PATH", help="A project's reports, from a CSV or JSON."),
    ] = None,
    super_token: Annotated[
        str | None, typer.Option("--super-token", metavar="HEX", help="The super token (default: random).")
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--faults", metavar="KIND[,OPTION=VALUE…]", help="A fault from the start, as 502,content=record,times=3."
        ),
    ] = None,
    redcap_version: Annotated[
        str | None,
        typer.Option("--redcap-version", metavar="X.Y.Z", help="The version to play, which decides what is answered."),
    ] = None,
    time_zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="The server's time zone.")
    ] = "America/Chicago",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on loopback; 0 picks a free one.")] = 0,
    state_folder: Annotated[
        Path | None,
        typer.Option("--state-folder", metavar="DIR", help="Where the control endpoint may save and load states."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object with url, tokens and the secret of the control endpoint."),
    ] = False,
) -> None:
    """Run a simulated REDCap on this machine until interrupted, to rehearse with made-up data or your own study."""
    from pipelines.simulate_options import pairs, studies, users
    from redcap_source.simulator.serve import serve
    from redcap_source.simulator.versions import DEFAULT_VERSION

    serve(
        loads=[(name, Path(path)) for name, path in pairs("--load", load)],
        studies=studies(study, records),
        tokens=dict(pairs("--token", token)),
        users=users(user),
        reports=[(name, Path(path)) for name, path in pairs("--reports", reports)],
        time_zone=time_zone,
        faults=faults or (),
        state_folder=state_folder,
        lenient=lenient,
        super_token=super_token,
        version=redcap_version or DEFAULT_VERSION,
        port=port,
        as_json=as_json,
        out=sys.stdout,
    )


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--folder", help="Where the demo's projects.yaml and Dagster's home go.")
    ] = Path("demo"),
    records: Annotated[int, typer.Option("--records", min=1, help="Records of each study.")] = 150,
) -> None:
    """Two nights of three simulated studies through the Dagster job, a day between them, and what came of it."""
    from pipelines.demo import run_demo

    run_demo(folder, records)


register(app)
app.command()(forget)


def main() -> None:
    """The command line; every expected failure is one message and exit code 1."""
    # Nearly all that a command makes in Python stays till its end; looking for garbage as often as Python does by
    # itself costs a short one a twentieth of its time.
    gc.set_threshold(50_000)
    try:
        with listening():
            app()
    except SystemExit:
        # Every command ends with one; what may be expected need not be imported to be told from it.
        raise
    except _expected() as problem:
        _complain(str(problem))
        sys.exit(1)
    except Interrupted as signal:
        _complain(
            "Interrupted. No partial load was published; what was loaded or sent so far is recorded. Run the same "
            "command again to continue."
        )
        # A request may still be under way in a thread, and nobody is to wait for it.
        sys.stdout.flush()
        os._exit(signal.exit_code)
    except OSError as problem:
        _complain(_file_problem(problem))
        sys.exit(1)
    except Exception as problem:
        if os.environ.get("REDCAP_WAREHOUSE_TRACE"):
            raise
        _complain(_unexpected(problem))
        sys.exit(1)


def _file_problem(problem: OSError) -> str:
    """What the system says of a file that cannot be used; of anything else only the kind of error."""
    from pipelines.warehouse.file_errors import of_the_system

    return str(of_the_system(problem) or _unexpected(problem))


def _unexpected(problem: Exception) -> str:
    # Messages and tracebacks of foreign libraries may quote data; the kind of error may be told.
    return f"Unexpected error ({type(problem).__name__}). The published data is unchanged. {REPORT}"


def _expected(*also: type[Exception]) -> tuple[type[Exception], ...]:
    from redcap_source.errors import RedcapError
    from redcap_source.simulator import SimulatorError

    return (WarehouseError, RedcapError, SimulatorError, *also)


def _config(path: Path | None) -> Config:
    from pipelines.config import load_config

    return load_config(path)


def _chosen(config: Config, names: list[str] | None) -> list[ProjectConfig]:
    return [config.project(name) for name in names] if names else list(config.projects.values())


def _in_utc(moment: datetime | None, zone: str) -> datetime | None:
    from zoneinfo import ZoneInfo

    return moment and moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


def _complain(message: str) -> None:
    typer.echo(f"redcap-warehouse: {printable(message)}", err=True)


def _print_json(document: object) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, default=str))


if __name__ == "__main__":
    main()
