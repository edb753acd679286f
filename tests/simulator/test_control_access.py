"""Only the person who started the simulator may use the control endpoint: no web page, no other program."""

import http.client
import json
import urllib.parse

import pytest

from redcap_source.simulator import Simulator
from tests.simulator.grids import classic


def ask(simulator, path, body=b"{}", method="POST", **headers):
    """One request with exactly these headers; the status, the answer's headers and its body."""
    host = urllib.parse.urlsplit(simulator.url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def with_secret(simulator, **headers):
    return {"Authorization": f"Bearer {simulator.control_secret}", **headers}


@pytest.fixture
def started(simulator):
    simulator.add_project(classic({"id": "1"}), name="study")
    return simulator


def test_the_secret_opens_the_control_endpoint_and_nothing_else_does(started):
    assert ask(started, "/_simulator/projects", **with_secret(started))[0] == 200
    port = urllib.parse.urlsplit(started.url).port
    for host in (f"localhost:{port}", "localhost", "[::1]:80"):
        assert ask(started, "/_simulator/projects", **with_secret(started, Host=host))[0] == 200
    for wrong in (
        "",
        "Bearer ",
        "Bearer x",
        f"Basic {started.control_secret}",
        "Bearer \u00e4",
        started.control_secret,
    ):
        status, _, body = ask(started, "/_simulator/projects", Authorization=wrong)
        assert status == 403 and b"secret printed at start" in body and started.control_secret.encode() not in body
    status, _, body = ask(started, "/_simulator/projects")
    assert status == 403 and started.projects["study"].token.encode() not in body


def test_two_simulators_have_two_secrets():
    assert Simulator().control_secret != Simulator().control_secret


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": "localhost@evil.example"},
        {"Host": ""},
        {"Host": "["},
    ],
    ids=str,
)
def test_a_web_page_is_refused_even_with_the_secret(started, headers):
    fault = json.dumps({"kind": "502"}).encode()
    status, _, body = ask(started, "/_simulator/faults/add", fault, **with_secret(started, **headers))
    assert status == 403 and b"error" in body
    assert ask(started, "/api/")[0] == 403  # as REDCap refuses a request without token; no fault was armed


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "projects"), ("OPTIONS", "projects"), ("GET", ""), ("POST", "x")]
)
def test_nothing_under_the_control_endpoint_invites_other_origins(started, method, path):
    for headers in ({}, {"Origin": "https://evil.example"}, with_secret(started)):
        _, answered, _ = ask(started, f"/_simulator/{path}", method=method, **headers)
        assert not [name for name in answered if name.lower().startswith("access-control-")]
    assert ask(started, "/api/")[1]["Access-Control-Allow-Origin"] == "*"  # which is REDCap's own


def state(simulator, action, path):
    status, _, body = ask(
        simulator, f"/_simulator/state/{action}", json.dumps({"path": path}).encode(), **with_secret(simulator)
    )
    return status, json.loads(body)


def test_states_are_saved_in_the_folder_named_at_start_only(tmp_path):
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "out").symlink_to(tmp_path)
    with Simulator(state_folder=tmp_path / "states") as simulator:
        simulator.add_project(classic({"id": "1"}), name="study")
        assert state(simulator, "save", "one") == (200, {"done": True})
        assert state(simulator, "load", str(tmp_path / "states" / "one"))[0] == 200
        for path in ("../two", str(tmp_path / "two"), "out/two", "", ".", "~/../../two\0"):
            for action in ("save", "load"):
                status, answer = state(simulator, action, path)
                assert status == 400 and "error" in answer
        assert state(simulator, "save", "no/such/folder")[0] == 400
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["one", "out", "states"]


def test_without_a_folder_no_state_is_saved(started, tmp_path):
    status, answer = state(started, "save", str(tmp_path / "one"))
    assert status == 400 and "--state-folder" in answer["error"]
    assert list(tmp_path.iterdir()) == []


def test_a_saved_state_is_its_owners_alone_even_where_a_file_was(tmp_path):
    (tmp_path / "one").write_text("something else")
    (tmp_path / "one").chmod(0o644)
    simulator = Simulator()
    simulator.save_state(tmp_path / "one")
    assert (tmp_path / "one").stat().st_mode & 0o077 == 0
    assert [p.name for p in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("clock/advance", {"days": 10**12}),
        ("edit", {"project": ["study"], "do": "save"}),
        ("faults/add", {}),
        ("latency", {"seconds": "x"}),
    ],
)
def test_a_command_with_unusable_arguments_is_answered(started, path, asked):
    status, _, body = ask(started, f"/_simulator/{path}", json.dumps(asked).encode(), **with_secret(started))
    assert status == 400 and json.loads(body)["error"].startswith(path)
