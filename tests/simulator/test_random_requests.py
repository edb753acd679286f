"""Random requests over real HTTP: no server error, no dead server, no answer of success that is wrong.

`make fuzz` sends 10,000; `FUZZ_REQUESTS=50000 pytest tests/simulator/test_random_requests.py -m fuzz` sends more.
"""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import urllib.parse
from xml.etree import ElementTree

import pytest

from redcap_source.simulator import ProjectHandle, Simulator, make_study
from redcap_source.simulator.api.call import action_of
from redcap_source.simulator.api.router import HANDLERS
from redcap_source.simulator.state.project import Report, StoredFile
from redcap_source.simulator.wire.parameters import Parameters
from tests.simulator.grids import classic, repeating
from tests.simulator.random_requests import RandomRequest, Requests

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "10000"))
# So many go to one set of projects before it is made anew.
ROUND = 150
# Texts and bytes whose form does not follow the format asked for.
PLAIN = ("version", "generateNextRecordName", "surveyLink", "surveyQueueLink", "surveyReturnCode", "surveyAccessCode")
DOWNLOADS = (("file", "export"), ("fileRepository", "export"), ("pdf", "export"))
EMPTY = (("file", "import"), ("file", "delete"), ("fileRepository", "import"), ("fileRepository", "delete"))
BOUNDARY = "boundary-of-the-parts"


def projects(simulator: Simulator) -> list[ProjectHandle]:
    """A classic, a longitudinal and a repeating project with something of everything."""
    plain = classic({"id": "1", "name": "Ada", "age": "30", "kg": "3.5"}, {"id": "2", "name": "Bram"}, {"id": "3"})
    plain.reports[1] = Report("Ages", ("id", "age"), "[age] > 3")
    grid = repeating()
    grid.surveys = {"visit"}
    grid.files[3] = StoredFile("scan.txt", b"x", "text/plain")
    made = {"plain": plain, "grid": grid, "study": make_study("repeating", records=3)}
    handles = [simulator.add_project(project, name=name) for name, project in made.items()]
    handles[1].add_randomization(1, "sex", ["1", "2"] * 9)
    return handles


