"""Loaders of one lake store, each with a home, a folder and processes of its own, as on machines of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from pipelines.config.load import load_config
from pipelines.store import open_store
from redcap_source.simulator import ProjectHandle, Simulator
from redcap_source.simulator.engine import Request
from tests.support import warehouse_oracle as oracle
from tests.support.lake import CATALOG
from tests.support.root import ROOT

T = TypeVar("T")
# How many of the nights before are asked for.
MANY_NIGHTS = 5


@dataclass
class Loader:
    """One machine: its folder, and the environment of its processes."""

    name: str
    folder: Path
    environment: dict[str, str]

    @property
    def settings(self) -> Path:
        """Its projects.yaml."""
        return self.folder / "projects.yaml"

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The command, in a process group of its own; what it prints is one text in the end."""
        command = [sys.executable, "-m", "pipelines.cli", *words, "--config", str(self.settings)]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[str]) -> None:
    """End the command and the processes that load for it, as a machine that loses its power."""
    children = _descendants(process.pid)
    for pid in (process.pid, *children):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *_descendants(child)]
    return found


@dataclass
class Night:
    """What REDCap answered on the evening of a night that went well, by project, and when readers found it."""

    finished: dict[str, datetime]
    states: dict[str, oracle.State] = field(repr=False)


@dataclass
class Loaders:
    """Loaders of the same projects."""

    folder: Path
    simulator: Simulator
    catalog: str
    data: str
    """Of the lake; blank for a warehouse in files, which one loader has."""
    environment: dict[str, str]
    """What else their processes need: the keys of S3."""
    server: str = ""
    """Keys of the server, as `requests_per_minute: 600`."""
    loaders: dict[str, Loader] = field(default_factory=dict)
    handles: dict[str, ProjectHandle] = field(default_factory=dict)
    nights: list[Night] = field(default_factory=list)
    _told: dict[str, set[str]] = field(default_factory=dict)
    _changes: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, project) -> ProjectHandle:
        """Put a project on the server and into every projects.yaml."""
        self.handles[name] = self.simulator.add_project(project, name=name)
        return self.handles[name]

    def loader(self, name: str, **other: str) -> Loader:
        """A machine, made once; its projects.yaml differs from the others' in `warehouse` only.

        `other` are variables of its environment that are not those of the others: another way to S3.
        """
        if name not in self.loaders:
            folder = self.folder / name
            (folder / "home").mkdir(parents=True)
            tokens = {f"TOKEN_{project.upper()}": handle.token for project, handle in self.handles.items()}
            environment = {
                **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
                **self.environment,
                **tokens,
                CATALOG: self.catalog,
                "HOME": str(folder / "home"),
                **other,
            }
            self.loaders[name] = Loader(name, folder, environment)
            self.loaders[name].settings.write_text(self._settings(folder / "files"))
        return self.loaders[name]

    def _settings(self, warehouse: Path) -> str:
        lines = [
            f"warehouse: {warehouse}",
            f"store: {{catalog: {{env: {CATALOG}}}, data: '{self.data}'}}" if self.data else "",
            f"servers: {{sim: {{url: {self.simulator.url}{self.server and ', '}{self.server}}}}}",
            "projects:",
            *(f"  {name}: {{token: {{env: TOKEN_{name.upper()}}}}}" for name in self.handles),
        ]
        return "\n".join(lines) + "\n"

    # --- what must be right ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Every project against a fresh export, against its own changes, and against the nights before."""
        with pytest.MonkeyPatch.context() as environment:
            for key, value in {**next(iter(self.loaders.values())).environment, **self.environment}.items():
                environment.setenv(key, value)
            config = load_config(next(iter(self.loaders.values())).settings)
            with open_store(config) as store, store.published.open() as connection:
                night = Night({}, {})
                for name, handle in self.handles.items():
                    record_id = handle.project.dictionary.record_id
                    shown = oracle.Shown(connection, name, record_id)
                    truth = oracle.fresh(self.simulator.url, handle.token)
                    night.states[name] = truth.state
                    night.finished[name] = self._check(shown, truth, name)
                self.nights.append(night)

    def _check(self, shown: oracle.Shown, truth: oracle.Fresh, name: str) -> datetime:
        oracle.agree(f"{name} raw", shown.raw(), truth.state)
        oracle.agree(f"{name} with types", shown.typed(), truth.design.typed(truth.state))
        oracle.agree(f"{name} with labels", shown.labelled(), truth.design.labelled(truth.state))
        cells = {key: row for key, row in truth.state.items() if row}
        changes = shown.redcap("record_changes")
        oracle.agree(f"{name}, changes", oracle.replay(changes, shown.record_id), cells)
        rows = [tuple(map(str, row.values())) for row in changes]
        if len(set(rows)) != len(rows):
            raise oracle.Disagreement(f"{name}: a change stands twice in record_changes")
        for number, night in list(enumerate(self.nights, start=1))[-MANY_NIGHTS:]:
            found = shown.as_of(night.finished[name])
            oracle.agree(f"{name} as of night {number}", found, night.states[name])
        # What was published before a night, no later one may change.
        told = [row for row in changes if row["run_id"] in self._told.get(name, ())]
        if sorted(map(repr, told)) != self._changes.get(name, []):
            raise oracle.Disagreement(f"{name}: changes of earlier nights are not what they were")
        self._told[name] = {row["run_id"] for row in changes}
        self._changes[name] = sorted(map(repr, changes))
        runs = sorted(shown.redcap("sync_runs"), key=lambda run: run["started_at"])
        ids = [run["run_id"] for run in runs]
        if len(set(ids)) != len(ids) or {row["run_id"] for row in changes} - set(ids):
            raise oracle.Disagreement(f"{name}: the ledger does not explain the changes: {ids}")
        if runs[-1]["outcome"] != "ok" or runs[-1]["records_in_redcap"] != len(truth.ids):
            raise oracle.Disagreement(f"{name}: the ledger tells of the last night {runs[-1]}")
        return runs[-1]["finished_at"]

    def requests_of(self, work: Callable[[], T]) -> tuple[T, list[Request]]:
        """What some work returns, and the requests that the server got meanwhile."""
        before = len(self.simulator.requests)
        done = work()
        return done, list(self.simulator.requests)[before:]


def loads_in(requests: list[Request]) -> Counter[str]:
    """How often each project was loaded: each load asks for REDCap's version, once."""
    return Counter(request.project for request in requests if request.content == "version")


def most_in_a_minute(requests: list[Request]) -> int:
    """The most requests within any 60 seconds."""
    times = sorted(request.time for request in requests)
    most, first = 0, 0
    for last, moment in enumerate(times):
        while moment - times[first] > timedelta(minutes=1):
            first += 1
        most = max(most, last - first + 1)
    return most


@contextmanager
def ended_in_the_end(*started: subprocess.Popen[str]) -> Iterator[None]:
    """Kills what still runs when the block ends."""
    try:
        yield
    finally:
        for process in started:
            if process.poll() is None:
                kill(process)
                process.communicate()


def outputs(*processes: subprocess.Popen[str], seconds: float = 600) -> list[str]:
    """What the commands printed; they end well."""
    told = [""] * len(processes)

    def read(number: int, process: subprocess.Popen[str]) -> None:
        told[number] = process.communicate(timeout=seconds)[0]

    threads = [threading.Thread(target=read, args=one) for one in enumerate(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(told)
    return told
