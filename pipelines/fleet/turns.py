"""How many projects are loaded at once, and which comes next. Pure.

A load mostly waits for its server, so what counts is that every server is busy: as many loads as it answers requests at
a time, and no more than this computer has processors for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pipelines.config.settings import ProjectConfig


def usual_jobs(projects: Iterable[ProjectConfig], processors: int) -> int:
    """How many of these projects are loaded at once, by default."""
    projects = list(projects)
    waiting = Counter(project.server.url for project in projects)
    concurrency = {project.server.url: project.server.concurrency for project in projects}
    return max(1, min(processors, sum(min(count, concurrency[url]) for url, count in waiting.items())))


def next_project(waiting: Sequence[ProjectConfig], running: Iterable[ProjectConfig]) -> ProjectConfig:
    """The first of the waiting projects whose server is least busy: by loads for each request it answers at a time."""
    loads = Counter(project.server.url for project in running)
    return min(waiting, key=lambda project: loads[project.server.url] / project.server.concurrency)
