"""Random projects and random imports against a second, plainer idea of what REDCap exports.

`FUZZ_EXAMPLES=5000 pytest tests/simulator/test_properties.py -m fuzz` looks longer.
"""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_source.simulator import Simulator
from redcap_source.simulator.api import router
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import Dictionary, Field
from redcap_source.simulator.state.project import Group, Project
from redcap_source.simulator.wire.parameters import Parameters

CODES = ("1", "-4", "Aa", "k>=9", "0", "5.5", "UNK_2", "b c", "é", "00")
MISSING = ("UNK", "-999")
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from('\n",/|;'), min_size=1, max_size=12
)
WHOLE = st.integers(-99, 99).map(str)
# Kind of field: its type, its validation, and what people enter. None is what an import does not set.
KINDS: dict[str, tuple[str, str, st.SearchStrategy[str] | None]] = {
    "text": ("text", "", TEXT),
    "notes": ("notes", "", TEXT),
    "sql": ("sql", "", TEXT),
    "slider": ("slider", "number", st.integers(0, 100).map(str)),
    "yesno": ("yesno", "", st.sampled_from("01")),
    "truefalse": ("truefalse", "", st.sampled_from("01")),
    "radio": ("radio", "", None),
    "dropdown": ("dropdown", "autocomplete", None),
    "checkbox": ("checkbox", "", None),
    "integer": ("text", "integer", WHOLE),
    "number": ("text", "number", st.sampled_from(["1", "22.0", "-3.50", "1e5", ".5"])),
    "number_2dp": ("text", "number_2dp", st.decimals(-9, 9, places=2).map(str)),
    "number_comma": ("text", "number_comma_decimal", st.sampled_from(["1,54", "-3", "0,0"])),
    "number_1dp_comma": ("text", "number_1dp_comma_decimal", st.sampled_from(["1,5", "-30,0"])),
    "date": ("text", "date_mdy", st.dates().map(str)),
    "datetime": ("text", "datetime_dmy", st.datetimes().map(lambda at: f"{at:%Y-%m-%d %H:%M}".zfill(16))),
    "seconds": ("text", "datetime_seconds_ymd", st.datetimes().map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}".zfill(19))),
    "time": ("text", "time", st.times().map(lambda at: f"{at:%H:%M}")),
    "time_seconds": ("text", "time_hh_mm_ss", st.times().map(lambda at: f"{at:%H:%M:%S}")),
    "minutes": ("text", "time_mm_ss", st.sampled_from(["00:00", "59:59", "01:30"])),
    "email": ("text", "email", st.sampled_from(["a@b.org", "A.B+c@d-e.co.uk"])),
    "phone": ("text", "phone", st.sampled_from(["(405) 321-1111", "4053211111"])),
    "zipcode": ("text", "zipcode", st.sampled_from(["02139", "02139-1234"])),
    "ssn": ("text", "ssn", st.just("123-45-6789")),
    "letters": ("text", "alpha_only", st.sampled_from(["abc", "NA"])),
    "odd": ("text", "some_type_of_this_server", TEXT),
    "ontology": ("text", "BIOPORTAL:RXNORM", TEXT),
    "file": ("file", "", None),
    "signature": ("file", "signature", None),
    "descriptive": ("descriptive", "", None),
    "calc": ("calc", "", None),
}
KEYS = ("id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group")
Place = tuple[str, str, str, int]