def sent(connection: http.client.HTTPConnection, request: RandomRequest) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urllib.parse.urlencode(request.parameters).encode()
    if request.file is not None:
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
        head = 'Content-Disposition: form-data; name="%s"'
        parts = [f"{head % name}\r\n\r\n{value}\r\n".encode() for name, value in request.parameters.items()]
        parts.append((head % "file").encode() + b'; filename="a.txt"\r\n\r\n' + request.file + b"\r\n")
        body = b"".join(f"--{BOUNDARY}\r\n".encode() + part for part in parts) + f"--{BOUNDARY}--\r\n".encode()
    connection.request("POST", "/api/", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.headers["Content-Type"], answer.read()


def check(handle: ProjectHandle, request: RandomRequest, status: int, kind: str, body: bytes) -> None:
    """What must hold of any answer."""
    parameters = Parameters(request.parameters.items())
    method = (parameters.text("content"), action_of(parameters))
    assert status in (200, 400, 403)
    if status != 200:
        check_refusal(kind, body)
        return
    assert method in HANDLERS
    if method in EMPTY or parameters.text("returnContent") == "nothing":
        assert body == b"" or method not in EMPTY
        return
    assert body or method in DOWNLOADS
    if method in DOWNLOADS or method[0] in PLAIN:
        return
    if method[1] == "import":
        check_import(handle, request, method[0], body.decode())
    elif method[1] == "delete":
        check_deletion(handle, parameters, body.decode())
    elif method[1] not in ("switch", "rename", "randomize", "createFolder"):
        check_export(handle, request, method, kind, body.decode())


def check_refusal(kind: str, body: bytes) -> None:
    if "json" in kind:
        assert json.loads(body)["error"]
    elif "csv" in kind:
        assert body.startswith(b"ERROR: ") and len(body) > 7
    else:
        assert ElementTree.fromstring(body.decode()).findtext("error")


def check_import(handle: ProjectHandle, request: RandomRequest, content: str, text: str) -> None:
    project = handle.project
    # A blank line is no row.
    rows = [row for row in request.rows if any(str(cell or "").strip() for cell in row.values())]
    is_record = content == "record"
    bare = is_record and request.parameters["data"] in ("3", '"text"', "null", "{}")
    assert not request.is_foreign or bare or request.parameters["data"] == "[]", "nothing of it can be understood"
    if bare or (is_record and request.parameters.get("returnContent") in ("ids", "auto_ids")):
        return
    if is_record and "success" in text:
        return
    number = int("".join(letter for letter in text.rpartition("?>")[2] if letter.isdecimal()))
    assert number > 0 or not rows, "a success that took nothing"
    record_id = project.dictionary.record_id
    if is_record and "forceAutoNumber" not in request.parameters and request.parameters.get("type") != "eav":
        ids = {str(row.get(record_id, "")).strip() for row in rows} - {""}
        assert ids <= set(handle.records()) and number == len(ids)
    if content == "metadata":
        assert number == len(project.dictionary.fields)
    elif content == "arm":
        assert {int(str(row.get("arm_num") or "").strip() or 1) for row in rows} <= set(project.arms)
    elif content in ("event", "formEventMapping", "user", "userRole", "dag", "userRoleMapping", "userDagMapping"):
        assert len(rows) <= number <= len(request.rows)
    if content == "user":
        assert {str(row["username"]).strip() for row in rows} <= set(project.users)


def check_deletion(handle: ProjectHandle, parameters: Parameters, text: str) -> None:
    project = handle.project
    left = {"records": handle.records(), "events": [event.unique_name for event in project.events],
            "arms": [str(arm) for arm in project.arms], "users": project.users, "roles": project.roles,
            "dags": project.groups}  # fmt: skip
    name = {"userRole": "roles"}.get(parameters.text("content"), parameters.text("content") + "s")
    asked = set(parameters.items(name))
    assert asked and int(text) == len(asked), "a success that deleted nothing, or another count"
    if not any(parameters.text(part) for part in ("arm", "event", "instrument")):
        assert not asked & set(left[name])


def check_export(handle: ProjectHandle, request: RandomRequest, method: tuple[str, str], kind: str, text: str) -> None:
    content = method[0]
    rows = parsed(request, content, kind, text)
    if rows is None:
        return
    project = handle.project
    bounds = ("records", "fields", "forms", "events", "arms", "field", "filterLogic", "dateRangeBegin", "dateRangeEnd")
    if any(name.split("[")[0] in bounds for name in request.parameters):
        return
    expected = {"metadata": len(project.dictionary.fields), "instrument": len(project.dictionary.forms),
                "event": len(project.events), "user": len(project.users), "dag": len(project.groups),
                "userRole": len(project.roles), "userDagMapping": len(project.users)}  # fmt: skip
    if content in expected:
        assert len(rows) == expected[content]
    if content == "record" and not project.user(project.api_user).group:
        key = "record" if request.parameters.get("type") == "eav" else project.dictionary.record_id
        is_labelled = request.parameters.get("rawOrLabelHeaders") == "label"
        if not is_labelled:
            assert {row[key] for row in rows} == set(handle.records())


def parsed(request: RandomRequest, content: str, kind: str, text: str) -> list[dict[str, str]] | None:
    """The rows of an answer in the format of its content type; None where it has none."""
    if "json" in kind:
        loaded = json.loads(text)
        assert isinstance(loaded, dict if content == "project" or "randomization_id" in loaded else list)
        return loaded if isinstance(loaded, list) else None
    if "csv" in kind:
        delimiter = {"tab": "\t"}.get(mark := request.parameters.get("csvDelimiter", ","), mark)
        delimiter = delimiter if delimiter in (";", "\t") and content in ("record", "report") else ","
        lines = list(csv.reader(io.StringIO(text.rstrip("\n"), newline=""), delimiter=delimiter, strict=True))
        # A blank cell that is alone in its line is a blank line.
        lines = [line or [""] for line in lines]
        assert len({len(line) for line in lines}) <= 1, "rows of several lengths"
        return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]] if lines else []
    root = ElementTree.fromstring(text)
    if root.tag.endswith("ODM"):
        return None
    return [{cell.tag: cell.text or "" for cell in item} for item in root]


def run(count: int, seed: int) -> None:
    """Send so many requests, and name the one that got a wrong answer."""
    for start in range(0, count, ROUND):
        with Simulator() as simulator:
            makers = [(handle, Requests(handle, seed + start + at)) for at, handle in enumerate(projects(simulator))]
            connection = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(simulator.url).port, timeout=20)
            for number in range(start, min(start + ROUND, count)):
                handle, maker = makers[number % len(makers)]
                request = maker.make()
                shown = {name: value[:300] for name, value in request.parameters.items() if name != "token"}
                try:
                    status, kind, body = sent(connection, request)
                    check(handle, request, status, kind, body)
                except Exception as error:
                    cause = simulator.failures[0] if simulator.failures else error
                    raise AssertionError(f"request {number} of seed {seed}: {handle.project.name} {shown}") from cause
            connection.close()


def test_some_random_requests_are_answered_or_refused():
    run(150, seed=1)


@pytest.mark.fuzz
def test_ten_thousand_random_requests_are_answered_or_refused():
    run(REQUESTS, seed=int(os.environ.get("FUZZ_SEED", "7")))
