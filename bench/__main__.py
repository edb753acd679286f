"""`make bench`: prints every comparison. `python -m bench --records 500 --rounds 1` is a quick look."""

from __future__ import annotations

import argparse
import sys

from bench.dense import dense
from bench.fleet import fleet
from bench.full_load import NAMES, SimulatorDied, full_load, memory
from bench.measure import ContestantFailed
from bench.nights import nights, quiet_nights, thirty_nights
from bench.proposals import proposals
from bench.queries import queries
from bench.server_time import server_time
from bench.side_by_side import side_by_side
from bench.streaming import streaming
from bench.width import width
from bench.writeback import writeback


def main() -> None:
    """Run the benchmarks one after another; nothing else should run on the machine meanwhile."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--records", type=int, default=5000, help="records of the full load's study")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--projects", type=int, default=100, help="projects of the fleet")
    options.add_argument("--without-pycap", action="store_true")
    chosen = options.parse_args()
    contestants = ("ours", "floor") if chosen.without_pycap else tuple(NAMES)
    try:
        print(full_load(chosen.records, chosen.rounds, contestants), flush=True)
        print(flush=True)
        print(memory((chosen.records, chosen.records * 4)), flush=True)
        print(flush=True)
        print(dense(chosen.records * 20), flush=True)
        print(flush=True)
        print(streaming(chosen.records * 2, max(5, chosen.rounds)), flush=True)
        print(flush=True)
        for records in (chosen.records, chosen.records * 10):
            print(nights(records), flush=True)
            print(flush=True)
        print(quiet_nights(chosen.records, chosen.rounds), flush=True)
        print(flush=True)
        print(thirty_nights(chosen.records), flush=True)
        print(flush=True)
        print(queries(), flush=True)
        print(flush=True)
        print(fleet(chosen.projects), flush=True)
        print(flush=True)
        width(["7,256 fields in 109"])
        print(flush=True)
        print(server_time((200, 500, chosen.records)), flush=True)
        print(flush=True)
        print(side_by_side(), flush=True)
        print(flush=True)
        print(writeback(chosen.rounds))
        print(flush=True)
        print(proposals())
    except (SimulatorDied, ContestantFailed) as problem:
        sys.exit(f"{type(problem).__name__}: {problem}")


if __name__ == "__main__":
    main()
