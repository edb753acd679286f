"""A first load of a sparse longitudinal study: ours beside PyCap and beside the floor, one server, one run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.measure import ContestantFailed, Cost, claim, median, run, table

NAMES = {
    "ours": "redcap-warehouse sync",
    "pycap_documented": "PyCap, as documented",
    "pycap_distinct": "PyCap, each id once",
    "pycap_frame": "PyCap, one request",
    "floor": "download + one wide table",
}


class SimulatorDied(Exception):
    """The simulated REDCap ended while it was being measured against; nothing measured since counts."""


@contextmanager
def simulated(study: str, records: int) -> Iterator[tuple[str, str, str]]:
    """A simulator in a process of its own; its URL, the study's token, and the secret of its control endpoint."""
    command = [sys.executable, "-m", "pipelines.cli", "simulate", "--study", study, "--records", str(records), "--json"]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as simulator,
    ):
        assert simulator.stdout is not None
        try:
            first_line = simulator.stdout.readline()
            if not first_line:
                raise SimulatorDied(_last_words(simulator, complaints))
            told = json.loads(first_line)
            yield told["url"], next(iter(told["projects"].values()))["token"], told["control_secret"]
        except ContestantFailed:
            if simulator.poll() is not None:
                raise SimulatorDied(_last_words(simulator, complaints)) from None
            raise
        finally:
            simulator.terminate()


def _last_words(simulator: subprocess.Popen[str], complaints: IO[str]) -> str:
    complaints.seek(0)
    return f"The simulated REDCap ended with {simulator.wait()}: {complaints.read()[-500:].strip() or 'no message'}"


def cost_of(contestant: str, url: str, token: str) -> Cost:
    """One run of a contestant in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.contestants", contestant, url, folder]
        cost = run(command, {"BENCH_TOKEN": token})
        assert list(Path(folder).rglob("*.duckdb")), f"{contestant} left no database"
        return cost


def full_load(records: int, rounds: int, contestants: tuple[str, ...]) -> str:
    """The table of one comparison; contestants take turns, so that a busy moment hits all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    with simulated("longitudinal", records) as (url, token, _):
        cost_of("floor", url, token)  # warms the simulator, which generates records when first asked
        for _ in range(rounds):
            for name in contestants:
                costs[name].append(cost_of(name, url, token))
    title = f"Full load, longitudinal and sparse, {records:,} records, median of {rounds}"
    medians = {NAMES[name]: median(costs[name]) for name in contestants}
    return f"{table(title, medians, NAMES['ours'])}\n{claim(NAMES['ours'], medians)}"


def memory(sizes: tuple[int, int]) -> str:
    """Our peak memory for a study and for one several times its size: it should hardly differ."""
    costs = {}
    for records in sizes:
        with simulated("longitudinal", records) as (url, token, _):
            costs[f"{records:,} records"] = cost_of("ours", url, token)
    return table("Memory against size of project (redcap-warehouse sync)", costs, f"{sizes[0]:,} records")
