"""A night of a fleet in each store: in files, in a lake with one loader, and in a lake that two loaders share.

`python -m bench.fleet_stores` needs DuckDB 1.5.5 with its extensions (`PYTHONPATH=.venv/lake`) and the programs of a
PostgreSQL server; `--projects 20` is a quick look. Each loader is the command `sync` that loads one project at a time,
all on this machine, and the lake's data are in a folder. PostgreSQL's and the simulator's own time is in the wall time
only.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from bench.measure import Cost
from bench.width import Shape, even, make_project
from redcap_source.simulator import Simulator

SHAPE = Shape(even(30, 3), 20)
KINDS = {"files": ("files",), "a lake, one loader": ("alone",), "a lake, two loaders": ("one", "two")}


def fleet_stores(projects: int) -> str:
    """The figures, as text."""
    from tests.support.loaders import Loaders
    from tests.support.postgres import ask, running_postgres

    with tempfile.TemporaryDirectory() as home, Simulator() as simulator:
        folder = Path(home)
        with running_postgres(folder / "postgres") as url:
            places = {}
            for number, kind in enumerate(KINDS):
                ask(url, f"CREATE DATABASE fleet{number}")
                catalog = f"{url.rpartition('/')[0]}/fleet{number}"
                places[kind] = Loaders(folder / str(number), simulator, catalog, str(folder / f"lake{number}"), {})
            places["files"].data = ""
            handles = [simulator.add_project(make_project(SHAPE), name=f"p{at:03}") for at in range(projects)]
            for place in places.values():
                place.handles = {handle.name: handle for handle in handles}
            lines = [f"A night of {projects} projects of 3 instruments: CPU s (wall s), ratio to files"]
            text = next(f.field_name for f in handles[0].project.dictionary.fields if f.field_type == "notes")
            for night, changed in (("the first", 0), ("one in five changed", 5), ("nothing changed", 0)):
                for handle in handles[::changed] if changed else ():
                    handle.save("1", {text: night})
                costs = {kind: _night(places[kind], names) for kind, names in KINDS.items()}
                base = costs["files"]
                for kind, cost in costs.items():
                    lines.append(
                        f"{night:22} {kind:22} {cost.cpu:8.1f} ({cost.wall:7.1f})   "
                        f"{cost.cpu / base.cpu:5.2f} ({cost.wall / base.wall:5.2f})"
                    )
    return "\n".join(lines)


def _night(place: object, names: tuple[str, ...]) -> Cost:
    from tests.support.loaders import outputs

    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    outputs(*[place.loader(name).start("sync", "--jobs", "1") for name in names], seconds=7200)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - begun, cpu, 0)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--projects", type=int, default=100)
    print(fleet_stores(options.parse_args().projects))
