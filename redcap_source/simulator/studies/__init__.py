"""Made-up studies of any size, the same for the same seed. All people and data in them are invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.studies import classic, longitudinal, repeating, wide


class Study(NamedTuple):
    """A kind of study: what it shows, its name in a demonstration, the function that makes it."""

    description: str
    demo_name: str
    make: Callable[..., Project]


STUDIES: Mapping[str, Study] = {
    "classic": Study(
        "one row a record: every field type and validation, odd checkbox codes, missing data codes",
        "heart_study",
        classic.make,
    ),
    "longitudinal": Study(
        "a vaccine trial: two arms of 19 events, 20 instruments, three sites, about 19 rows a record",
        "vaccine_trial",
        longitudinal.make,
    ),
    "repeating": Study(
        "an asthma registry: repeating instruments, a repeating event, surveys with time stamps, missing data codes",
        "asthma_registry",
        repeating.make,
    ),
    "wide": Study("dense rows of any width, made as they are read, for measuring", "wide_study", wide.make),
}


def make_study(kind: str, records: int = 100, seed: int = 1, **options: int) -> Project:
    """A study of a kind with that many records; `wide` also takes `fields` and `instruments`."""
    if kind not in STUDIES:
        raise SimulatorError(f"There is no study '{kind}'; choose from {', '.join(STUDIES)}.")
    if records < 0:
        raise SimulatorError("A study cannot have fewer than 0 records.")
    return STUDIES[kind].make(records=records, seed=seed, **options)
