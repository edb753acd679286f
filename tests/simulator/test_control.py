"""Steering a running simulator from outside, and keeping its state."""

import gzip
import json
import urllib.error
import urllib.request

import pytest

from redcap_source.simulator import Simulator, SimulatorError, make_study
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic, repeating


def command(simulator, path, **asked):
    url = simulator.url.replace("/api/", "/_simulator/") + path
    headers = {"Authorization": f"Bearer {simulator.control_secret}"}
    try:
        request = urllib.request.Request(url, json.dumps(asked).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["error"]


def test_faults_clock_latency_and_rights(simulator, asker):
    ask = asker(classic({"id": "1"}))
    command(simulator, "faults/add", kind="502", content="version")
    assert ask.raw(content="version")[0] == 502
    command(simulator, "faults/add", kind="502")
    command(simulator, "faults/clear")
    assert ask.raw(content="version")[0] == 200
    assert command(simulator, "clock/set", now="2024-07-01T17:00:00+00:00")["local"] == "2024-07-01 12:00:00"
    assert command(simulator, "clock/advance", minutes=1)["local"].startswith("2024-07-01 12:01:0")
    command(simulator, "rights", project="project", logging=0)
    assert ask.refused(content="log")[0] == 403
    command(simulator, "latency", seconds=0.001)
    assert simulator.latency == (0.001, 0.0)
    assert [row["status"] for row in command(simulator, "requests")] == [502, 200, 403]


def test_answers_of_participants_and_page_views_come_from_outside_too(simulator, asker):
    ask = asker(classic({"id": "1"}))
    command(simulator, "edit", project="project", do="respond", record="1", instrument="visit", values={"seen": "1"})
    command(simulator, "edit", project="project", do="open_page", page="index.php?pid=1", user="kim")
    assert ask.csv(content="record", exportSurveyFields="true")[0]["visit_timestamp"]
    [view] = ask.json(content="log", logtype="page_view")
    assert (view["username"], view["action"], view["record"]) == ("kim", "Page View", "")


def test_edits_now_and_before_a_coming_request(simulator, asker):
    ask = asker(classic({"id": "1", "age": "1"}))
    command(simulator, "edit", project="project", do="save", record="1", values={"age": "2"}, user="kim")
    command(
        simulator, "edit", project="project", do="save", record="1", values={"age": "3"}, before=2, content="record"
    )
    assert [ask.csv(content="record", fields="age")[0]["age"] for _ in range(2)] == ["2", "3"]
    command(simulator, "edit", project="project", do="add_field", row={"field_name": "new", "form_name": "visit"})
    assert "new" in ask.csv(content="record")[0]


@pytest.mark.parametrize(
    ("path", "asked", "status", "words"),
    [
        ("nothing", {}, 404, "no command"),
        ("edit", {"project": "x", "do": "save"}, 400, "no project 'x'"),
        ("edit", {"project": "project", "do": "records"}, 400, "no edit 'records'"),
        ("edit", {"project": "project", "do": "save", "record": "1", "values": {"age": "x"}}, 400, "expected format"),
        ("faults/add", {"kind": "flood"}, 400, "no fault 'flood'"),
        ("clock/set", {"now": "tomorrow"}, 400, "tomorrow"),
    ],
)
def test_bad_commands_say_so(simulator, asker, path, asked, status, words):
    asker(classic({"id": "1"}))
    code, error = command(simulator, path, **asked)
    assert code == status and words in error


@pytest.mark.parametrize("kind", ["classic", "longitudinal", "repeating", "wide"])
def test_a_saved_state_is_the_same_server(tmp_path, kind):
    options = {"fields": 12, "instruments": 3} if kind == "wide" else {}
    contents = ("record", "metadata", "event", "formEventMapping", "user", "dag", "project")

    def answers(simulator):
        ask = Asker(simulator.url, simulator.projects["study"])
        found = [ask.raw(content=content, format="csv", exportSurveyFields="true")[1] for content in contents]
        return [*found, ask.json(content="log", logtype="record")]

    with Simulator() as simulator:
        handle = simulator.add_project(make_study(kind, records=12, **options), name="study")
        handle.delete("1" if kind != "longitudinal" else "1001")
        handle.add_user("kim", dag="north")
        before, token = answers(simulator), handle.token
        simulator.save_state(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    with Simulator() as other:
        other.load_state(tmp_path / "state")
        assert answers(other) == before and other.projects["study"].token == token


def test_a_large_state_is_taken_up_without_holding_every_record(tmp_path, monkeypatch):
    monkeypatch.setattr("redcap_source.simulator.state.save_load.MANY", 5)
    with Simulator() as simulator:
        ask = Asker(simulator.url, simulator.add_project(make_study("repeating", records=30), name="study"))
        before = ask.csv(content="record", exportDataAccessGroups="true")
        simulator.save_state(tmp_path / "state")
        simulator.load_state(tmp_path / "state")
        assert ask.csv(content="record", exportDataAccessGroups="true") == before
        handle = simulator.projects["study"]
        handle.delete("3")
        handle.rename("4", "x 4")
        assert len(handle.records()) == 29 and handle.records()[-1] == "x 4"
        simulator.save_state(tmp_path / "state")
        simulator.load_state(tmp_path / "state")
        assert simulator.projects["study"].records() == handle.records()


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"[]\n"), gzip.compress(b"{")],
    ids=["nothing", "no gzip", "no object", "no JSON"],
)
def test_what_is_no_state_is_said_to_be_none(tmp_path, content):
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(SimulatorError, match="state"):
        Simulator().load_state(tmp_path / "state")