@dataclass
class Design:
    """A project as the model sees it: forms of (field, kind, codes), where they are, what repeats."""

    forms: dict[str, list[tuple[str, str, list[str]]]]
    events: dict[str, list[str]]
    longitudinal: bool
    repeating_forms: set[tuple[str, str]]
    repeating_events: set[str]
    missing: bool
    grouped: bool
    rows: dict[Place, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    @property
    def repeats(self) -> bool:
        return bool(self.repeating_forms or self.repeating_events)

    def columns_of(self, name: str, kind: str, codes: list[str]) -> list[str]:
        if kind == "descriptive":
            return []
        if kind != "checkbox":
            return [name]
        all_codes = [*codes, *(MISSING if self.missing else ())]
        cleaned = [
            "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in code.lower()) for code in all_codes
        ]
        return list(dict.fromkeys(f"{name}___{code}" for code in cleaned))


@st.composite
def designs(draw) -> Design:
    forms = {}
    for number in range(draw(st.integers(1, 3))):
        name = f"form_{'abc'[number]}"
        kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5))
        forms[name] = [
            (f"f{number}_{at}", kind, draw(st.lists(st.sampled_from(CODES), min_size=1, max_size=4, unique=True)))
            for at, kind in enumerate(kinds)
        ]
    longitudinal = draw(st.booleans())
    # With a single event a project would be classic, whatever its setting.
    arms = sorted(draw(st.lists(st.sampled_from([1, 2, 3]), min_size=2, max_size=4)))
    names = [f"ev_{n}_arm_{arm}" for n, arm in enumerate(arms)] if longitudinal else [""]
    subsets = st.sets(st.sampled_from(list(forms)), min_size=1)
    events = {name: [f for f in forms if not longitudinal or f in draw(subsets)] or list(forms)[:1] for name in names}
    if longitudinal and "form_a" not in events[names[0]]:
        events[names[0]] = list(forms)
    repeating_events = {name for name in names if longitudinal and draw(st.integers(0, 3)) == 0}
    places = [(e, f) for e in names for f in events[e] if e not in repeating_events and f != "form_a"]
    repeating_forms = {place for place in places if draw(st.integers(0, 2)) == 0}
    return Design(
        forms, events, longitudinal, repeating_forms, repeating_events, draw(st.booleans()), draw(st.booleans())
    )


def project_of(design: Design) -> Project:
    fields = [Field("id", "form_a", field_label="ID")]
    for form, rows in design.forms.items():
        for name, kind, codes in rows:
            field_type, validation, _ = KINDS[kind]
            choices = {
                "radio": codes, "dropdown": codes, "checkbox": codes,
            }.get(kind, [])  # fmt: skip
            given = " | ".join(f"{code}, Label, of {code}" for code in choices)
            given = calculation(design, form) if kind == "calc" else given
            fields.append(
                Field(
                    name,
                    form,
                    field_type=field_type,
                    text_validation_type_or_show_slider_number=validation,
                    select_choices_or_calculations=given,
                )
            )
    project = Project(Dictionary(fields))
    if design.missing:
        project.set_missing_codes(" | ".join(f"{code}, Not known" for code in MISSING))
    if design.grouped:
        project.groups = {name: Group(n, name.title(), name) for n, name in enumerate(("north", "south"), start=1)}
    if design.longitudinal:
        project.settings["is_longitudinal"] = 1
        arms = [int(name.rpartition("_")[2]) for name in design.events]
        project.arms = {arm: f"Arm {arm}" for arm in arms}
        project.events = [
            Event(n, name, arm, name) for n, (name, arm) in enumerate(zip(design.events, arms, strict=True), start=1)
        ]
        project.mapping = {n: tuple(forms) for n, forms in enumerate(design.events.values(), start=1)}
    ids = (
        {event.unique_name: event.event_id for event in project.events}
        if design.longitudinal
        else {"": project.events[0].event_id}
    )
    project.repeating_forms = {(ids[e], f): "" for e, f in design.repeating_forms}
    project.repeating_events = {ids[e] for e in design.repeating_events}
    return project


def parts_of(design: Design, form: str) -> list[str]:
    """The whole numbers of a form, which its calculations add up."""
    return [name for name, kind, _ in design.forms[form] if kind == "integer"]


def calculation(design: Design, form: str) -> str:
    # Where there is nothing to add up, it is one that the simulator cannot read, and leaves blank.
    return " + ".join([*(f"[{name}]" for name in parts_of(design, form)), "1"]) if parts_of(design, form) else "?"


def calculated(design: Design, form: str, values: dict[str, str]) -> str:
    parts = [values.get(name, "") for name in parts_of(design, form)]
    if not parts:
        return ""
    try:
        return str(1 + sum(map(int, parts)))
    except ValueError:
        return ""


