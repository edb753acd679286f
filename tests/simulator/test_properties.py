"""Random projects and random imports against a second, plainer idea of what REDCap exports."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_source.simulator import Simulator, api
from redcap_source.simulator.dictionary import Dictionary, Field
from redcap_source.simulator.parameters import Parameters
from redcap_source.simulator.project import Event, Project

CODES = ("1", "-4", "Aa", "k>=9", "0", "5.5", "UNK_2")
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from('\n",/|;'), min_size=1, max_size=12
)


@dataclass
class Design:
    """A project as the model sees it: forms of (field, type, codes), where they are, what repeats."""

    forms: dict[str, list[tuple[str, str, list[str]]]]
    events: dict[str, list[str]]
    longitudinal: bool
    repeating_forms: set[tuple[str, str]]
    repeating_events: set[str]
    rows: dict[tuple[str, str, str, int], dict[str, str]] = field(default_factory=dict)

    @property
    def repeats(self) -> bool:
        return bool(self.repeating_forms or self.repeating_events)


@st.composite
def designs(draw) -> Design:
    kinds = st.sampled_from(["text", "notes", "radio", "checkbox", "yesno", "integer"])
    forms = {}
    for number in range(draw(st.integers(1, 3))):
        name = f"form_{'abc'[number]}"
        size = draw(st.integers(1, 4))
        forms[name] = [
            (
                f"f{number}_{at}",
                draw(kinds),
                draw(st.lists(st.sampled_from(CODES), min_size=1, max_size=4, unique=True)),
            )
            for at in range(size)
        ]
    longitudinal = draw(st.booleans())
    names = [f"ev_{n}_arm_1" for n in range(draw(st.integers(1, 3)))] if longitudinal else [""]
    subsets = st.sets(st.sampled_from(list(forms)), min_size=1)
    events = {name: [f for f in forms if not longitudinal or f in draw(subsets)] or list(forms)[:1] for name in names}
    if longitudinal and "form_a" not in events[names[0]]:
        events[names[0]] = list(forms)
    repeating_events = {name for name in names if longitudinal and draw(st.integers(0, 3)) == 0}
    places = [(e, f) for e in names for f in events[e] if e not in repeating_events and f != "form_a"]
    repeating_forms = {place for place in places if draw(st.integers(0, 2)) == 0}
    return Design(forms, events, longitudinal, repeating_forms, repeating_events)


def project_of(design: Design) -> Project:
    fields = [Field("id", "form_a", field_label="ID")]
    for form, rows in design.forms.items():
        for name, kind, codes in rows:
            fields.append(
                Field(
                    name,
                    form,
                    field_type="text" if kind == "integer" else kind,
                    text_validation_type_or_show_slider_number="integer" if kind == "integer" else "",
                    select_choices_or_calculations=" | ".join(f"{code}, Label {code}" for code in codes)
                    if kind in ("radio", "checkbox")
                    else "",
                )
            )
    project = Project(Dictionary(fields))
    if design.longitudinal:
        project.settings["is_longitudinal"] = 1
        project.arms = {1: "Arm"}
        project.events = [Event(n, name, 1, name) for n, name in enumerate(design.events, start=1)]
        project.mapping = {n: tuple(forms) for n, forms in enumerate(design.events.values(), start=1)}
    ids = (
        {event.unique_name: event.event_id for event in project.events}
        if design.longitudinal
        else {"": project.events[0].event_id}
    )
    project.repeating_forms = {(ids[e], f): "" for e, f in design.repeating_forms}
    project.repeating_events = {ids[e] for e in design.repeating_events}
    return project


def columns_of(name: str, kind: str, codes: list[str]) -> list[str]:
    if kind != "checkbox":
        return [name]
    cleaned = ["".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in code.lower()) for code in codes]
    return list(dict.fromkeys(f"{name}___{code}" for code in cleaned))


@st.composite
def imports(draw, design: Design) -> dict[str, str]:
    event = draw(st.sampled_from(list(design.events)))
    form = draw(st.sampled_from(design.events[event]))
    row = {"id": draw(st.sampled_from(["1", "2", "10", "x-1"]))}
    if design.longitudinal:
        row["redcap_event_name"] = event
    if event in design.repeating_events or (event, form) in design.repeating_forms:
        row["redcap_repeat_instrument"] = "" if event in design.repeating_events else form
        row["redcap_repeat_instance"] = str(draw(st.integers(1, 3)))
    for name, kind, codes in design.forms[form]:
        if draw(st.booleans()):
            continue
        if kind == "checkbox":
            row[draw(st.sampled_from(columns_of(name, kind, codes)))] = draw(st.sampled_from(["0", "1"]))
        elif kind == "radio":
            row[name] = draw(st.sampled_from(codes))
        elif kind == "yesno":
            row[name] = draw(st.sampled_from(["0", "1"]))
        elif kind == "integer":
            row[name] = str(draw(st.integers(-99, 99)))
        else:
            row[name] = draw(TEXT)
    return row


def remember(design: Design, row: dict[str, str]) -> None:
    """What an import does, in the model."""
    keys = ("id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
    record, event, instrument = (row.get(key, "") for key in keys[:3])
    instance = int(row.get("redcap_repeat_instance", 0))
    is_new = not any(place[0] == record for place in design.rows)
    values = {name: value for name, value in row.items() if name not in keys}
    if is_new and instrument:
        design.rows.setdefault((record, event, "", 0), {})
    old = design.rows.get((record, event, instrument, instance), {})
    told = {n: v for n, v in values.items() if v != "0" or "___" not in n or old.get(n) == "1"}
    if instrument and not told and (record, event, instrument, instance) not in design.rows:
        return
    kept = design.rows.setdefault((record, event, instrument, instance), {})
    changed = {name: value for name, value in told.items() if kept.get(name, "") != value}
    kept.update(changed)
    for form, fields in design.forms.items():
        columns = {column for f in fields for column in columns_of(*f)}
        if columns & {name for name, value in changed.items() if value}:
            kept.setdefault(f"{form}_complete", "0")


def expected(design: Design, *, untouched: str = "0") -> list[dict[str, str]]:
    """The flat export, in the model; an instrument nobody touched has the status `untouched`."""
    order = {"1": 0, "2": 1, "10": 2, "x-1": 3}
    forms, events = ["", *design.forms], list(design.events)
    places = sorted(design.rows, key=lambda p: (order[p[0]], events.index(p[1]), forms.index(p[2]), p[3]))
    return [expected_row(design, place, untouched) for place in places]


def expected_row(design: Design, place: tuple[str, str, str, int], untouched: str) -> dict[str, str]:
    record, event, instrument, instance = place
    row = {"id": record}
    if design.longitudinal:
        row["redcap_event_name"] = event
    if design.repeats:
        row |= {"redcap_repeat_instrument": instrument, "redcap_repeat_instance": str(instance or "")}
    for form, fields in design.forms.items():
        here = form in design.events[event] and (
            form == instrument
            or (not instrument and (event in design.repeating_events or (event, form) not in design.repeating_forms))
        )
        for each in fields:
            for column in columns_of(*each):
                blank = "0" if here and each[1] == "checkbox" else ""
                row[column] = design.rows[place].get(column) or blank
        row[f"{form}_complete"] = design.rows[place].get(f"{form}_complete") or (untouched if here else "")
    return row


class Direct:
    """Asks a site without HTTP."""

    def __init__(self, project: Project) -> None:
        self._simulator = Simulator()
        self._token = self._simulator.add_project(project, name="p").token

    def __call__(self, **asked: str) -> tuple[int, str]:
        pairs = [("token", self._token), ("content", "record"), *asked.items()]
        answer = api.answer(self._simulator._site, Parameters(pairs))
        body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        return answer.status, body.decode()

    def rows(self, **asked: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self(format="csv", **asked)[1], newline="")))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_is_exported_is_what_was_imported(data):
    design = data.draw(designs())
    ask = Direct(project_of(design))
    for _ in range(data.draw(st.integers(0, 8))):
        row = data.draw(imports(design))
        status, body = ask(format="json", data=json.dumps([row]))
        assert (status, body) == (200, '{"count":1}'), (row, body)
        remember(design, row)
    assert ask.rows() == expected(design)
    assert ask.rows(exportBlankForGrayFormStatus="true") == expected(design, untouched="")

    as_json = json.loads(ask(format="json")[1])
    assert [{key: str(cell) for key, cell in row.items()} for row in as_json] == expected(design)
    twin = Direct(project_of(design))
    exported = ask(format="csv")[1]
    if design.rows:
        assert twin(format="csv", data=exported)[0] == 200
    assert {tuple(row.items()) for row in twin.rows()} >= {tuple(row.items()) for row in ask.rows()}
