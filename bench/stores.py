"""The two stores side by side: publishing one changed project of many into each, and analysts' queries on both.

`python -m bench.stores` needs DuckDB 1.5.5 with its extensions (`PYTHONPATH=.venv/lake`) and the programs of a
PostgreSQL server; `--projects 20` is a quick look. Everything is read from the same mirrors, by the same process and
the same DuckDB. PostgreSQL's own time is in the wall time only.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Cost
from bench.width import Shape, even, make_project
from pipelines.config.load import load_config
from pipelines.sync.load import load_project
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.lake.address import Lake
from pipelines.warehouse.lake.attach import reading
from pipelines.warehouse.lake.publish import LakePublisher, Mirrors
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.publishing.publish import publish
from redcap_source.simulator import Simulator

SHAPE = Shape(even(150, 15), 40)
LARGE = Shape(even(20, 1), 20_000)
QUERIES = {
    "count of rows": "SELECT count(*) FROM large.form_1",
    "one record": "SELECT * FROM large.form_1 WHERE record_id = '77'",
    "groups of a text": "SELECT {text}, count(*) FROM large.form_1 GROUP BY ALL",
    "changes of one project": "SELECT count(*) FROM redcap.record_changes WHERE project = 'p001'",
}
ROUNDS = 5


def stores(projects: int) -> str:
    """The figures, as text."""
    from tests.support.postgres import running_postgres

    names = [f"p{number:03}" for number in range(projects)]
    with tempfile.TemporaryDirectory() as home, Simulator() as simulator:
        folder = Path(home)
        handles = {name: simulator.add_project(make_project(SHAPE), name=name) for name in names}
        handles["large"] = simulator.add_project(make_project(LARGE), name="large")
        config = _configured(folder, simulator.url, {name: handle.token for name, handle in handles.items()})
        warehouse = WarehouseFolder(folder / "warehouse")
        runs = {each: load_project(config, config.project(each), sleep=lambda seconds: None).run_id for each in handles}
        with running_postgres(folder / "postgres") as url:
            lake = Lake(url, str(folder / "lake"))
            publisher = LakePublisher(lake, (warehouse.work,), folder / "spill")
            mirrors = Mirrors(lambda name: _mirror(warehouse, name), runs.get)
            lines = [f"One store of files and a lake, {projects} projects of 15 instruments: CPU s (wall s), ratio"]

            def compared(what: str, file: Callable[[], object], into: Callable[[], object]) -> None:
                one, other = _cost(file), _cost(into)
                lines.append(
                    f"{what:44} {one.cpu:7.2f} ({one.wall:6.2f})  {other.cpu:7.2f} ({other.wall:6.2f})   "
                    f"{other.cpu / one.cpu:5.2f}"
                )

            compared("first publish of all", lambda: publish(warehouse), lambda: publisher.publish(runs, mirrors))
            name = names[len(names) // 2]
            for what, stays in (
                ("one changed, for the first time", True),
                ("one changed, a publisher that goes on", True),
                ("one changed, a new one", False),
            ):
                handle = handles[name]
                field = next(f.field_name for f in handle.project.dictionary.fields if f.field_type == "notes")
                handle.save("1", {field: what})
                runs[name] = load_project(config, config.project(name), sleep=lambda seconds: None).run_id
                if not stays:
                    publisher.close()
                compared(what, lambda: publish(warehouse), lambda: publisher.publish((name,), mirrors))
            publisher.close()
            lines += _queries(warehouse, lake, handles["large"].project.dictionary.fields[1].field_name)
    return "\n".join(lines)


def _queries(warehouse: WarehouseFolder, lake: Lake, text: str) -> Iterator[str]:
    yield "Queries on both, open and warm, one thread: CPU ms, ratio"
    with open_published(warehouse) as file:
        there = {name: _asked(file, query.format(text=text)) for name, query in QUERIES.items()}
    with reading(lake) as opened:
        here = {name: _asked(opened, query.format(text=text)) for name, query in QUERIES.items()}
    for name in QUERIES:
        yield f"{name:44} {there[name]:16.1f}  {here[name]:16.1f}   {here[name] / there[name]:5.2f}"


def _asked(connection: object, query: str) -> float:
    took = []
    for _ in range(ROUNDS + 1):
        begun = time.process_time()
        connection.execute(query).fetchall()
        took.append(1000 * (time.process_time() - begun))
    return statistics.median(took[1:])


def _cost(work: Callable[[], object]) -> Cost:
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return Cost(time.monotonic() - wall, time.process_time() - cpu, 0)


@contextmanager
def _mirror(warehouse: WarehouseFolder, name: str) -> Iterator[Path]:
    yield warehouse.mirror(name)


def _configured(folder: Path, url: str, tokens: dict[str, str]) -> object:
    lines = [f"servers: {{sim: {{url: {url}}}}}", "projects:"]
    for name, token in tokens.items():
        (folder / f"{name}.token").touch(mode=0o600)
        (folder / f"{name}.token").write_text(token)
        lines.append(f"  {name}: {{token: {{file: {folder / f'{name}.token'}}}}}")
    (folder / "projects.yaml").write_text("\n".join(lines) + "\n")
    return load_config(folder / "projects.yaml")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--projects", type=int, default=100)
    print(stores(options.parse_args().projects))
