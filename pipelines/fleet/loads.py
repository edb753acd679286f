"""The loads of several projects, one after the other or side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pipelines.config.settings import Config
from pipelines.fleet.load_one import Ended, Explain, load_one
from pipelines.fleet.waiting import BETWEEN_LOOKS, Waiting
from pipelines.sync.reports import LoadOptions, Progress


def load_projects(
    config: Config,
    waiting: Waiting,
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
    if min(jobs, len(waiting)) > 1:
        # Importing what starts processes takes a load of one project a fiftieth of its time.
        from pipelines.fleet.processes import Processes

        processes = Processes(config, options, explain, progress_of)
        try:
            yield from processes.run(waiting, jobs)
        finally:
            processes.end()
        return
    while waiting:
        yield from waiting.loaded_elsewhere()
        project = waiting.take([])
        if project is None:
            if waiting:
                time.sleep(BETWEEN_LOOKS)
            continue
        ended = load_one(config, project, options, explain, progress_of(project.name), waiting.since)
        if not waiting.waits_again(ended, project):
            yield ended
