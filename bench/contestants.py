"""The contestants of the full load, each a whole process: `python -m bench.contestants NAME URL FOLDER`.

The token comes from the environment variable BENCH_TOKEN. Every contestant ends with the data in a DuckDB file.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

# As pipelines.warehouse.database.connection has them, which the other contestants do not import.
SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def ours(url: str, folder: Path) -> None:
    """The nightly load as a user runs it, publishing included."""
    config = folder / "projects.yaml"
    config.write_text(
        f"servers: {{bench: {{url: {url}}}}}\nprojects: {{study: {{server: bench, token: {{env: BENCH_TOKEN}}}}}}\n"
    )
    from pipelines.cli.main import command

    if ahead := float(os.environ.get("BENCH_CLOCK_AHEAD", "0")):
        _set_clock(timedelta(seconds=ahead))
    sys.argv = ["redcap-warehouse", "sync", "--config", str(config)]
    command()


def _set_clock(ahead: timedelta) -> None:
    """Let loads take the time from a clock that runs with the server's, where days have passed for both."""
    import pipelines.fleet.load_one as fleet
    from pipelines.run import utc_now

    fleet.load_project = partial(fleet.load_project, now=lambda: utc_now() + ahead)  # type: ignore[assignment]


def refused(url: str, folder: Path) -> None:
    """The same load where the server refuses the token: what it takes to start, and to end."""
    try:
        ours(url, folder)
    except SystemExit as ending:
        assert ending.code == 1, ending.code


def pycap_documented(url: str, folder: Path) -> None:
    """PyCap's documented way with large projects: the id column as it comes, then 100 of its entries at a time.

    In a longitudinal project an id comes once for each of its events; the advice takes no notice of that.
    """
    _pycap(url, folder, distinct=False)


def pycap_distinct(url: str, folder: Path) -> None:
    """The same by someone who noticed: each id once, 100 records at a time."""
    _pycap(url, folder, distinct=True)


def _pycap(url: str, folder: Path, *, distinct: bool) -> None:
    import duckdb
    import pandas as pd
    from redcap import Project

    project = Project(url, os.environ["BENCH_TOKEN"])
    ids = [row[project.def_field] for row in project.export_records(fields=[project.def_field])]
    ids = list(dict.fromkeys(ids)) if distinct else ids
    rows: list[dict[str, object]] = []
    for first in range(0, len(ids), 100):
        rows.extend(project.export_records(records=ids[first : first + 100]))
    frame = pd.DataFrame(rows)
    _store(duckdb, frame, folder)


def pycap_frame(url: str, folder: Path) -> None:
    """PyCap in one request, as a DataFrame with guessed types."""
    import duckdb
    from redcap import Project

    frame = Project(url, os.environ["BENCH_TOKEN"]).export_records(format_type="df").reset_index()
    _store(duckdb, frame, folder)


def _store(duckdb: object, frame: object, folder: Path) -> None:
    connection = duckdb.connect(str(folder / "pycap.duckdb"), config=SETTINGS)  # type: ignore[attr-defined]
    connection.register("frame", frame)
    connection.execute("CREATE TABLE records AS SELECT * FROM frame")
    connection.close()


def floor(url: str, folder: Path) -> None:
    """The least there is to do: the same bytes to disk in one request, and one wide table of text from them."""
    import duckdb
    import httpx

    body = folder / "records.csv"
    form = {"token": os.environ["BENCH_TOKEN"], "content": "record", "format": "csv", "type": "flat"}
    with httpx.stream("POST", url, data=form, timeout=600) as answer, body.open("wb") as file:
        for piece in answer.iter_bytes():
            file.write(piece)
    connection = duckdb.connect(str(folder / "floor.duckdb"), config=SETTINGS)
    connection.execute(f"CREATE TABLE records AS SELECT * FROM read_csv('{body}', all_varchar = true, header = true)")
    connection.close()


CONTESTANTS = {
    "ours": ours,
    "refused": refused,
    "pycap_documented": pycap_documented,
    "pycap_distinct": pycap_distinct,
    "pycap_frame": pycap_frame,
    "floor": floor,
}


if __name__ == "__main__":
    CONTESTANTS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
