"""Analysts' queries on the published tables, beside the same data loaded by hand into native tables of a file.

`python -m bench.queries` prints a ratio for each query, CPU time of one thread, both files warm and in one process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import duckdb

from bench.measure import run
from bench.width import served
from pipelines.warehouse.database.connection import SETTINGS

SHAPE = "40 fields in 1, 50,000 records"
ROUNDS = 9


def queries() -> str:
    """A line for each query: what it takes by hand, published, and the ratio of both."""
    with served(SHAPE) as (url, token, _), tempfile.TemporaryDirectory() as folder:
        run([sys.executable, "-m", "bench.contestants", "ours", url, folder], {"BENCH_TOKEN": token})
        published, by_hand = Path(folder) / "warehouse" / "warehouse.duckdb", Path(folder) / "by_hand.duckdb"
        with duckdb.connect(str(by_hand), config=dict(SETTINGS)) as connection:
            connection.execute(f"ATTACH '{published}' AS published (READ_ONLY)")
            connection.execute("CREATE SCHEMA study; CREATE TABLE study.form_1 AS FROM published.study.form_1")
            types = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE study.form_1)").fetchall())
        asked = _asked(types)
        there, here = _times(by_hand, asked), _times(published, asked)
    lines = [f"Analysts' queries, {SHAPE}: milliseconds by hand, published, ratio"]
    for name in asked:
        lines.append(f"{name:28} {there[name]:8.1f} {here[name]:8.1f}   {here[name] / there[name]:.2f}")
    return "\n".join(lines)


def _asked(types: Mapping[str, str]) -> dict[str, str]:
    numbers = [name for name, kind in types.items() if kind in ("DOUBLE", "BIGINT")]
    [date, *_] = [name for name, kind in types.items() if kind == "DATE"]
    [code, *_] = [name for name, kind in types.items() if kind == "VARCHAR" and name not in ("record_id",)]
    averages = ", ".join(f"avg({name})" for name in numbers[:6])
    return {
        "average of six numbers": f"SELECT {averages} FROM study.form_1",
        "a filter on a number": f"SELECT count(*) FROM study.form_1 WHERE {numbers[0]} > 50",
        "a filter on a date": f"SELECT count(*) FROM study.form_1 WHERE {date} > DATE '2016-01-01'",
        "values in every column": "SELECT count(COLUMNS(*)) FROM study.form_1",
        "groups by a code": f"SELECT {code}, count(*), avg({numbers[1]}) FROM study.form_1 GROUP BY 1",
        "one record": "SELECT * FROM study.form_1 WHERE record_id = '4711'",
        "all rows": "SELECT count(*) FROM (SELECT * FROM study.form_1 ORDER BY record_id)",
    }


def _times(database: Path, asked: Mapping[str, str]) -> dict[str, float]:
    """The least CPU time of each query, in milliseconds."""
    with duckdb.connect(str(database), read_only=True, config=dict(SETTINGS)) as connection:
        connection.execute("SET threads = 1")
        return {name: min(_milliseconds(connection, query) for _ in range(ROUNDS)) for name, query in asked.items()}


def _milliseconds(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    began = time.process_time()
    connection.execute(query).fetchall()
    return (time.process_time() - began) * 1000


def main() -> None:
    """Print the comparison; nothing else should run on the machine meanwhile."""
    print(queries(), flush=True)


if __name__ == "__main__":
    main()
