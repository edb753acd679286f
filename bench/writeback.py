"""10,000 cells over 2,000 records into REDCap: guarded by us, by the bare requests that takes, and unguarded by PyCap.

`python -m bench.writeback` compares; `python -m bench.writeback NAME URL FOLDER` is one contestant, a whole process.
The warehouse is loaded and the proposals are made beforehand, which is not measured: they are the night's work and the
cleaner's. It is done twice: with the simulator as fast as it can, where a request costs next to nothing, and with one
at the pace of servers on record (REDCAP API, Limits), where waiting is what there is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

from bench.full_load import simulated
from bench.measure import Cost, claim, median, run, table

RECORDS = 2000
FIELDS = ("town", "remarks", "glucose", "systolic", "initials")
NAMES = {
    "ours": "redcap-warehouse writeback --apply",
    "bare": "the requests it takes, and nothing else",
    "pycap": "PyCap import_records, unguarded",
}
STRUCTURE = (
    "version", "project", "metadata", "exportFieldNames", "instrument", "arm", "event", "formEventMapping",
    "repeatingFormsEvents", "user", "userRole", "userRoleMapping", "dag", "userDagMapping",
)  # fmt: skip
# How the answers of whole records grow from the first to the last.
CHUNKS = (50, 50, 200, 800, 900)
# Our requests at the same time, where their order does not matter.
AT_ONCE = 2


def cells(turn: int) -> Iterator[tuple[str, str, str]]:
    """The cells of a turn: record, field, value; every turn has other values, so that each really writes."""
    for record in range(1, RECORDS + 1):
        yield str(record), "town", f"Town {turn}-{record % 97}"
        yield str(record), "remarks", f"Cleaned in turn {turn}, record {record}."
        yield str(record), "glucose", f"{5 + turn / 100 + record % 7:.2f}"
        yield str(record), "systolic", str(100 + turn + record % 40)
        yield str(record), "initials", "abcdefghij"[turn % 10] * (1 + record % 5)


def prepare(url: str, folder: Path, turn: int) -> None:
    """Load the study and propose the turn's cells."""
    config = folder / "projects.yaml"
    config.write_text(
        f"servers: {{bench: {{url: {url}}}}}\n"
        "projects:\n  study: {token: {env: BENCH_TOKEN}, writeback: "
        "{instruments: [enrolment, examination, identification], max_cells: 20000, max_record_share: 1}}\n"
    )
    proposals = folder / "cells.csv"
    lines = ["record,field,new_value", *(f'{record},{name},"{value}"' for record, name, value in cells(turn))]
    proposals.write_text("\n".join(lines) + "\n")
    for words in (["sync"], ["propose", "study", str(proposals), "--batch", f"turn {turn}"]):
        command = [sys.executable, "-m", "pipelines.cli", *words, "--config", str(config)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))


def ours(url: str, folder: Path) -> None:
    """The command as a person runs it, publishing included."""
    from pipelines.cli.main import main

    sys.argv = ["redcap-warehouse", "writeback", "study", "--apply", "--config", str(folder / "projects.yaml")]
    main()


def bare(url: str, folder: Path) -> None:
    """The same requests, as many at the same time, their answers read and thrown away."""
    import httpx

    rows = wide_rows(int((folder / "turn").read_text()))
    with httpx.Client(timeout=600) as client, ThreadPoolExecutor(AT_ONCE) as pool:

        def ask(**form: object) -> None:
            data = {"token": os.environ["BENCH_TOKEN"], "format": "json", "returnFormat": "json"}
            client.post(url, data=data | {name: str(value) for name, value in form.items()}).read()

        def export(records: Sequence[str], fields: Sequence[str], form: str = "json") -> None:
            listed = {f"records[{at}]": record for at, record in enumerate(records)}
            listed |= {f"fields[{at}]": name for at, name in enumerate(fields)}
            extra = {} if fields else {"exportSurveyFields": "true", "exportDataAccessGroups": "true"}
            ask(content="record", type="flat", exportBlankForGrayFormStatus="true", **listed, **extra, format=form)

        for content in STRUCTURE:
            ask(content=content)
        statuses = ("enrolment_complete", "examination_complete", "identification_complete")
        wanted = ("record_id", *FIELDS, *statuses)
        ids = [row["record_id"] for row in rows]
        halves = (slice(0, 1000), slice(1000, None))
        list(pool.map(lambda half: export(ids[half], wanted), halves))
        for half in halves:
            ask(content="project")
            export(ids[half], wanted)
            ask(content="record", data=json.dumps(rows[half]), overwriteBehavior="normal")
            export(ids[half], wanted)
        ends = list(accumulate(CHUNKS))
        list(pool.map(lambda size, end: export(ids[end - size : end], (), "csv"), CHUNKS, ends))


