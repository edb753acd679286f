"""Three simulated studies, and a day's work on them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.config.load import load_config
from pipelines.config.settings import Config
from pipelines.defs.example_cleaning import PROJECT, demo_mark
from pipelines.errors import ConfigError
from redcap_source.simulator import STUDIES, ProjectHandle, Simulator, make_study

KINDS = ("classic", "longitudinal", "repeating")


# The simulated studies are seeded, so every demo shows the same figures.
SEED = 1


DEV_RECORDS = 150


def work_a_day(demo: DemoEnvironment) -> str:
    """Enter, correct, delete and rename records, as people would; returns a summary in words."""
    heart = demo.handles[STUDIES["classic"].demo_name]
    trial = demo.handles[STUDIES["longitudinal"].demo_name]
    asthma = demo.handles[STUDIES["repeating"].demo_name]
    heart.save("3", {"town": "Springfield", "zip": "02139"})
    heart.save("4", {"town": " shelbyville"})
    heart.save("6", {"town": "ogdenville"})
    heart.save("new-1", {"first_name": "Ada", "town": "Capital City"})
    heart.delete("2")
    heart.rename("5", "5-moved")
    heart.add_field(
        {
            "field_name": "cycles",
            "form_name": "enrolment",
            "field_type": "yesno",
            "field_label": "Cycles to work?",
        }
    )
    heart.save("3", {"cycles": "1"})
    event = next(row.unique_name for row in trial.project.events)
    trial.save(trial.records()[0], {"initials": "XY"}, event=event)
    asthma.save(asthma.records()[0], {"height": "171"})
    return (
        "in the heart study some records are corrected, one is new, one is deleted, one gets another id, and the study "
        "gains a field; one value each changes in the others"
    )


@dataclass(frozen=True, slots=True)
class DemoEnvironment:
    """The demo's REDCap, its projects by name, and the configuration that points at it."""

    config: Config
    simulator: Simulator
    handles: Mapping[str, ProjectHandle]


@contextmanager
def studies(folder: Path, records: int, *, fresh: bool = True) -> Iterator[DemoEnvironment]:
    """Run the simulator with the demo's studies, with a projects.yaml that points at it and tokens in the environment.

    With `fresh`, what an earlier demo made is removed first.
    """
    if fresh:
        _remove_earlier(folder)
    simulator = Simulator()
    handles = {
        STUDIES[kind].demo_name: simulator.add_project(
            make_study(kind, records=records, seed=SEED), name=STUDIES[kind].demo_name
        )
        for kind in KINDS
    }
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with simulator:
        lines = ["# Made by the demo.", f"warehouse: {warehouse_of(folder)}"]
        lines += ["servers:", f"  simulator: {{url: {simulator.url}}}", "projects:"]
        for name, handle in handles.items():
            variable = f"REDCAP_TOKEN_{name.upper()}"
            os.environ[variable] = handle.token
            allowed = ", writeback: {fields: [town, zip]}" if name == PROJECT else ""
            lines.append(f"  {name}: {{server: simulator, token: {{env: {variable}}}{allowed}}}")
        path = folder / "projects.yaml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield DemoEnvironment(load_config(path), simulator, handles)


def warehouse_of(folder: Path) -> Path:
    """The warehouse's folder, beside the demo's."""
    return folder.absolute().parent / "warehouse"


def _remove_earlier(folder: Path) -> None:
    """Remove what an earlier demo made; ConfigError if the warehouse is not a demo's."""
    warehouse = warehouse_of(folder)
    mark = demo_mark(warehouse)
    if warehouse.exists() and not mark.exists() and any(warehouse.iterdir()):
        raise ConfigError(
            f"{warehouse} is a warehouse that the demo did not make, so nothing was changed.",
            remedy="Run the demo from another folder, or give it one: redcap-warehouse demo --folder /tmp/try/demo",
        )
    shutil.rmtree(warehouse, ignore_errors=True)
    shutil.rmtree(folder / "dagster", ignore_errors=True)
    warehouse.mkdir(parents=True, mode=0o700)
    mark.touch(mode=0o600)
