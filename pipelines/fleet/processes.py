"""Several loads at a time: starts the processes, gives each the next project, and yields what they report.

A load is a process rather than a thread, because what makes its files private (the umask) belongs to a whole process.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess

from pipelines.config.settings import Config, ProjectConfig
from pipelines.fleet.load_one import Ended, Explain
from pipelines.fleet.waiting import BETWEEN_LOOKS, Waiting
from pipelines.fleet.worker import Step, work
from pipelines.sync.reports import LoadOptions, Progress

# Seconds that a process may take to record that it was interrupted.
_PATIENCE = 10.0


@dataclass(eq=False, slots=True)
class _Worker:
    """A process, the way to it, and the project it is loading."""

    process: SpawnProcess
    connection: Connection
    project: ProjectConfig
    progress: Progress


class Processes:
    """The processes of several loads."""

    def __init__(
        self, config: Config, options: LoadOptions, explain: Explain, progress_of: Callable[[str], Progress]
    ) -> None:
        self._config = config
        self._options = options
        self._explain = explain
        self._progress_of = progress_of
        self._context: SpawnContext = get_context("spawn")
        self._workers: list[_Worker] = []

    def run(self, waiting: Waiting, jobs: int) -> Iterator[Ended]:
        """Load all that are waiting; a process that ends unexpectedly ends one load only."""
        while waiting or self._workers:
            if len(self._workers) < jobs:
                yield from waiting.loaded_elsewhere()
            while len(self._workers) < jobs and (project := waiting.take(self._loading())) is not None:
                self._start(project, waiting.since)
            if not self._workers and not waiting:
                return
            patience = BETWEEN_LOOKS if waiting and len(self._workers) < jobs else None
            for connection in wait([worker.connection for worker in self._workers], patience):
                worker = next(worker for worker in self._workers if worker.connection is connection)
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    # It has ended, perhaps in the middle of a message.
                    self._workers.remove(worker)
                    yield self._ended(worker)
                    continue
                if isinstance(message, Step):
                    getattr(worker.progress, message.method)(*message.arguments)
                    continue
                again = waiting.waits_again(message, worker.project)
                ended = [*([] if again else [message]), *waiting.loaded_elsewhere()]
                self._workers.remove(worker)
                self._go_on(worker, waiting.take(self._loading()))
                yield from ended

    def _loading(self) -> list[ProjectConfig]:
        return [worker.project for worker in self._workers]

    def _start(self, project: ProjectConfig, since: datetime | None) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work, args=(theirs, self._config, self._options, self._explain, since), daemon=True
        )
        # If a signal comes in between, the process ends by itself: it receives no project.
        process.start()
        self._workers.append(_Worker(process, ours, project, self._progress_of(project.name)))
        theirs.close()
        _send(ours, project)

    def _go_on(self, worker: _Worker, project: ProjectConfig | None) -> None:
        """Give the process another project, or let it end."""
        if project is None:
            _send(worker.connection, None)
            worker.process.join()
            worker.connection.close()
            return
        worker.project = project
        worker.progress = self._progress_of(project.name)
        self._workers.append(worker)
        _send(worker.connection, project)

    def _ended(self, worker: _Worker) -> Ended:
        worker.process.join()
        worker.connection.close()
        name = worker.project.name
        return Ended(name, None, _how_it_ended(name, worker.process.exitcode or 0))

    def end(self) -> None:
        """Interrupt the loads that are still running, and wait until they have recorded it."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            worker.process.kill()


def _send(connection: Connection, project: ProjectConfig | None) -> None:
    # If the process has ended meanwhile, receiving from it shows that.
    with suppress(ConnectionError):
        connection.send(project)


def _how_it_ended(project: str, code: int) -> str:
    """The message about a process that ended without a result."""
    how = f"with exit code {code}"
    if code < 0:
        with suppress(ValueError):
            how = f"by signal {signal.Signals(-code).name}"
    return (
        f"{project}: The process that loaded it was ended {how}, before it could report. The data of its previous "
        "load is kept; run the same command again to continue. If the system ended it because memory ran out, use "
        "--jobs with a smaller number."
    )
