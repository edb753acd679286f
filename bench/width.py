"""Wide dictionaries: what a first load and a quiet night of each take, in memory and in CPU time.

`python -m bench.width` prints all shapes, `python -m bench.width --shape "1,700 fields in 1"` one of them. With
`--serve` it is the simulated REDCap that holds a shape, a process of its own. Nothing in the configuration is set but
the server, so what is measured is what a person gets who has just installed the warehouse.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.measure import Cost, table
from bench.nights import control, night

if TYPE_CHECKING:
    from redcap_source.simulator.state.project import Project

# The fields of a wide dictionary, over and over: type, validation and choices.
KINDS = (
    ("text", "", ""),
    ("text", "integer", ""),
    ("radio", "", "1, Never | 2, Seldom | 3, Sometimes | 4, Often | 5, Always"),
    ("text", "number", ""),
    ("yesno", "", ""),
    ("text", "date_ymd", ""),
    ("dropdown", "", "1, North | 2, South | 3, Island"),
    ("notes", "", ""),
    ("slider", "", "not at all | medium | very"),
    ("text", "datetime_ymd", ""),
    ("calc", "", "1 + 1"),
    ("text", "", ""),
    ("radio", "", "0, No | 1, Yes | 9, Unknown"),
    ("text", "integer", ""),
    ("text", "number_2dp", ""),
    ("text", "time", ""),
    ("checkbox", "", "1, Fever | 2, Fatigue | 3, Headache | 4, Chills"),
)

# Values of a column are drawn from so many.
POOL = 23


@dataclass(frozen=True, slots=True)
class Shape:
    """A dictionary, by how its fields are spread over instruments, and who is in it."""

    fields: tuple[int, ...]
    """How many each instrument has."""
    records: int
    events: int = 1
    limit_mb: int = 1000
    """What a load may take."""


def even(fields: int, instruments: int) -> tuple[int, ...]:
    """So many fields over so many instruments."""
    return tuple((fields * (at + 1)) // instruments - (fields * at) // instruments for at in range(instruments))


def uneven(fields: int, instruments: int) -> tuple[int, ...]:
    """The same, but as wide studies are: a few instruments hold most of the fields."""
    weights = [1 / (at + 3) for at in range(instruments)]
    sizes = [max(2, int(fields * weight / sum(weights))) for weight in weights]
    return (sizes[0] + fields - sum(sizes), *sizes[1:])


SHAPES = {
    "2,000 columns in 1": Shape((1647,), 100, limit_mb=500),
    "2,000 columns in 40": Shape(even(1615, 40), 100, limit_mb=500),
    "1,700 fields in 1": Shape((1700,), 5),
    "7,256 fields in 109": Shape(uneven(7256, 109), 10),
    "40 fields in 1, 50,000 records": Shape((40,), 50_000),
    "5,000 fields in 1": Shape((5000,), 50),
    "15,000 fields in 1": Shape((15000,), 20),
    "15,000 fields in 3": Shape(even(15000, 3), 200),
    "15,000 fields in 300": Shape(even(15000, 300), 200),
    "15,000 fields in 1,500": Shape(even(15000, 1500), 20),
    "15,000 fields in 150, 60 events": Shape(even(15000, 150), 5, events=60),
}


def width(shapes: Sequence[str]) -> None:
    """Print a line for each night of each shape, and whether the load stayed within its limit."""
    for name in shapes:
        shape = SHAPES[name]
        costs: dict[str, Cost] = {}
        with served(name) as (url, token, secret), tempfile.TemporaryDirectory() as folder:
            costs["first load"] = night(url, token, folder)
            for day, kind in enumerate(("quiet night", "another quiet night"), 1):
                control(url, secret, "clock/advance", {"seconds": 86_400})
                costs[kind] = night(url, token, folder, days=day)
        peak = max(cost.peak_mb for cost in costs.values())
        verdict = "within" if peak < shape.limit_mb else "OVER"
        print(table(f"{name}, {shape.records} records", costs, "first load"))
        print(f"peak {peak:,.0f} MB, {verdict} {shape.limit_mb:,} MB", flush=True)


@contextmanager
def served(shape: str) -> Iterator[tuple[str, str, str]]:
    """A simulator in a process of its own; its URL, the study's token, and the secret of its control endpoint."""
    command = [sys.executable, "-m", "bench.width", "--serve", "--shape", shape]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        try:
            url, token, secret = json.loads(simulator.stdout.readline())
            yield url, token, secret
        finally:
            simulator.terminate()


