"""`sync` of several projects: one after the other and side by side, on servers that take their time.

`python -m bench.side_by_side` prints the wall clock and the CPU of both, in turns.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.measure import Cost, run
from redcap_source.simulator import Simulator, make_study

SERVERS = 2
PROJECTS = 6
RECORDS = 100
# What a server takes for a request, and for a cell of its answer in microseconds.
LATENCY = (0.2, 30.0)


def side_by_side(jobs: int = 4) -> str:
    """The figures, as text."""
    with ExitStack() as opened:
        servers = [opened.enter_context(Simulator()) for _ in range(SERVERS)]
        tokens: dict[str, str] = {}
        lines = []
        for number in range(SERVERS * PROJECTS):
            study = make_study("longitudinal", records=RECORDS, seed=number)
            handle = servers[number % SERVERS].add_project(study, name=f"p{number}")
            tokens[f"T{number}"] = handle.token
            lines.append(f"  p{number}: {{server: s{number % SERVERS}, token: {{env: T{number}}}}}")
        configuration = [
            "servers:",
            *(f"  s{at}: {{url: {server.url}}}" for at, server in enumerate(servers)),
            "projects:",
            *lines,
        ]
        for server in servers:
            server.latency = LATENCY
        folders = {count: Path(opened.enter_context(tempfile.TemporaryDirectory())) for count in (1, jobs)}
        for folder in folders.values():
            (folder / "projects.yaml").write_text("\n".join(configuration) + "\n", encoding="utf-8")
        found = [
            (label, *(_sync(folder, count, tokens) for count, folder in folders.items()))
            for label in ("first load", "quiet night")
        ]
    seconds, micro = LATENCY
    lines = [
        f"{SERVERS * PROJECTS} projects of {RECORDS} records on {SERVERS} servers that take {seconds} s for a request "
        f"and {micro:.0f} µs for a cell, {jobs} loads at once beside one after the other:",
        f"  {'':12} {'wall 1':>8} {f'wall {jobs}':>8} {'ratio':>6}   {'CPU 1':>7} {f'CPU {jobs}':>7}",
    ]
    for label, one, several in found:
        lines.append(
            f"  {label:12} {one.wall:6.1f} s {several.wall:6.1f} s {several.wall / one.wall:6.2f}   "
            f"{one.cpu:5.1f} s {several.cpu:5.1f} s"
        )
    return "\n".join(lines)


def _sync(folder: Path, jobs: int, tokens: Mapping[str, str]) -> Cost:
    command = [sys.executable, "-m", "pipelines.cli", "sync", "--jobs", str(jobs)]
    return run([*command, "--config", str(folder / "projects.yaml")], dict(tokens))


if __name__ == "__main__":
    print(side_by_side())
