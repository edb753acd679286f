"""A million proposed cells from one file: what `redcap-warehouse propose` costs in memory and CPU seconds.

`python -m bench.proposals` measures a file with a cell a row, with and without the values that were seen, and an edited
copy with a column for each field, each by the command as a person runs it. A tenth of the records is in the warehouse.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.full_load import simulated
from bench.measure import Cost, median, run

CELLS = 1_000_000
LOADED = 10_000
FIELDS = ("town", "remarks", "glucose", "systolic", "initials", "weight", "height", "diastolic", "exam_at", "smoker")
# What a million cells may cost.
MOST_MB, MOST_CPU = 400, 20.0


def value(record: int, field: str) -> str:
    """A value that the field may hold, and that no other record of the file has in it."""
    match field:
        case "town" | "remarks":
            return f"Cleaned {field} of record {record}"
        case "glucose" | "weight" | "height":
            return f"{record % 200}.{record % 10}"
        case "systolic" | "diastolic":
            return str(60 + record % 100)
        case "exam_at":
            return f"2024-01-{1 + record % 28:02d} {record % 24:02d}:{record % 60:02d}"
        case "smoker":
            return str(record % 2)
    return "abcdefghij"[record % 10]


def cells(number: int, *, seen: bool) -> Iterator[Sequence[object]]:
    """The rows of a file with a cell a row."""
    yield ("record", "field", *(("seen_value",) if seen else ()), "new_value", "reason")
    for at in range(number):
        record, field = 1 + at // len(FIELDS), FIELDS[at % len(FIELDS)]
        yield (record, field, *(("",) if seen else ()), value(record, field), "source documents")


def rows(number: int) -> Iterator[Sequence[object]]:
    """The rows of an edited export of the three instruments, with as many cells."""
    yield ("record_id", *FIELDS)
    for record in range(1, 1 + number // len(FIELDS)):
        yield (record, *(value(record, field) for field in FIELDS))


FILES: dict[str, Callable[[int], Iterator[Sequence[object]]]] = {
    "a cell a row": lambda number: cells(number, seen=False),
    "a cell a row, with what was seen": lambda number: cells(number, seen=True),
    "a column for each field": rows,
}


def proposals(rounds: int = 1, number: int = CELLS) -> str:
    """The table, and whether it is within the limits."""
    lines = [
        f"propose, {number:,} cells from one file, median of {rounds}",
        f"{'':34} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}",
    ]
    worst = Cost(0, 0, 0)
    with simulated("classic", LOADED) as (url, token, _), tempfile.TemporaryDirectory() as place:
        os.environ["BENCH_TOKEN"] = token
        folder = Path(place)
        config = folder / "projects.yaml"
        config.write_text(f"servers: {{bench: {{url: {url}}}}}\nprojects:\n  study: {{token: {{env: BENCH_TOKEN}}}}\n")
        command = [sys.executable, "-m", "pipelines.cli", "sync", "--config", str(config)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.copytree(folder / "warehouse", folder / "loaded")
        for name, make in FILES.items():
            path = folder / "offer.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(make(number))
            command = [sys.executable, "-m", "pipelines.cli", "propose", "study", str(path), "--config", str(config)]
            costs = []
            for _ in range(rounds):
                shutil.rmtree(folder / "warehouse")
                shutil.copytree(folder / "loaded", folder / "warehouse")
                costs.append(run(command, {"BENCH_TOKEN": token}))
            cost = median(costs)
            lines.append(f"{name:34} {cost.wall:8.2f} {cost.cpu:8.2f} {cost.peak_mb:8.0f}")
            worst = Cost(max(worst.wall, cost.wall), max(worst.cpu, cost.cpu), max(worst.peak_mb, cost.peak_mb))
    kept = worst.cpu <= MOST_CPU and worst.peak_mb <= MOST_MB
    lines.append(f"{'within' if kept else 'BEYOND'} {MOST_MB} MB and {MOST_CPU:.0f} CPU seconds")
    return "\n".join(lines)


if __name__ == "__main__":
    print(proposals(number=int(sys.argv[1]) if len(sys.argv) > 1 else CELLS))
