"""Running contestants as whole processes and reading what they cost: wall time, CPU time, peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a process cost, its children included."""

    wall: float
    cpu: float
    peak_mb: float


class ContestantFailed(Exception):
    """A contestant ended with an error; its figures would mean nothing."""


def run(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end and read its cost from the operating system."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=_usual(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ContestantFailed(
            f"{' '.join(command[:4])} … ended with {process.returncode}: {complaint.decode()[-2000:]}"
        )
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


def _usual(added: Mapping[str, str]) -> dict[str, str]:
    """The environment of a contestant: byte code is kept, as it is on any machine in daily use."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | dict(added)


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
    )


def table(title: str, costs: Mapping[str, Cost], reference: str) -> str:
    """The figures, each as a multiple of the reference's, and in words what the reference spares."""
    base = costs[reference]
    width = max(len(name) for name in costs)
    lines = [title, f"{'':{width}}  {'wall s':>8} {'CPU s':>8} {'peak MB':>8}   wall ×    CPU ×    MB ×"]
    for name, cost in costs.items():
        lines.append(
            f"{name:{width}}  {cost.wall:8.2f} {cost.cpu:8.2f} {cost.peak_mb:8.0f}  "
            f"{cost.wall / base.wall:7.2f}  {cost.cpu / base.cpu:7.2f} {cost.peak_mb / base.peak_mb:7.2f}"
        )
    return "\n".join(lines)


def claim(ours: str, costs: Mapping[str, Cost]) -> str:
    """One sentence for each other contestant: how much less ours took, or how much more."""
    base = costs[ours]
    width = max(len(name) for name in costs)
    return "\n".join(
        f"beside {name + ':':{width + 1}} {_times(cost.cpu / base.cpu, 'fewer', 'more')} CPU seconds, "
        f"{_times(cost.peak_mb / base.peak_mb, 'less', 'more')} memory, "
        f"{_times(cost.wall / base.wall, 'less', 'more')} waiting"
        for name, cost in costs.items()
        if name != ours
    )


def _times(ratio: float, less: str, more: str) -> str:
    return f"{ratio:.1f} × {less}" if ratio >= 1 else f"{1 / ratio:.1f} × {more}"
