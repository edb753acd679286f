"""A fleet of projects in one warehouse: what publishing, opening and asking cost, beside how much changed.

`python -m bench.fleet` prints the figures of 100 projects, `--projects 20` is a quick look. Every figure is that of a
process of its own, without what the same process takes to start.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.measure import Cost, run
from bench.width import Shape, even, make_project

# The projects of a fleet, over and over: as institutions have them, most small and some wide. Together 100 of them have
# about 770 instruments and 15,000 columns.
SHAPES = (
    Shape(even(60, 3), 60),
    Shape(even(110, 6), 40),
    Shape(even(170, 9), 40),
    Shape(even(260, 13), 30),
)
OPEN = "import duckdb, sys; duckdb.connect(sys.argv[1], read_only=True).execute({query!r}).fetchall()"
NOTHING = "import duckdb; duckdb.connect().execute('SELECT 1').fetchall()"
TIMED_OPEN = """
import duckdb, sys, time
begun = time.process_time()
duckdb.connect(sys.argv[1], read_only=True).execute("SELECT 1").fetchall()
print(time.process_time() - begun)
"""
CHANGES = "SELECT count(*) FROM redcap.record_changes WHERE project = 'p007'"


def fleet(projects: int) -> str:
    """The figures of a fleet, as text."""
    from redcap_source.simulator import Simulator

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
        names = [f"p{number:03}" for number in range(projects)]
        handles = {
            name: simulator.add_project(make_project(SHAPES[at % len(SHAPES)]), name=name)
            for at, name in enumerate(names)
        }
        tokens = {f"T_{name}": handle.token for name, handle in handles.items()}
        _configure(Path(folder), simulator.url, names)
        # What the process takes to start; the first may have to compile what it imports.
        empty = _Warehouse(Path(folder) / "empty", tokens)
        empty.publish()
        idle = empty.publish()
        warehouse = _Warehouse(Path(folder), tokens)
        warehouse.load(names)
        lines = [f"A fleet of {projects} projects"]

        def show(what: str, cost: Cost, base: Cost, more: str = "") -> None:
            lines.append(f"{what:44} {cost.cpu - base.cpu:6.2f} CPU s  {more}")

        warehouse.release(names)
        first = warehouse.publish()
        show("first publish of all", first, idle, f"{first.peak_mb:.0f} MB peak, file {warehouse.size / 1e6:.0f} MB")
        nothing = _python(NOTHING)
        opened = _python(OPEN.format(query="SELECT 1"), warehouse.database)
        lines.append(
            f"{'open and SELECT 1, in a process that runs':44} {_seconds_to_open(warehouse.database):6.2f} CPU s"
        )
        show("a process that opens it, beside an empty file", opened, nothing, "with what it takes to end")
        show(
            "record_changes of one project, once open", _python(OPEN.format(query=CHANGES), warehouse.database), opened
        )
        show("status", run([sys.executable, "-m", "pipelines.cli", "status"], warehouse.environment), Cost(0, 0, 0))
        for share in (0, max(1, projects // 20), 1):
            changed = names[:share]
            for name in changed:
                _edit(handles[name])
            warehouse.load(names if not share else changed)
            warehouse.release(names if not share else changed)
            before = warehouse.digest
            cost = warehouse.publish()
            written = "nothing written" if warehouse.digest == before else f"{warehouse.size / 1e6:.0f} MB written"
            show(f"publish with {share} of them changed", cost, idle, written)
    return "\n".join(lines)


class _Warehouse:
    """A warehouse on disk, and the processes that use it."""

    def __init__(self, folder: Path, tokens: Mapping[str, str]) -> None:
        self.environment = {**tokens, "REDCAP_WAREHOUSE_CONFIG": str(folder / "projects.yaml")}
        self.database = folder / "warehouse" / "warehouse.duckdb"
        os.environ.update(self.environment)

    @property
    def size(self) -> int:
        return self.database.stat().st_size

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.database.read_bytes()).hexdigest()

    def load(self, names: list[str]) -> None:
        from pipelines.config.load import load_config
        from pipelines.sync.load import load_project

        config = load_config()
        for name in names:
            load_project(config, config.project(name))

    def release(self, names: list[str]) -> None:
        from pipelines.warehouse.folder import WarehouseFolder
        from pipelines.warehouse.publishing.candidates import release
        from pipelines.warehouse.store.file_store import FileStore

        for name in names:
            release(FileStore(WarehouseFolder(self.database.parent)), name)

    def publish(self) -> Cost:
        peak = self.database.parent.parent / "peak"
        command = [sys.executable, "-m", "bench.fleet", "--publish", str(self.database.parent), str(peak)]
        cost = run(command, self.environment)
        # What the system says of a child's memory includes what its parent had when it was started.
        return replace(cost, peak_mb=int(peak.read_text()) / 1000)


def _configure(folder: Path, url: str, names: list[str]) -> None:
    listed = "\n".join(f"  {name}: {{server: here, token: {{env: T_{name}}}}}" for name in names)
    server = f"{{url: {url}}}"
    (folder / "projects.yaml").write_text(f"servers:\n  here: {server}\nprojects:\n{listed}\n")


def _edit(handle: object) -> None:
    """Change one value of one record, as a person does."""
    fields = handle.project.dictionary.fields  # type: ignore[attr-defined]
    free = next(f.field_name for f in fields if f.field_type == "notes")
    handle.save("1", {free: f"changed {os.urandom(3).hex()}"})  # type: ignore[attr-defined]


def _python(code: str, *arguments: object) -> Cost:
    costs = [run([sys.executable, "-c", code, *map(str, arguments)], {}) for _ in range(5)]
    return min(costs, key=lambda cost: cost.cpu)


def _seconds_to_open(database: Path) -> float:
    """The CPU seconds of opening the file and one query, without those of a process that starts and ends."""
    processes = [
        subprocess.run([sys.executable, "-c", TIMED_OPEN, str(database)], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    return min(float(process.stdout) for process in processes)


def _publish(folder: str, peak: str) -> None:
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.publishing.publish import publish

    publish(WarehouseFolder(Path(folder)))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    Path(peak).write_text(status["VmHWM"].split()[0])


def main() -> None:
    """Run the benchmark; nothing else should run on the machine meanwhile."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--projects", type=int, default=100)
    options.add_argument("--publish", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.publish:
        _publish(*chosen.publish)
    else:
        print(fleet(chosen.projects), flush=True)


if __name__ == "__main__":
    main()
