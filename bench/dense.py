"""A hundred million dense cells: what a first load of them takes, beside a tenth of them.

`python -m bench.dense RECORDS FIELDS` is the simulated REDCap that holds them, a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.full_load import cost_of
from bench.measure import table

FIELDS = 1000
INSTRUMENTS = 20


def dense(records: int) -> str:
    """First loads of a classic study of 1,000 fields, every one filled in: of a tenth of the records, and of all."""
    costs = {}
    for some in (records // 10, records):
        with served(some, FIELDS) as (url, token):
            costs[f"{some * FIELDS / 1e6:,.0f} million cells"] = cost_of("ours", url, token)
    title = f"Dense study of {FIELDS:,} fields, {records // 10:,} and {records:,} records (redcap-warehouse sync)"
    return table(title, costs, next(iter(costs)))


@contextmanager
def served(records: int, fields: int) -> Iterator[tuple[str, str]]:
    """A simulator in a process of its own; its URL and the study's token."""
    command = [sys.executable, "-m", "bench.dense", str(records), str(fields)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        try:
            url, token = json.loads(simulator.stdout.readline())
            yield url, token
        finally:
            simulator.terminate()


def serve(records: int, fields: int) -> None:
    """Simulate REDCap with the study until terminated; the first line of output is its URL and token."""
    from redcap_source.simulator import Simulator
    from redcap_source.simulator.studies import make_study

    study = make_study("wide", records=records, fields=fields, instruments=INSTRUMENTS)
    with Simulator() as simulator:
        handle = simulator.add_project(study, name="study")
        print(json.dumps([simulator.url, handle.token]), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
