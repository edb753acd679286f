"""A night after a busy day: what REDCap's log costs in memory and CPU time, by its length.

`python -m bench.long_log` prints the table; `--rows 0 300000` chooses the lengths.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import timedelta
from random import Random

from bench.measure import Cost, table
from bench.nights import night
from redcap_source.simulator import ProjectHandle, Simulator, make_study
from redcap_source.simulator.state.log import LogRow

LENGTHS = (0, 150_000, 300_000)
RECORDS = 2000
# So many of them are in the log, each many times.
BUSY = 200
# Rows of forms with a dozen fields are about so long.
FIELDS = 12


def long_log(lengths: tuple[int, ...] = LENGTHS) -> str:
    """A first load, then nights that find so many new rows in the log."""
    costs: dict[str, Cost] = {}
    for rows in lengths:
        with Simulator() as simulator, tempfile.TemporaryDirectory() as folder:
            handle = simulator.add_project(make_study("classic", records=RECORDS, seed=1), name="study")
            night(simulator.url, handle.token, folder)
            write_log(simulator, handle, rows)
            costs[f"{rows:,} new rows in the log"] = night(simulator.url, handle.token, folder)
    return table(f"A night after a busy day, {RECORDS:,} records", costs, next(iter(costs)))


def write_log(simulator: Simulator, handle: ProjectHandle, rows: int) -> None:
    """Have people save forms all through the last hour, which every night looks back at."""
    chance = Random(1)
    begin = simulator.clock.now() - timedelta(minutes=55)
    ids = handle.records()[:BUSY]
    names = [field.field_name for field in handle.project.dictionary.fields if field.field_type == "text"][1:]
    for number in range(rows):
        record = ids[number % len(ids)]
        details = ", ".join(f"{name} = '{chance.randrange(10**9)}'" for name in (names * FIELDS)[:FIELDS])
        at = simulator.clock.local(begin + timedelta(minutes=50) * number / rows)
        handle.project.log.add(
            LogRow(at, "nurse1", "record_edit", f"Update record {record}", details, record, effect="data")
        )


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=LENGTHS)
    print(long_log(tuple(options.parse_args().rows)))


if __name__ == "__main__":
    main()