def test_a_project_xml_makes_an_equal_project(simulator):
    for kind in ("classic", "longitudinal", "repeating"):
        source = Asker(simulator.url, simulator.add_project(make_study(kind, records=10), name=kind))
        xml = source(
            content="project_xml", exportFiles="true", exportDataAccessGroups="true", exportSurveyFields="true"
        )
        from_xml = Simulator(super_token="S" * 64)
        with from_xml:
            body = {"token": "S" * 64, "content": "project", "format": "json", "odm": xml}
            body["data"] = json.dumps([{"project_title": "Copy", "purpose": 0}])
            anyone = Asker(from_xml.url, source.project)
            token = anyone(**body)
            copy = Asker(from_xml.url, from_xml.projects["Copy"])
            assert copy.project.token == token
            asked = {"content": "record", "exportSurveyFields": "true", "exportDataAccessGroups": "true"}
            # Values of calculated fields are not imported; they are computed when something in their record changes.
            calculated = {field.field_name for field in source.project.project.dictionary.calculated}
            wanted = [{n: "" if n in calculated else cell for n, cell in row.items()} for row in source.csv(**asked)]
            assert copy.csv(**asked) == wanted
            ours, theirs = copy.json(content="metadata"), source.json(content="metadata")
            for row in (*ours, *theirs):
                # Spaces around the bars between choices, and the queries of SQL fields, do not survive XML.
                row["select_choices_or_calculations"] = row["select_choices_or_calculations"].replace(" | ", "|")
                if row["field_type"] == "sql":
                    row["select_choices_or_calculations"] = ""
            assert ours == theirs


def test_records_travel_as_odm(simulator, asker):
    ask = asker(repeating())
    odm = ask(content="record", format="odm", exportDataAccessGroups="true")
    twin = repeating()
    for record in twin.records.ids()[:]:
        twin.records.remove(record)
    other = Asker(simulator.url, simulator.add_project(twin, name="twin"))
    assert other(content="record", format="odm", returnFormat="json", data=odm) == '{"count":2}'
    asked = {"content": "record", "exportDataAccessGroups": "true"}
    assert other.csv(**asked) == ask.csv(**asked)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"purpose": "0"}, "You must provide a project_title"),
        ({"project_title": "x", "purpose": "1"}, "You must provide some text for 'purpose_other' since you specified "
         "'purpose' as '1' (Other)."),
        ({"project_title": "x"}, "You must provide a valid purpose: 0, 1, 2, 3 or 4"),
    ],
)  # fmt: skip
def test_incomplete_projects_are_not_made(asker, data, sentence):
    with Simulator(super_token="S" * 64) as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic(), name="x"))
        refused = ask.refused(token="S" * 64, content="project", data=json.dumps([data]))
        assert refused == (400, sentence)
        assert ask(token="S" * 64, content="version") == "14.7.3"
