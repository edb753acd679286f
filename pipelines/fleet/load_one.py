"""The load of one project, whose failure is a message and stops no other load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipelines.config.settings import Config, ProjectConfig
from pipelines.errors import HoldLost, Superseded, WarehouseBusy
from pipelines.interrupts import was_interrupted
from pipelines.run import new_run_id, utc_now
from pipelines.store import open_store
from pipelines.sync.load import load_project
from pipelines.sync.reports import LoadOptions, LoadReport, Progress

# The message for a project and the error that stopped its load. A function of a module: processes receive its name.
Explain = Callable[[str, Exception], str]


@dataclass(frozen=True, slots=True)
class Ended:
    """The load of a project has ended: with a report, with a message about why there is none, or elsewhere."""

    project: str
    report: LoadReport | None
    failure: str | None = None
    held: bool = False
    """Whether it failed because another run has the project."""
    lost: bool = False
    """Whether it failed because the project was lost to another machine; nothing of it is kept."""
    elsewhere: str | None = None
    """Who loaded it, where another machine did."""


def load_one(
    config: Config,
    project: ProjectConfig,
    options: LoadOptions,
    explain: Explain,
    progress: Progress,
    since: datetime | None = None,
) -> Ended:
    """Load one project; an error that stops it becomes a message, unless a signal caused it.

    With `since`, a project that was loaded completely since then is not loaded again.
    """
    try:
        if since is None:
            return Ended(project.name, load_project(config, project, options=options, progress=progress))
        return _load_unless_loaded(config, project, options, progress, since)
    except Exception as problem:
        if was_interrupted(problem):
            raise
        held, lost = isinstance(problem, WarehouseBusy), isinstance(problem, HoldLost | Superseded)
        return Ended(project.name, None, explain(project.name, problem), held, lost)


def _load_unless_loaded(
    config: Config, project: ProjectConfig, options: LoadOptions, progress: Progress, since: datetime
) -> Ended:
    run_id = new_run_id(utc_now)
    with open_store(config) as store, store.mirrors.working(project.name, run_id):
        # Nobody else can begin or end a load of it now.
        loader = store.rounds.loaded(since).get(project.name)
        if loader is not None:
            return Ended(project.name, None, elsewhere=loader)
        report = load_project(config, project, options=options, run_id=run_id, progress=progress)
    return Ended(project.name, report)
