"""Streaming a million cells to a file: the client beside a bare download of the same bytes, and beside PyCap.

All three run in this process, take turns, and write the same file; what is timed is the export alone, without
imports. The bare download knows nothing of REDCap: http.client, one request, pieces to disk.
"""

from __future__ import annotations

import http.client
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bench.full_load import simulated

PIECE = 1 << 16


def bare(url: str, token: str, path: Path) -> None:
    """One request, its body to disk."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    form = urlencode({"token": token, "content": "record", "format": "csv", "type": "flat"})
    connection.request("POST", parts.path, form, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    with path.open("wb") as file:
        while piece := answer.read(PIECE):
            file.write(piece)
    connection.close()


def client(url: str, token: str, path: Path) -> None:
    """Our client: retries, limits, detection of every wrong answer, a private file."""
    from redcap_source import RedcapClient, Token

    with RedcapClient(url, Token(token)) as ours:
        ours.export_records_to(path)


def pycap(url: str, token: str, path: Path) -> None:
    """PyCap, which holds the answer in memory."""
    from redcap import Project

    path.write_text(Project(url, token).export_records(format_type="csv"), encoding="utf-8")


def streaming(records: int, rounds: int) -> str:
    """The medians, and each as a share of the bare download's speed."""
    seconds: dict[str, list[float]] = {"bare download": [], "redcap_source": [], "PyCap": []}
    ways: list[tuple[str, Callable[[str, str, Path], None]]] = [
        ("bare download", bare),
        ("redcap_source", client),
        ("PyCap", pycap),
    ]
    with simulated("wide", records) as (url, token, _), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.csv"
        bare(url, token, path)  # warms the simulator
        size = path.stat().st_size
        cells = _cells(path)
        for _ in range(rounds):
            for name, way in ways:
                began = time.perf_counter()
                way(url, token, path)
                seconds[name].append(time.perf_counter() - began)
                assert abs(path.stat().st_size - size) < 10, f"{name} wrote another file"
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    lines = [f"Streaming export of {cells:,} cells ({size / 1e6:.1f} MB) to a file, median of {rounds}"]
    for name, median in medians.items():
        share = medians["bare download"] / median
        lines.append(f"{name:14}  {median:7.3f} s  {cells / median / 1e6:6.2f} million cells/s  {share:6.0%} of bare")
    return "\n".join(lines)


def _cells(path: Path) -> int:
    with path.open(encoding="utf-8") as lines:
        columns = next(lines).count(",") + 1
        return columns * sum(1 for _ in lines)