@st.composite
def imports(draw, design: Design, overwrite: bool) -> dict[str, str]:
    event = draw(st.sampled_from(list(design.events)))
    form = draw(st.sampled_from(design.events[event]))
    row = {"id": draw(st.sampled_from(["1", "2", "10", "x-1"]))}
    if design.longitudinal:
        row["redcap_event_name"] = event
    if event in design.repeating_events or (event, form) in design.repeating_forms:
        row["redcap_repeat_instrument"] = "" if event in design.repeating_events else form
        row["redcap_repeat_instance"] = str(draw(st.integers(1, 3)))
    if design.grouped and draw(st.booleans()):
        row["redcap_data_access_group"] = draw(st.sampled_from(["north", "south"]))
    for name, kind, codes in design.forms[form]:
        entered = KINDS[kind][2]
        if draw(st.booleans()) or kind in ("descriptive", "file", "signature"):
            continue
        column = draw(st.sampled_from(design.columns_of(name, kind, codes)))
        if overwrite and draw(st.integers(0, 3)) == 0:
            row[column] = ""
        elif kind == "checkbox":
            row[column] = draw(st.sampled_from(["0", "1"]))
        elif kind in ("radio", "dropdown"):
            row[column] = draw(st.sampled_from(codes))
        elif kind == "calc":
            row[column] = "99"
        elif design.missing and draw(st.integers(0, 5)) == 0:
            row[column] = draw(st.sampled_from(MISSING))
        else:
            row[column] = draw(entered)
    if draw(st.integers(0, 4)) == 0:
        row[f"{form}_complete"] = draw(st.sampled_from("012"))
    return row


def remember(design: Design, row: dict[str, str]) -> None:
    """What an import does, in the model."""
    record, event, instrument = (row.get(key, "") for key in KEYS[:3])
    instance = int(row.get("redcap_repeat_instance", 0))
    is_new = not any(place[0] == record for place in design.rows)
    computed = {name for fields in design.forms.values() for name, kind, _ in fields if kind == "calc"}
    values = {name: value for name, value in row.items() if name not in KEYS and name not in computed}
    if row.get("redcap_data_access_group"):
        design.groups[record] = row["redcap_data_access_group"]
    if is_new and instrument:
        base = (record, event, "", 0)
        design.rows[base] = {}
        compute(design, base)
    place = (record, event, instrument, instance)
    old, is_row = design.rows.get(place, {}), place in design.rows

    def stored(name: str) -> str:
        return old.get(name) or ("0" if "___" in name else "")

    wanted = {n: v or ("0" if "___" in n else "") for n, v in values.items()}
    changed = {name: value for name, value in wanted.items() if value != stored(name)}
    if instrument and not changed and place not in design.rows:
        return
    kept = design.rows.setdefault(place, {})
    kept.update(changed)
    for form, fields in design.forms.items():
        columns = {column for f in fields for column in design.columns_of(*f)}
        if columns & {
            name for name, value in changed.items() if value not in ("", "0") or ("___" not in name and value)
        }:
            kept[f"{form}_complete"] = kept.get(f"{form}_complete") or "0"
    if changed or not is_row:
        compute(design, place)


def compute(design: Design, place: Place) -> None:
    for form, fields in design.forms.items():
        for name, kind, _ in fields:
            if kind == "calc" and is_here(design, place, form):
                kept = design.rows[place]
                result = calculated(design, form, kept)
                if result and not kept.get(f"{form}_complete"):
                    kept[f"{form}_complete"] = "0"
                kept[name] = result


def is_here(design: Design, place: Place, form: str) -> bool:
    _, event, instrument, _ = place
    return form in design.events[event] and (
        form == instrument
        or (not instrument and (event in design.repeating_events or (event, form) not in design.repeating_forms))
    )


def expected(design: Design, *, untouched: str = "0") -> list[dict[str, str]]:
    """The flat export of the model; an instrument that was never opened has the status `untouched`."""
    order = {"1": 0, "2": 1, "10": 2, "x-1": 3}
    forms, events = ["", *design.forms], list(design.events)
    places = sorted(design.rows, key=lambda p: (order[p[0]], events.index(p[1]), forms.index(p[2]), p[3]))
    return [expected_row(design, place, untouched) for place in places]


def expected_row(design: Design, place: Place, untouched: str) -> dict[str, str]:
    record, event, instrument, instance = place
    row = {"id": record}
    if design.longitudinal:
        row["redcap_event_name"] = event
    if design.repeats:
        row |= {"redcap_repeat_instrument": instrument, "redcap_repeat_instance": str(instance or "")}
    if design.grouped:
        row["redcap_data_access_group"] = design.groups.get(record, "")
    for form, fields in design.forms.items():
        here = is_here(design, place, form)
        for each in fields:
            for column in design.columns_of(*each):
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
        answer = router.answer(self._simulator._site, Parameters(pairs))
        body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        return answer.status, body.decode()

    def rows(self, **asked: str) -> list[dict[str, str]]:
        text = self(format="csv", exportDataAccessGroups="true", **asked)[1]
        return list(csv.DictReader(io.StringIO(text, newline="")))


