"""Damaged study files: loading gives a project that answers every export, or one error with a message.

`make fuzz` tries 1,000; `FUZZ_STUDIES=5000 pytest tests/simulator/test_mutated_studies.py -m fuzz` tries more.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from redcap_source.simulator import Project, Simulator, SimulatorError, load_project, make_study
from redcap_source.simulator.api.router import HANDLERS
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic, repeating
from tests.simulator.mutations import mutated

STUDIES = int(os.environ.get("FUZZ_STUDIES", "1000"))
# What a project may refuse for what it is: classic ones have no events, and not every project repeats.
REFUSABLE = ("arm", "event", "formEventMapping", "repeatingFormsEvents")
ASKED = sorted(
    content for content, action in HANDLERS if action == "export" and not content.startswith("survey")
    and content not in ("file", "fileRepository", "pdf", "report", "participantList")
)  # fmt: skip
MAKERS: dict[str, Callable[[], Project]] = {
    "classic": lambda: classic({"id": "1", "name": "Ada", "age": "30", "race___1": "1"}, {"id": "2", "kg": "3.5"}),
    "longitudinal": repeating,
    "registry": lambda: make_study("repeating", records=2),
}


@pytest.fixture(scope="module")
def files() -> list[dict[str, bytes]]:
    """The files of each study, as they are downloaded from REDCap."""
    saved = []
    with Simulator() as simulator:
        for name, make in MAKERS.items():
            ask = Asker(simulator.url, simulator.add_project(make(), name=name))
            folder = {"metadata.csv": ask(content="metadata", format="csv"),
                      "records.csv": ask(content="record", format="csv"),
                      "users.csv": ask(content="user", format="csv")}  # fmt: skip
            if ask.project.project.is_longitudinal:
                folder |= {"events.csv": ask(content="event", format="csv"),
                           "form_event_mapping.csv": ask(content="formEventMapping", format="csv"),
                           "repeating_forms_events.csv": ask(content="repeatingFormsEvents", format="csv")}  # fmt: skip
            jsons = {name.replace(".csv", ".json"): ask(content=content, format="json")
                     for name, content in (("metadata.csv", "metadata"), ("records.csv", "record"))}  # fmt: skip
            for texts in ({"project.xml": ask(content="project_xml")}, folder, {**folder, **jsons}):
                # JSON would be read instead of CSV, so that damage to the CSV would have no effect.
                twice = {name.replace(".json", ".csv") for name in texts if name.endswith(".json")}
                saved.append({name: text.encode() for name, text in texts.items() if name not in twice})
    return saved


def check(simulator: Simulator, place: Path, name: str) -> bool:
    """Whether a folder is loaded; if so, its project answers, and if not, the error has a message."""
    try:
        project = load_project(place)
    except SimulatorError as error:
        assert len(str(error)) > 20
        return False
    ask = Asker(simulator.url, simulator.add_project(project, name=name))
    for content in ASKED:
        status, body, _ = ask.raw(content=content, format="json")
        assert status == 200 or (status == 400 and content in REFUSABLE), (content, status, body[:200])
        assert body, content
    return True


def run(files: list[dict[str, bytes]], folder: Path, count: int, seed: int) -> tuple[int, int]:
    """How many of so many damaged studies are loaded, and how many refused."""
    loaded = 0
    with Simulator() as simulator:
        for number in range(count):
            choose = random.Random(f"{seed} {number}")
            study = dict(choose.choice(files))
            for name in choose.sample(sorted(study), choose.randint(1, min(2, len(study)))):
                study[name] = mutated(study[name], choose)
            place = folder / str(number)
            place.mkdir()
            for name, content in study.items():
                (place / name).write_bytes(content)
            try:
                loaded += check(simulator, place, str(number))
            except Exception as error:
                cause = simulator.failures[0] if simulator.failures else error
                raise AssertionError(f"study {number} of seed {seed}: {sorted(study)}") from cause
            simulator.projects.clear()
    return loaded, count - loaded


def test_some_damaged_studies_are_loaded_or_refused_with_a_message(files, tmp_path):
    loaded, refused = run(files, tmp_path, 30, seed=1)
    assert loaded and refused


@pytest.mark.fuzz
def test_a_thousand_damaged_studies_are_loaded_or_refused_with_a_message(files, tmp_path):
    run(files, tmp_path, STUDIES, seed=int(os.environ.get("FUZZ_SEED", "7")))
