"""The demo: three simulated studies, the nightly Dagster job over them, and a tour of what came of it.

`redcap-warehouse demo` runs it and ends; `python -m pipelines.demo` keeps the simulator running and opens the Dagster
UI over the same projects. Everything the demo makes lies in its folder and in the warehouse beside it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from pipelines.config.settings import Config
from pipelines.console.tables import show_standings, stdout
from pipelines.defs.example_cleaning import PROJECT
from pipelines.demo.studies import Institution, studies, work_a_day
from pipelines.demo.tour import NEXT_DAY, TOUR, WAY_BACK, tour
from pipelines.errors import WarehouseError
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published.status import statuses


def run_demo(folder: Path, records: int) -> None:
    """Two nights of the studies through the nightly job, a working day between them, and a tour of what came of it.

    A second demo begins anew.
    """
    from pipelines.demo.in_process import nightly_instance, run_nightly, run_writeback

    console = stdout()
    began = time.monotonic()
    with studies(folder, records) as institution, nightly_instance(folder / "dagster") as instance:
        config = institution.config
        console.print(
            f"A simulated REDCap with {len(config.projects)} studies runs on this machine. "
            "The nightly Dagster job loads them, one run a project:",
            soft_wrap=True,
        )

        def night(project: str) -> list[str]:
            return run_nightly(config, project, instance)

        _night(console, config, night)
        console.print()
        warehouse = WarehouseFolder(config.warehouse)
        show_standings(statuses(warehouse, list(config.projects)))
        tour(console, warehouse, TOUR)
        console.print()
        console.print("The next day", style="bold underline")
        console.print(f"People work in REDCap: {work_a_day(institution)}. The job runs again:", soft_wrap=True)
        _night(console, config, night)
        tour(console, warehouse, NEXT_DAY)
        console.print()
        console.print("The way back", style="bold underline")
        console.print(
            "An asset cleans the towns of the heart study with pandas and proposes them; meanwhile a nurse corrects "
            "one herself. The job writes back:",
            soft_wrap=True,
        )
        _write_back(console, institution, lambda: run_writeback(config, PROJECT, instance, apply=True))
        tour(console, warehouse, WAY_BACK)
    _what_next(console, config, time.monotonic() - began)


def _night(console: Console, config: Config, night: Callable[[str], list[str]]) -> None:
    for project in config.projects:
        started = time.monotonic()
        if failures := night(project):
            raise WarehouseError(" ".join(failures))
        console.print(f"  {project}: loaded in {time.monotonic() - started:.1f} s")


def _write_back(console: Console, institution: Institution, write_back: Callable[[], list[str]]) -> None:
    heart = institution.handles[PROJECT]
    institution.simulator.before_request(lambda: heart.save("6", {"town": "North Haverbrook"}))
    started = time.monotonic()
    if failures := write_back():
        raise WarehouseError(" ".join(failures))
    console.print(f"  {PROJECT}: compared, written and read back in {time.monotonic() - started:.1f} s")


def _what_next(console: Console, config: Config, seconds: float) -> None:
    command = f"{Path(sys.argv[0]).parent / 'redcap-warehouse'} sql --config {os.path.relpath(config.path)}"
    database = WarehouseFolder(config.warehouse).database
    console.print(
        f"Done in {seconds:.0f} s. The warehouse is {os.path.relpath(database)}: open it with DuckDB, Python, R or a "
        "BI tool, or try",
        soft_wrap=True,
    )
    example = "SELECT * FROM asthma_registry.spirometry LIMIT 5"
    console.print(f'  {command} "{example}"', markup=False, soft_wrap=True)
    console.print(f"  {command}", markup=False, soft_wrap=True)
    console.print("and see the same projects in the Dagster UI with `make dev`.")
