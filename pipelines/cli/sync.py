"""The command sync: load projects now."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.failures import not_published, of_a_load
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

if TYPE_CHECKING:
    from pipelines.config.settings import Config, ProjectConfig
    from pipelines.console.progress import ProgressBars
    from pipelines.fleet.load_one import Ended
    from pipelines.fleet.waiting import Waiting
    from pipelines.sync.reports import LoadOptions, LoadReport, Progress
    from pipelines.warehouse.store.protocol import PublishedStore

FullOption = Annotated[bool, typer.Option("--full", help="Read every record again, not only what changed.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        help="Read what changed since then (in projects.yaml's time zone), not since the last load.",
    ),
]
AllowDeletionsOption = Annotated[
    bool, typer.Option("--allow-deletions", help="Accept that many records are gone from REDCap.")
]
AllowNarrowerOption = Annotated[
    bool, typer.Option("--allow-narrower", help="Accept that the token sees fewer fields than last time.")
]
StartOverOption = Annotated[
    bool,
    typer.Option(
        "--start-over",
        help="Discard a project's mirror, including its history and write-back journal, and read everything "
        "again. Requires project names.",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="How many projects are loaded at once (default: as many as their servers answer requests at a time, up "
        "to the number of processors).",
    ),
]


def sync(
    projects: ProjectsArgument = None,
    config: ConfigOption = None,
    full: FullOption = False,
    since: SinceOption = None,
    allow_deletions: AllowDeletionsOption = False,
    allow_narrower: AllowNarrowerOption = False,
    start_over: StartOverOption = False,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load projects from REDCap into the warehouse and publish them.

    Several projects are loaded side by side, each in a process of its own. One that fails keeps the data of its
    previous load, and the others are published all the same; the exit code is 0 only if every project was loaded
    completely.

    Machines that share a store share the work, too: of the commands that run at the same time without project names,
    each loads what no other has or had. If a load fails elsewhere, or its machine dies, the project is loaded here.
    With project names, --full or --since, everything is loaded here.
    """
    from pipelines.store import open_store
    from pipelines.sync.reports import LoadOptions

    configured = read_config(config)
    if start_over and not projects:
        raise ConfigError(
            "--start-over discards the history of every project it is used for.",
            remedy="Name the projects to start over.",
        )
    options = LoadOptions(
        full=full,
        since=in_utc(since, configured.time_zone),
        allow_deletions=allow_deletions,
        allow_narrower=allow_narrower,
        start_over=start_over,
    )
    with open_store(configured) as store:
        for line in (*store.check(), *store.remove_forgotten()):
            complain(line)
    result = _load_all(configured, chosen(configured, projects), options, jobs, alone=bool(projects), quiet=as_json)
    with open_store(configured) as store:
        _publish(store.published, result)
        _report(result, store.published, as_json=as_json)
    if not result.complete:
        raise typer.Exit(1)


@dataclass(slots=True)
class _Result:
    """The result for each project, and for the publish (under the name `publish`)."""

    reports: list[LoadReport] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Projects that another machine has loaded meanwhile, and who it was."""
    failures: dict[str, str] = field(default_factory=dict)
    published: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.failures and all(report.complete for report in self.reports)


def _load_all(
    config: Config,
    projects: Sequence[ProjectConfig],
    options: LoadOptions,
    jobs: int | None,
    *,
    alone: bool,
    quiet: bool,
) -> _Result:
    """Load the projects, and unless `alone` or asked to read more than usual, share the work with other machines."""
    from pipelines.fleet.turns import usual_jobs
    from pipelines.fleet.waiting import Waiting
    from pipelines.store import open_store

    at_once = jobs or usual_jobs(projects, os.cpu_count() or 1)
    if alone or options.full or options.since:
        return _load(config, projects, Waiting(projects), options, at_once, quiet=quiet)
    with open_store(config) as store, store.rounds.joined() as began:
        waiting = Waiting(projects, store.rounds, began)
        return _load(config, projects, waiting, options, at_once, quiet=quiet)


def _load(
    config: Config, projects: Sequence[ProjectConfig], waiting: Waiting, options: LoadOptions, jobs: int, *, quiet: bool
) -> _Result:
    """Load the projects; one that fails does not stop the rest. Reports are in the order of the projects."""
    from pipelines.fleet.loads import load_projects

    ended: dict[str, Ended] = {}
    with _bars(shown=not quiet and sys.stderr.isatty()) as bars:
        for one in load_projects(config, waiting, options, jobs=jobs, explain=of_a_load, progress_of=bars.of):
            ended[one.project] = one
            if one.failure is not None:
                bars.failed(one.project)
    ordered = [ended[project.name] for project in projects]
    return _Result(
        reports=[one.report for one in ordered if one.report is not None],
        elsewhere={one.project: one.elsewhere for one in ordered if one.elsewhere is not None},
        failures={one.project: one.failure for one in ordered if one.failure is not None},
    )


def _bars(*, shown: bool) -> AbstractContextManager[ProgressBars | _NoBars]:
    """Progress bars; where none are shown, rich is not imported to draw them."""
    if not shown:
        return nullcontext(_NoBars())
    from pipelines.console.progress import ProgressBars

    return ProgressBars()


class _NoBars:
    """The bars of a load whose messages go to a file or a pipe, or that prints JSON."""

    def of(self, project: str) -> Progress:
        from pipelines.sync.reports import Progress

        return Progress()

    def failed(self, project: str) -> None:
        """There is nothing to mark."""


def _publish(published: PublishedStore, result: _Result) -> None:
    """Publish what was loaded, here or elsewhere. Where every load failed, nothing is published."""
    if not result.reports and not result.elsewhere:
        return
    try:
        done = published.publish()
        result.published = done.projects
        if done.left_out:
            result.failures["publish"] = " ".join(not_published(done.left_out, published.name))
    except NotAllPublished as problem:
        result.published, result.failures["publish"] = problem.published, str(problem)
    except WarehouseError as problem:
        result.failures["publish"] = str(problem)


def _report(result: _Result, published: PublishedStore, *, as_json: bool) -> None:
    if as_json:
        loads = [asdict(report) for report in result.reports]
        told = {"loads": loads, "elsewhere": result.elsewhere, "failures": result.failures}
        print_json({**told, "published": result.published})
    else:
        from pipelines.console.tables import show_loads

        show_loads(result.reports, published.place if result.published else None)
        for project, loader in result.elsewhere.items():
            typer.echo(f"{project}: loaded meanwhile by {loader}.")
    for text in result.failures.values():
        complain(text)
    for report in result.reports:
        if report.message:
            complain(f"{report.project}: {report.message}")
