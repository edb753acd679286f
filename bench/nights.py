"""Incremental nights beside a full load: cost should follow what changed, not the size of the project."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.full_load import simulated
from bench.measure import Cost, median, run, table
from pipelines.warehouse.database.compaction import compact
from pipelines.warehouse.database.connection import open_reader, open_writer
from pipelines.warehouse.database.rows import one
from redcap_source import RedcapClient, Token

SHARES = (0.0, 0.001, 0.01, 0.1)
FIELD = "systolic"


def nights(records: int) -> str:
    """A full load, then nights in which some share of the records changed, and what each takes beyond its start.

    The night after the first load reads the structure once more, to know it from then on.
    """
    costs: dict[str, Cost] = {}
    with simulated("longitudinal", records) as (url, token, secret), tempfile.TemporaryDirectory() as folder:
        costs["full load"] = night(url, token, folder)
        change(url, secret, token, 0, 0)
        costs["nothing changed, first night"] = night(url, token, folder, days=1)
        for turn, share in enumerate(SHARES, 1):
            change(url, secret, token, share, turn)
            costs[f"{share:.1%} of the records changed"] = night(url, token, folder, days=turn + 1)
        nothing = last_run(folder, 2)
        start = started(url, folder)
    title = f"Nights, longitudinal and sparse, {records:,} records"
    ledger = ", ".join(f"{name} {value}" for name, value in nothing.items())
    return "\n".join(
        [table(title, costs, "full load"), f"the night without changes: {ledger}", *beyond_start(costs, start)]
    )


def beyond_start(costs: Mapping[str, Cost], start: Cost) -> list[str]:
    """What each load takes once it has started, beside the full load."""
    whole = costs["full load"].cpu - start.cpu
    lines = [f"start-up, to the first request and the end of the process: {start.cpu:.2f} CPU s; beyond it:"]
    for name, cost in costs.items():
        more = cost.cpu - start.cpu
        lines.append(f"  {name}: {more:.2f} CPU s, {more / whole:.1%} of the full load's")
    return lines


def quiet_nights(records: int, rounds: int = 3, latency: float = 0.1) -> str:
    """Nights without changes on a server that takes a moment to answer: by the known structure, or reading it."""
    known, read = "structure known", "structure read"
    costs: dict[str, list[Cost]] = {known: [], read: []}
    requests: dict[str, list[object]] = {known: [], read: []}
    with simulated("longitudinal", records) as (url, token, secret), tempfile.TemporaryDirectory() as folder:
        mirror = Path(folder) / "warehouse" / "work" / "study.duckdb"
        night(url, token, folder)
        control(url, secret, "latency", {"seconds": latency})
        for turn in range(2 * rounds):
            name = read if turn % 2 else known
            if name == read:
                with open_writer(mirror) as connection:
                    connection.execute("DELETE FROM state.known_structure")
            costs[name].append(night(url, token, folder))
            with open_reader(mirror) as connection:
                # A night without changes is not published, so its ledger is in the mirror only.
                row = one(connection, "SELECT requests FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1")
            requests[name].append(row and row[0])
    title = f"Quiet nights, longitudinal, {records:,} records, {latency} s a request, median of {rounds}"
    medians = {name: median(some) for name, some in costs.items()}
    asked = "; ".join(f"{name}: {', '.join(map(str, some))}" for name, some in requests.items())
    return f"{table(title, medians, known)}\nrequests of each night: {asked}"


def thirty_nights(records: int, count: int = 30, share: float = 0.01) -> str:
    """How the mirror grows over many nights, beside a fresh copy of what is in it."""
    sizes = []
    with simulated("longitudinal", records) as (url, token, secret), tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "warehouse" / "work" / "study.duckdb"
        for turn in range(count + 1):
            night(url, token, folder, days=turn)
            sizes.append(work.stat().st_size)
            change(url, secret, token, share, turn + 1)
        needed = compact_size(work, Path(folder) / "compact.duckdb")
    grown = sizes[-1] / needed
    return (
        f"{count} nights, {share:.0%} of {records:,} records changed in each\n"
        f"mirror: {sizes[0] / 1e6:.1f} MB after the first load, {sizes[-1] / 1e6:.1f} MB after the last night; "
        f"its content written afresh takes {needed / 1e6:.1f} MB: {grown:.2f} ×"
    )


def night(url: str, token: str, folder: str, days: int = 0) -> Cost:
    """One load as a user runs it, on a computer for which as many days have passed as for the server."""
    import sys

    environment = {"BENCH_TOKEN": token, "BENCH_CLOCK_AHEAD": str(days * 86_400)}
    return run([sys.executable, "-m", "bench.contestants", "ours", url, folder], environment)


def started(url: str, folder: str) -> Cost:
    """A load of a loaded project whose first request is refused, because its token is none."""
    import sys

    refused = [sys.executable, "-m", "bench.contestants", "refused", url, folder]
    return min((run(refused, {"BENCH_TOKEN": "0" * 32}) for _ in range(3)), key=lambda cost: cost.cpu)


def change(url: str, secret: str, token: str, share: float, turn: int) -> None:
    """A day passes on the server, in whose middle some records get another blood pressure."""
    control(url, secret, "clock/advance", {"seconds": 43_200})
    with RedcapClient(url, Token(token)) as client:
        rows = json.loads(_export(client))
        ids = list(dict.fromkeys(row["record_id"] for row in rows))
        wanted = set(ids[turn :: max(1, round(1 / share))]) if share else set()
        edited = [
            {**row, FIELD: str(90 + (int(row[FIELD]) + turn) % 60)}
            for row in rows
            if row["record_id"] in wanted and row[FIELD]
        ]
        for part in _parts(edited, 2000):
            client.import_records(part)
    control(url, secret, "clock/advance", {"seconds": 43_200})


def _export(client: RedcapClient) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.json"
        client.export_records_to(path, format="json", fields=["record_id", FIELD])
        return path.read_text()


def _parts(rows: list[dict[str, str]], size: int) -> Iterator[list[dict[str, str]]]:
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def control(url: str, secret: str, command: str, asked: dict[str, object]) -> None:
    """Tell the simulator something that is no part of REDCap."""
    place = url.removesuffix("api/") + f"_simulator/{command}"
    headers = {"Authorization": f"Bearer {secret}"}
    urllib.request.urlopen(urllib.request.Request(place, json.dumps(asked).encode(), headers, method="POST")).close()


def last_run(folder: str, back: int) -> dict[str, object]:
    """What the ledger says of the run after so many others."""
    with open_reader(Path(folder) / "warehouse" / "warehouse.duckdb", "warehouse") as connection:
        shown = ("mode", "records_loaded", "rows_inserted", "rows_updated", "requests", "seconds")
        row = connection.execute(
            f"SELECT {', '.join(shown)} FROM redcap.sync_runs ORDER BY started_at LIMIT 1 OFFSET {back}"
        ).fetchone()
    return dict(zip(shown, row or (), strict=True))


def compact_size(source: Path, fresh: Path) -> int:
    """How large a file is when its content is written into a new one."""
    compact(source, fresh, memory_limit="1GB")
    return fresh.stat().st_size
