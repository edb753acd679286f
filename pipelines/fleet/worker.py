"""A process that loads one project after the other, and sends progress and results to the process that started it.

Not here: which project comes next (turns.py), what becomes of the results (processes.py).
"""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection

from pipelines.config.settings import Config
from pipelines.fleet.load_one import Explain, load_one
from pipelines.interrupts import Interrupted, listening
from pipelines.sync.reports import LoadOptions, Progress


@dataclass(frozen=True, slots=True)
class Step:
    """A method of Progress was called."""

    method: str
    arguments: tuple[str | int, ...]


class _Sender(Progress):
    """Sends the steps of a load to the process that shows them."""

    def __init__(self, results: Connection) -> None:
        self._results = results

    def planned(self, records: int, requests: int) -> None:
        self._send(Step("planned", (records, requests)))

    def fetched(self, records: int, cells: int) -> None:
        self._send(Step("fetched", (records, cells)))

    def step(self, name: str) -> None:
        self._send(Step("step", (name,)))

    def _send(self, step: Step) -> None:
        # If the process that shows the step has ended, the load is finished all the same.
        with suppress(ConnectionError):
            self._results.send(step)


def work(
    connection: Connection, config: Config, options: LoadOptions, explain: Explain, since: datetime | None = None
) -> None:
    """Load each project that is received, until none is; the process then ends.

    With `since`, one that was loaded completely since then, on another machine, is not loaded again.

    A signal ends it as it ends a load without other processes: the load is recorded as interrupted.
    """
    # Ctrl-C sends a signal to all processes of a group. This one leaves the group, and receives a signal only from the
    # process that started it: a second one would end it before it has recorded the interruption.
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    # As in the command (cli/main.py).
    gc.set_threshold(50_000)
    try:
        with listening():
            _load_all(connection, config, options, explain, since)
    except Interrupted as signal:
        # A request may still be running in a thread, and nothing waits for it.
        os._exit(signal.exit_code)
    except (EOFError, ConnectionError):
        # The process that receives the results has ended.
        os._exit(1)
    os._exit(0)


def _load_all(
    connection: Connection, config: Config, options: LoadOptions, explain: Explain, since: datetime | None
) -> None:
    while (project := connection.recv()) is not None:
        connection.send(load_one(config, project, options, explain, _Sender(connection), since))
