"""The load of one project, whose failure is a message and stops no other load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.config.settings import Config, ProjectConfig
from pipelines.interrupts import was_interrupted
from pipelines.sync.load import load_project
from pipelines.sync.reports import LoadOptions, LoadReport, Progress

# The message for a project and the error that stopped its load. A function of a module: processes receive its name.
Explain = Callable[[str, Exception], str]


@dataclass(frozen=True, slots=True)
class Ended:
    """The load of a project has ended: with a report, or with a message about why there is none."""

    project: str
    report: LoadReport | None
    failure: str | None = None


def load_one(
    config: Config, project: ProjectConfig, options: LoadOptions, explain: Explain, progress: Progress
) -> Ended:
    """Load one project; an error that stops it becomes a message, unless a signal caused it."""
    try:
        return Ended(project.name, load_project(config, project, options=options, progress=progress))
    except Exception as problem:
        if was_interrupted(problem):
            raise
        return Ended(project.name, None, explain(project.name, problem))