def pycap(url: str, folder: Path) -> None:
    """What a script does today: the frame, imported."""
    import pandas as pd
    from redcap import Project

    frame = pd.DataFrame(wide_rows(int((folder / "turn").read_text()))).set_index("record_id")
    Project(url, os.environ["BENCH_TOKEN"]).import_records(frame, import_format="df")


def wide_rows(turn: int) -> list[dict[str, str]]:
    """The turn's cells, one row a record."""
    rows: dict[str, dict[str, str]] = {}
    for record, name, value in cells(turn):
        rows.setdefault(record, {"record_id": record})[name] = value
    return list(rows.values())


CONTESTANTS: dict[str, Callable[[str, Path], None]] = {"ours": ours, "bare": bare, "pycap": pycap}


def compare(rounds: int, contestants: Sequence[str], pace: tuple[str, float, float]) -> str:
    """The table; contestants take turns, each writing values of its own.

    `pace` is its name, seconds a request and microseconds a cell.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    answered: dict[str, tuple[int, int]] = {}
    turn = 0
    words, seconds, microseconds = pace
    with simulated("classic", RECORDS) as (url, token, secret):
        os.environ["BENCH_TOKEN"] = token
        for _ in range(rounds):
            for name in contestants:
                turn += 1
                with tempfile.TemporaryDirectory() as place:
                    folder = Path(place)
                    (folder / "turn").write_text(str(turn))
                    if name == "ours":
                        set_pace(url, secret, 0, 0)
                        prepare(url, folder, turn)
                    set_pace(url, secret, seconds, microseconds)
                    command = [sys.executable, "-m", "bench.writeback", name, url, str(folder)]
                    before = answers(url, secret)
                    costs[name].append(run(command, {"BENCH_TOKEN": token}))
                    after = answers(url, secret)
                    answered[name] = (after[0] - before[0], after[1] - before[1])
    medians = {NAMES[name]: median(costs[name]) for name in contestants}
    title = f"Write-back, {RECORDS * len(FIELDS):,} cells over {RECORDS:,} records, {words}, median of {rounds}"
    ratio = medians[NAMES["ours"]].wall / medians[NAMES["bare"]].wall
    told = f"planned, sent, verified and published in {ratio:.2f} × the time of the bare requests"
    listed = "; ".join(
        f"{NAMES[name]}: {number} requests, {size / 1e6:.2f} MB" for name, (number, size) in answered.items()
    )
    return f"{table(title, medians, NAMES['bare'])}\n{listed}\n{told}\n{claim(NAMES['ours'], medians)}"


def answers(url: str, secret: str) -> tuple[int, int]:
    """How many requests the simulator has answered so far, and with how many bytes: contestants should be alike."""
    request = urllib.request.Request(url.replace("/api/", "/_simulator/requests"), b"{}", _bearing(secret))
    with urllib.request.urlopen(request, timeout=20) as answer:
        listed = json.load(answer)
    return len(listed), sum(each["bytes"] for each in listed)


def set_pace(url: str, secret: str, seconds: float, microseconds: float) -> None:
    """How long the simulator takes for a request and a cell."""
    asked = json.dumps({"seconds": seconds, "microseconds_a_cell": microseconds}).encode()
    request = urllib.request.Request(url.replace("/api/", "/_simulator/latency"), asked, _bearing(secret))
    urllib.request.urlopen(request, timeout=20).close()


def _bearing(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


PACES = (("at full speed", 0.0, 0.0), ("at 50,000 cells a second", 0.1, 20.0))


def writeback(rounds: int) -> str:
    """Both comparisons."""
    return "\n\n".join(compare(rounds, tuple(NAMES), pace) for pace in PACES)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        CONTESTANTS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
    else:
        print(writeback(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
