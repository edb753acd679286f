"""The loads of several projects, one after the other or side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from pipelines.config.settings import Config, ProjectConfig
from pipelines.fleet.load_one import Ended, Explain, load_one
from pipelines.sync.reports import LoadOptions, Progress


def load_projects(
    config: Config,
    projects: Sequence[ProjectConfig],
    options: LoadOptions,
    *,
    jobs: int,
    explain: Explain,
    progress_of: Callable[[str], Progress],
) -> Iterator[Ended]:
    """Load the projects, `jobs` at a time, and yield the result of each as it ends.

    A project that fails does not stop the others; `explain` makes its error a message. With one at a time, no further
    process is started.
    """
    if min(jobs, len(projects)) <= 1:
        for project in projects:
            yield load_one(config, project, options, explain, progress_of(project.name))
        return
    # Importing what starts processes takes a load of one project a fiftieth of its time.
    from pipelines.fleet.processes import Processes

    processes = Processes(config, options, explain, progress_of)
    try:
        yield from processes.run(deque(projects), min(jobs, len(projects)))
    finally:
        processes.end()