def written(row: dict[str, str], form: str) -> str:
    """One row as the data of an import."""
    if form == "json":
        return json.dumps([row])
    if form == "xml":
        return f"<records><item>{''.join(f'<{k}>{escape(v)}</{k}>' for k, v in row.items())}</item></records>"
    out = io.StringIO()
    writer = csv.DictWriter(out, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)
    return out.getvalue()


def story(data) -> None:
    """A project and some imports: every export is compared, and a second project is made of the exports."""
    design = data.draw(designs())
    ask = Direct(project_of(design))
    for _ in range(data.draw(st.integers(0, 8))):
        overwrite = data.draw(st.booleans())
        row, form = data.draw(imports(design, overwrite)), data.draw(st.sampled_from(["json", "csv", "xml"]))
        mode = "overwrite" if overwrite else "normal"
        status, body = ask(format=form, returnFormat="json", overwriteBehavior=mode, data=written(row, form))
        assert (status, body) == (200, '{"count":1}'), (row, body)
        remember(design, row)
    assert ask.rows() == expected(design)
    gray = {"exportBlankForGrayFormStatus": "true"}
    assert ask.rows(**gray) == expected(design, untouched="")
    assert {(row["record"], row["field_name"], row["value"]) for row in ask.rows(type="eav")} >= {
        (place[0], name, value) for place, values in design.rows.items() for name, value in values.items()
        if value and "___" not in name
    }  # fmt: skip
    as_json = json.loads(ask(format="json", exportDataAccessGroups="true")[1])
    assert [{key: str(cell) for key, cell in row.items()} for row in as_json] == expected(design)
    # Project XML has no place for a row without a form, as a record has in an event of repeating instruments only.
    bare = any(all((event, form) in design.repeating_forms for form in forms) for event, forms in design.events.items())
    for form in ("csv", "json", "xml") if bare else ("csv", "json", "xml", "odm"):
        twin = Direct(project_of(design))
        if design.rows:
            sent = ask(format=form, exportDataAccessGroups="true", **gray)[1]
            status, body = twin(format=form, returnFormat="json", data=sent)
            assert status == 200, body
        assert (twin.rows(), twin.rows(**gray)) == (ask.rows(), ask.rows(**gray)), form


def look(examples: int) -> settings:
    """Hypothesis's settings for so many stories."""
    unhealthy = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, suppress_health_check=unhealthy)


def test_a_record_whose_first_row_has_no_form_keeps_its_group_through_odm():
    design = Design(
        forms={"form_a": [("f0_0", "calc", ["1"])], "form_b": [("f1_0", "calc", ["1"])]},
        events={"ev_0_arm_1": ["form_a"], "ev_1_arm_1": ["form_b"]},
        longitudinal=True,
        repeating_forms={("ev_1_arm_1", "form_b")},
        repeating_events={"ev_0_arm_1"},
        missing=False,
        grouped=True,
    )
    row = {"id": "1", "redcap_event_name": "ev_1_arm_1", "redcap_repeat_instrument": "form_b"}
    row |= {"redcap_repeat_instance": "1", "redcap_data_access_group": "north", "form_b_complete": "0"}
    ask, twin = Direct(project_of(design)), Direct(project_of(design))
    assert ask(format="json", returnFormat="json", data=written(row, "json"))[0] == 200
    assert twin(format="odm", returnFormat="json", data=ask(format="odm", exportDataAccessGroups="true")[1])[0] == 200
    assert twin.rows() == ask.rows()


@look(25)
@given(st.data())
def test_what_is_exported_is_what_was_imported_and_makes_an_equal_twin(data):
    story(data)


@pytest.mark.fuzz
@look(int(os.environ.get("FUZZ_EXAMPLES", "60")))
@given(st.data())
def test_what_is_exported_is_what_was_imported_at_length(data):
    story(data)


def test_every_type_of_field_is_among_the_kinds():
    types = {field_type for field_type, _, _ in KINDS.values()}
    assert types == {"text", "notes", "dropdown", "radio", "checkbox", "calc", "file", "descriptive", "slider", "yesno",
                     "truefalse", "sql"}  # fmt: skip
