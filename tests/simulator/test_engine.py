"""The engine answers a request, does the edits that wait for it, and records it, all without a socket."""

from __future__ import annotations

import json

import pytest

from redcap_source.simulator import Behaviour, Fault
from redcap_source.simulator.engine import Engine, PendingEdit, PendingEdits
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.clock import Clock
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.wire.damage import pieces_of
from redcap_source.simulator.wire.parameters import Parameters
from tests.simulator.grids import classic


@pytest.fixture
def engine() -> Engine:
    site = Site(clock=Clock("UTC"), behaviour=Behaviour(), version="14.7.3", super_token="S" * 64)
    engine = Engine(site)
    engine.add_project(classic(*({"id": str(number), "age": "40"} for number in range(1, 6))), name="study")
    return engine


def asked(engine: Engine, fault: Fault | None = None, **parameters: str) -> bytes:
    pairs = {"token": engine.projects["study"].token, "format": "json", **parameters}
    request = engine.begin(Parameters(pairs.items()))
    answer = engine.answer(request, fault)
    body = b"".join(pieces_of(answer.body))
    engine.record(request, answer.status, len(body))
    return body


def test_a_request_is_answered_and_recorded_without_its_parameters(engine):
    body = asked(engine, content="version")
    assert body == b"14.7.3"
    [request] = engine.requests
    assert (request.project, request.content, request.action) == ("study", "version", "export")
    assert (request.status, request.bytes) == (200, 6)
    assert engine.projects["study"].token not in repr(engine.requests)


def test_an_unknown_token_belongs_to_no_project(engine):
    request = engine.begin(Parameters([("token", "F" * 32), ("content", "record")]))
    assert (request.project, engine.answer(request).status) == ("", 403)


def test_a_handle_does_not_show_its_token(engine):
    handle = engine.projects["study"]
    assert handle.token not in repr(handle)


@pytest.mark.parametrize(
    ("kind", "begin"),
    [("php_warning", b"<br />\n<b>Warning</b>"), ("bom", b"\xef\xbb\xbf[")],
    ids=lambda value: str(value),
)
def test_a_fault_in_the_answer_precedes_the_body(engine, kind, begin):
    assert asked(engine, Fault(kind), content="instrument").startswith(begin)


def test_dropped_records_are_missing_from_the_answer(engine):
    rows = json.loads(asked(engine, Fault("drop_records", every=2), content="record", fields="id"))
    assert [row["id"] for row in rows] == ["1", "3", "5"]


def test_two_created_projects_of_one_title_have_different_names(engine):
    for _ in range(2):
        project = classic()
        project.settings["project_title"] = "study"
        engine.site.new_project(project)
    assert list(engine.projects) == ["study", "study (2)", "study (3)"]
    with pytest.raises(SimulatorError, match="already a project named 'study'"):
        engine.add_project(classic(), name="study")


def test_an_answer_takes_a_time_for_itself_and_for_each_cell(engine):
    engine.latency = (0.5, 200.0)
    assert engine.seconds_for(0) == 0.5
    assert engine.seconds_for(5_000) == pytest.approx(1.5)


def test_an_edit_waits_for_the_nth_request_of_its_content():
    pending, done = PendingEdits(), list[str]()
    pending.add(PendingEdit(2, "record", lambda: done.append("second record")))
    pending.add(PendingEdit(1, None, lambda: done.append("any")))
    for content, expected in (
        ("metadata", ["any"]),
        ("record", ["any"]),
        ("metadata", ["any"]),
        ("record", ["any", "second record"]),
        ("record", ["any", "second record"]),
    ):
        pending.run_before(content)
        assert done == expected


def test_past_the_rate_limit_the_client_is_banned_or_slowed_down(engine):
    engine.site.behaviour = Behaviour(rate_limit=1, rate_limit_answer="429")
    asked(engine, content="version")
    assert engine.faults.fault_for("study", "version", "export") is None
    asked(engine, content="version")
    slowed = engine.faults.fault_for("study", "version", "export")
    assert slowed is not None and slowed.kind == "429"
    engine.site.behaviour = Behaviour(rate_limit=1)
    asked(engine, content="version")
    banned = engine.faults.fault_for("study", "version", "export")
    assert banned is not None and banned.kind == "ban"
