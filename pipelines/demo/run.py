"""The demo: three simulated studies, the nightly Dagster job over them, and a tour of the resulting warehouse.

`redcap-warehouse demo` runs it and ends; `python -m pipelines.demo` keeps the simulator running and opens the Dagster
UI over the same projects. Everything the demo makes is in its folder and in the warehouse beside it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from pipelines.config.settings import Config
from pipelines.console.tables import show_statuses, stdout
from pipelines.defs.example_cleaning import PROJECT
from pipelines.demo.studies import DemoEnvironment, studies, work_a_day
from pipelines.demo.tour import NEXT_DAY, TOUR, WRITEBACK, tour
from pipelines.errors import WarehouseError
from pipelines.store import open_store


def run_demo(folder: Path, records: int) -> None:
    """Load the studies on two nights with a working day between them, write values back, and show the results.

    A second demo starts from scratch. `records` is the number of each study.
    """
    from pipelines.demo.in_process import nightly_instance, run_nightly, run_writeback

    console = stdout()
    began = time.monotonic()
    with (
        studies(folder, records) as demo,
        nightly_instance(folder / "dagster") as instance,
        open_store(demo.config) as store,
    ):
        config, published = demo.config, store.published

        def load(project: str) -> list[str]:
            return run_nightly(config, project, instance)

        _first_night(console, config, load)
        show_statuses(store.statuses(list(config.projects)))
        tour(console, published, TOUR)
        _second_night(console, demo, load)
        tour(console, published, NEXT_DAY)
        _write_back(console, demo, lambda: run_writeback(config, PROJECT, instance, apply=True))
        tour(console, published, WRITEBACK)
        _what_next(console, config, published.place, time.monotonic() - began)


def _first_night(console: Console, config: Config, load: Callable[[str], list[str]]) -> None:
    console.print(
        f"A simulated REDCap with {len(config.projects)} studies runs on this machine. "
        "The nightly Dagster job loads them, one run per project:",
        soft_wrap=True,
    )
    _load_all(console, config, load)
    console.print()


def _second_night(console: Console, demo: DemoEnvironment, load: Callable[[str], list[str]]) -> None:
    _title(console, "The next day")
    console.print(f"People work in REDCap: {work_a_day(demo)}. The job runs again:", soft_wrap=True)
    _load_all(console, demo.config, load)


def _load_all(console: Console, config: Config, load: Callable[[str], list[str]]) -> None:
    for project in config.projects:
        started = time.monotonic()
        if failures := load(project):
            raise WarehouseError(" ".join(failures))
        console.print(f"  {project}: loaded in {time.monotonic() - started:.1f} s")


def _write_back(console: Console, demo: DemoEnvironment, write_back: Callable[[], list[str]]) -> None:
    _title(console, "Write-back")
    console.print(
        "An asset cleans the towns of the heart study with pandas and proposes them; meanwhile a nurse corrects one "
        "in REDCap. The job writes back:",
        soft_wrap=True,
    )
    heart = demo.handles[PROJECT]
    demo.simulator.before_request(lambda: heart.save("6", {"town": "North Haverbrook"}))
    started = time.monotonic()
    if failures := write_back():
        raise WarehouseError(" ".join(failures))
    console.print(f"  {PROJECT}: compared, written and read back in {time.monotonic() - started:.1f} s")


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold underline")


def _what_next(console: Console, config: Config, place: str, seconds: float) -> None:
    command = f"{Path(sys.argv[0]).parent / 'redcap-warehouse'} sql --config {os.path.relpath(config.path)}"
    console.print(
        f"Done in {seconds:.0f} s. The warehouse is {os.path.relpath(place)}: open it with DuckDB, Python, R or a "
        "BI tool, or try",
        soft_wrap=True,
    )
    example = "SELECT * FROM asthma_registry.spirometry LIMIT 5"
    console.print(f'  {command} "{example}"', markup=False, soft_wrap=True)
    console.print(f"  {command}", markup=False, soft_wrap=True)
    console.print("and see the same projects in the Dagster UI with `make dev`.")
