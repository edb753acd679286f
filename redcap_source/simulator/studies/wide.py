"""Dense rows of any width, each made when it is read, so that a large study needs no memory and no time to make."""

from __future__ import annotations

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.dictionary import Dictionary, Field
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, RecordStore, Slot
from redcap_source.simulator.studies.values import chance_of

KINDS = ("integer", "number_2dp", "text", "date_ymd", "radio")
# Each column has so many values, in an order that differs by record.
POOL = 97


def make(*, records: int, seed: int, fields: int = 100, instruments: int = 5) -> Project:
    """A project of that many fields in that many instruments."""
    if not 1 <= instruments <= fields:
        raise SimulatorError("A wide study needs at least one field an instrument.")
    project = Project(dictionary=Dictionary(_fields(fields, instruments)))
    project.settings["project_title"] = "Wide study"
    names = [column.name for column in project.dictionary.columns if column.field != "record_id"]
    pools = [_pool(at, name, seed) for at, name in enumerate(names)]
    columns = list(zip(names, pools, strict=True))
    slot: Slot = (project.events[0].event_id, "", 0)

    rows: dict[int, dict[str, str]] = {}

    def made(record: str) -> Record:
        # All but the first column repeat every POOL records, so that a record is made in almost no time.
        number = int(record)
        row = rows.get(number % POOL)
        if row is None:
            row = {name: pool[(number * (at + 3)) % POOL] for at, (name, pool) in enumerate(columns)}
            rows[number % POOL] = row
        own = {"field_1": f"{number}.00"} if "field_1" in row else {}
        return Record(record, {slot: {**row, **own}})

    project.records = RecordStore(makes=made, makeable=map(str, range(1, records + 1)))
    return project


def _fields(count: int, instruments: int) -> list[Field]:
    found = [Field("record_id", "form_1", field_label="Record")]
    for number in range(1, count):
        form = f"form_{1 + number * instruments // count}"
        kind = KINDS[number % len(KINDS)]
        is_choice = kind == "radio"
        found.append(
            Field(
                f"field_{number}",
                form,
                field_type="radio" if is_choice else "text",
                field_label=f"Field {number}",
                select_choices_or_calculations="1, One | 2, Two | 3, Three" if is_choice else "",
                text_validation_type_or_show_slider_number="" if kind in ("radio", "text") else kind,
            )
        )
    return found


def _pool(at: int, name: str, seed: int) -> list[str]:
    chance = chance_of("wide", seed, name)
    if name.endswith("_complete"):
        return ["2"] * POOL
    kind = KINDS[int(name.removeprefix("field_")) % len(KINDS)]
    if kind == "integer":
        return [str(chance.randint(0, 9999)) for _ in range(POOL)]
    if kind == "number_2dp":
        return [f"{chance.uniform(0, 500):.2f}" for _ in range(POOL)]
    if kind == "date_ymd":
        return [
            f"20{chance.randint(10, 24)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}" for _ in range(POOL)
        ]
    if kind == "radio":
        return [chance.choice("123") for _ in range(POOL)]
    return [f"text {chance.randint(1, 10**6)}" for _ in range(POOL)]
