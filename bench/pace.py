"""A request's turn at a rate limit that is shared in a folder, and at one that is shared in PostgreSQL.

`BENCH_POSTGRES=postgresql://… python -m bench.pace` prints the wall clock of both, in turns; it makes the schema
redcap_warehouse in that database.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pipelines.coordination import Coordination
from redcap_source import RateLimiter

URL = "https://bench.example/api/"
TURNS = 200
ROUNDS = 9


def pace(database: str) -> str:
    """The figures, as text."""
    with Coordination(database) as coordination, tempfile.TemporaryDirectory() as folder:
        limits = {
            "folder": RateLimiter(1e9, 4, folder=Path(folder) / "pace", name=URL),
            "PostgreSQL": RateLimiter(1e9, 4, shared=coordination.server_limit(URL)),
        }
        took: dict[str, list[float]] = {label: [] for label in limits}
        for _ in range(ROUNDS):
            for label, limit in limits.items():
                began = time.perf_counter()
                for _ in range(TURNS):
                    with limit.turn():
                        pass
                took[label].append((time.perf_counter() - began) / TURNS)
    middle = {label: statistics.median(times) for label, times in took.items()}
    lines = [f"A turn at a rate limit, the median of {ROUNDS} rounds of {TURNS}:"]
    lines += [f"  {label:<12}{seconds * 1e3:6.2f} ms" for label, seconds in middle.items()]
    lines.append(f"  PostgreSQL takes {middle['PostgreSQL'] / middle['folder']:.2f} x the folder's time")
    return "\n".join(lines)


if __name__ == "__main__":
    if "BENCH_POSTGRES" not in os.environ:
        sys.exit("Set BENCH_POSTGRES to the URL of a PostgreSQL database for tests.")
    print(pace(os.environ["BENCH_POSTGRES"]))