def serve(shape: Shape) -> None:
    """Simulate REDCap with the study until terminated; the first line of output is its URL, token and secret."""
    from redcap_source.simulator import Simulator

    with Simulator() as simulator:
        handle = simulator.add_project(make_project(shape), name="study")
        print(json.dumps([simulator.url, handle.token, simulator.control_secret]), flush=True)
        threading.Event().wait()


def make_project(shape: Shape) -> Project:
    """A simulated study of a shape; nobody in it is real."""
    from redcap_source.simulator.state.design import Event
    from redcap_source.simulator.state.dictionary import Dictionary, Field
    from redcap_source.simulator.state.project import Project
    from redcap_source.simulator.state.records import Record

    rows = [Field("record_id", "form_1", field_label="Record")]
    for form, size in enumerate(shape.fields, 1):
        for number in range(1, size + (form > 1)):
            kind, validation, choices = KINDS[(form + number) % len(KINDS)]
            rows.append(
                Field(
                    f"f{form}_{number}",
                    f"form_{form}",
                    field_type=kind,
                    field_label=f"Field {number} of instrument {form}",
                    select_choices_or_calculations=choices,
                    text_validation_type_or_show_slider_number=validation,
                )
            )
    dictionary = Dictionary(rows)
    project = Project(dictionary)
    project.settings["project_title"] = "Wide study"
    if shape.events > 1:
        project.settings["is_longitudinal"] = 1
        project.events = [Event(at, f"Visit {at}", 1, f"visit_{at}_arm_1") for at in range(1, shape.events + 1)]
        # Each instrument in a few of the events, as trials have it.
        project.mapping = {
            event.event_id: tuple(form for at, form in enumerate(dictionary.forms) if (at + event.event_id) % 7 == 0)
            for event in project.events
        }
    pools = {
        column: [_value(dictionary, column, seed) for seed in range(POOL)]
        for column in dictionary.columns
        if column.name != "record_id"
    }
    columns_of = {
        event.event_id: [(c.name, pool) for c, pool in pools.items() if c.form in forms]
        for event in project.events
        for forms in (set(project.forms_at(event.event_id)),)
    }
    for number in range(1, shape.records + 1):
        slots = {
            # A field in five is blank.
            (event, "", 0): {
                name: pool[(number + event) % POOL] for at, (name, pool) in enumerate(columns, number) if at % 5
            }
            for event, columns in columns_of.items()
        }
        project.records.put(Record(str(number), slots))
    return project


def _value(dictionary: object, column: object, seed: int) -> str:
    """Something of the column's kind."""
    field = dictionary.by_name.get(column.field)  # type: ignore[attr-defined]
    if field is None:
        return "2"
    turn = seed * 7 + len(column.name) + sum(map(ord, column.name[-2:]))  # type: ignore[attr-defined]
    if field.field_type == "checkbox":
        return str(turn % 2)
    if field.choices:
        return list(field.choices)[turn % len(field.choices)]
    made = {
        "integer": str(turn % 200),
        "number": f"{turn % 97}.{turn % 10}",
        "number_2dp": f"{turn % 97}.{turn % 90 + 10}",
        "date_ymd": f"20{turn % 14 + 10}-{turn % 12 + 1:02}-{turn % 28 + 1:02}",
        "datetime_ymd": f"20{turn % 14 + 10}-{turn % 12 + 1:02}-{turn % 28 + 1:02} {turn % 24:02}:{turn % 60:02}",
        "time": f"{turn % 24:02}:{turn % 60:02}",
    }
    if field.field_type in ("slider", "calc"):
        return str(turn % 101)
    return made.get(field.validation, f"words, some {turn}")


def main() -> None:
    """Run the shapes one after another; nothing else should run on the machine meanwhile."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--shape", action="append", choices=SHAPES, help="only this one; may be given again")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        serve(SHAPES[chosen.shape[0]])
    else:
        width(chosen.shape or tuple(SHAPES))


if __name__ == "__main__":
    main()
