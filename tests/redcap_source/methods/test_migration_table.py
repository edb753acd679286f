"""Every row of docs/client/pycap-migration.md is executed: both libraries must send REDCap the same request."""

import re
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

import certifi
import pytest
import redcap

from redcap_source import RedcapClient, RetryPolicy, Token, errors, model
from redcap_source.http.timeouts import Timeouts
from tests.support.canned import SECRET, CannedServer, answer
from tests.support.root import ROOT

PAGE = ROOT / "docs" / "client" / "pycap-migration.md"
ROW = re.compile(r"^\| `(project\..+?)` \| `(.+?)` \|", re.M)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))
ATTRIBUTES = [row for row in ROWS if "outline." in row[1] or row[0] in ("project.metadata", "project.redcap_version")]
METHODS = [row for row in ROWS if row not in ATTRIBUTES]

DICTIONARY = (
    b'[{"field_name":"record_id","form_name":"visit","field_type":"text","field_label":"Id"},'
    b'{"field_name":"race","form_name":"visit","field_type":"checkbox","field_label":"Race"},'
    b'{"field_name":"scan","form_name":"visit","field_type":"file","field_label":"Scan"}]'
)
ANSWERS = {
    "version": b"14.7.3",
    "metadata": DICTIONARY,
    "project": b'{"project_id":1,"is_longitudinal":1,"has_repeating_instruments_or_events":0}',
    "pdf": b"%PDF-1.7 %%EOF",
    "record": b"record_id\n1\n",
    "report": b"record_id\n1\n",
    "log": b"[]",
    "arm": b'[{"arm_num":1,"name":"Drug A"}]',
    "event": b'[{"unique_event_name":"visit_arm_1","event_name":"Visit","arm_num":1}]',
    "file": b"",
    "surveyLink": b"https://redcap.example.edu/surveys/?s=a",
    "surveyQueueLink": b"https://redcap.example.edu/surveys/?sq=a",
    "surveyAccessCode": b"ABCDEFGHI",
    "surveyReturnCode": b"ABCDEFGH",
    "generateNextRecordName": b"8",
}


class Listener(CannedServer):
    """Answers every call with something that pleases both libraries."""

    def __init__(self):
        super().__init__(self._reply)

    def _reply(self, connection):
        form = self.forms[-1]
        connection.sendall(answer(self._body(form), headers="Content-Type: application/json; name=a.txt\r\n"))

    @staticmethod
    def _body(form):
        content, action = form.get("content", ""), form.get("action", "")
        if action == "createFolder":
            return b'[{"folder_id":101}]'
        if content == "file" or (content == "fileRepository" and action in ("import", "export", "delete")):
            return b""
        if content == "record" and form.get("returnContent") == "ids":
            return b'["1"]'
        if "data" in form or action in ("delete", "import", "switch"):
            return b"1"
        if content == "record" and form.get("format") == "json":
            return b"[]"
        return ANSWERS.get(content, b"[]")


@pytest.fixture
def listener():
    server = Listener()
    yield server
    server.close()


def form_of(body: bytes) -> dict[str, str]:
    """A request's form, whether urlencoded or multipart, in one spelling."""
    if body.startswith(b"--"):
        parts = re.findall(
            rb'name="([^"]+)"(?:; filename="([^"]*)")?[^\r]*(?:\r\n[^\r]+)*\r\n\r\n(.*?)\r\n--', body, re.S
        )
        pairs = [
            (name.decode(), (filename + b":" + value if filename else value).decode())
            for name, filename, value in parts
        ]
    else:
        pairs = parse_qsl(body.decode())
    form = {name: {"True": "true", "False": "false"}.get(value, value) for name, value in pairs}
    return {name: re.sub(r'[\s"]', "", value) if name == "data" else value for name, value in form.items()}


def told(form: dict[str, str]) -> dict[str, str]:
    """What the form tells REDCap: without what is the same anyway, defaults and the format of errors."""
    left = {name: value for name, value in form.items() if value != ""}
    # eventName means nothing since REDCap 6.
    for name in ("token", "returnFormat", "format", "eventName"):
        left.pop(name, None)
    if "data" in left and left.get("action") == "import":
        # Data makes it an import; PyCap leaves the action out here and there.
        left.pop("action")
    defaults = {"action": "export", "delete_logging": "0", "type": "flat", "override": "0"}
    defaults |= {"rawOrLabel": "raw", "rawOrLabelHeaders": "raw", "dateFormat": "YMD", "csvDelimiter": ","}
    defaults |= {"overwriteBehavior": "normal", "returnContent": "count"}
    falses = ("exportSurveyFields", "exportDataAccessGroups", "exportCheckboxLabel", "forceAutoNumber")
    defaults |= dict.fromkeys(falses, "false")
    left = {name: value for name, value in left.items() if defaults.get(name) != value}
    return {_unnumbered(name, value): _moment(value) for name, value in left.items()}


def _unnumbered(name, value):
    # The index of an array's item says nothing, nor does the order of fields.
    return f"{name.partition('[')[0]}={value}" if "[" in name else name


def _moment(value):
    return re.sub(r"^(\d{4}-\d\d-\d\d \d\d:\d\d)(:00)?$", r"\1", value)


@pytest.mark.parametrize(("theirs", "ours"), METHODS, ids=[row[0].split("(")[0] for row in METHODS])
def test_both_libraries_send_the_same_request(listener, tmp_path, theirs, ours):
    file, folder = tmp_path / "sent.txt", tmp_path / "folder"
    folder.mkdir()
    file.write_text("content")
    project = redcap.Project(listener.url, SECRET)
    with RedcapClient(listener.url, Token(SECRET)) as client:
        names = {"project": project, "client": client, "file": file, "folder": folder, "datetime": datetime}
        handle = []
        opened = theirs.replace('file.open("rb")', "opened")
        if opened != theirs:
            handle.append(file.open("rb"))
        eval(opened, {**names, "opened": handle[0] if handle else None})
        for each in handle:
            each.close()
        sent_by_pycap = told(form_of(listener.bodies[-1]))
        eval(ours, names)
        sent_by_us = told(form_of(listener.bodies[-1]))
    assert sent_by_us == sent_by_pycap


# What PyCap 1.0 had and 2.7 has no more, with the values that the listener's answers give it.
ONLY_1_0 = {
    "project.field_labels": ("Id", "Race", "Scan"),
    "project.events": (model.Event("visit_arm_1", "Visit", 1),),
    "project.arm_nums": (1,),
    "project.arm_names": ("Drug A",),
    "project.names_labels()": {"record_id": "Id", "race": "Race", "scan": "Scan"},
    'project.metadata_type("race")': "checkbox",
}
WAY = re.compile(r"^\| (?:`Project\(.+?\)`|Redcapy.+?) \| `(RedcapClient\(.+\))` \|", re.M)
SETTING_UP = WAY.findall(PAGE.read_text(encoding="utf-8"))


def test_every_way_of_setting_up_is_a_way_and_sends_nothing(listener, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.pem").write_bytes(Path(certifi.where()).read_bytes())
    assert len(SETTING_UP) == 4
    names = {"RedcapClient": RedcapClient, "Token": Token, "Timeouts": Timeouts, "RetryPolicy": RetryPolicy}
    for code in SETTING_UP:
        for url in (listener.url, "https://redcap.example.edu/api/"):
            eval(code, {**names, "url": url, "token": SECRET}).close()
    assert listener.bodies == []


def test_redcapys_limits_are_kept(serve):
    waits: list[float] = []
    [policy] = [code for code in SETTING_UP if "RetryPolicy" in code]
    server = serve(answer(b"", "503 Service Unavailable"))
    names = {"Token": Token, "RetryPolicy": RetryPolicy, "url": server.url, "token": SECRET}
    client = eval(policy, {**names, "RedcapClient": partial(RedcapClient, sleep=waits.append)})
    with client, pytest.raises(errors.ServerOverloaded):
        client.version()
    assert len(server.bodies) == 3 and len(waits) == 2
    assert all(2.5 <= wait <= 5 for wait in waits)


@pytest.mark.parametrize(("theirs", "ours"), ATTRIBUTES, ids=[row[0] for row in ATTRIBUTES])
def test_attributes_have_the_same_values(listener, theirs, ours):
    project = redcap.Project(listener.url, SECRET)
    with RedcapClient(listener.url, Token(SECRET)) as client:
        outline = client.outline()
        value = eval(ours, {"client": client, "outline": outline})
    if theirs in ONLY_1_0:
        assert not hasattr(redcap.Project, theirs.removeprefix("project.").split("(")[0])
        assert value == ONLY_1_0[theirs]
        return
    expected = eval(theirs, {"project": project})
    if theirs == "project.metadata":
        assert [field.field_name for field in value] == [row["field_name"] for row in expected]
    elif theirs == "project.redcap_version":
        assert value == str(expected)
    else:
        assert (list(value) if isinstance(value, tuple) else value) == expected


def test_no_method_of_pycap_is_missing():
    named = {re.match(r"project\.(\w+)", theirs)[1] for theirs, _ in ROWS} | {"url", "token"}
    public = {name for name in dir(redcap.Project) if not name.startswith("_")}
    assert public - named == set()


READS = [
    ("export_arms", "arms"),
    ("export_events", "events"),
    ("export_instruments", "instruments"),
    ("export_instrument_event_mappings", "form_event_mapping"),
    ("export_repeating_instruments_events", "repeating_forms_events"),
    ("export_metadata", "data_dictionary"),
    ("export_field_names", "export_field_names"),
    ("export_dags", "data_access_groups"),
    ("export_user_dag_assignment", "data_access_group_assignments"),
    ("export_users", "users"),
    ("export_user_roles", "user_roles"),
    ("export_user_role_assignment", "user_role_assignments"),
]


@pytest.fixture(scope="module")
def study():
    from redcap_source.simulator import Simulator, make_study

    with Simulator() as simulator:
        handle = simulator.add_project(make_study("repeating", records=6), name="study")
        yield simulator.url, handle.token


def plain(row):
    """A row without the difference between numbers and their text, or between null and blank."""
    spelt = {True: "1", False: "0", None: ""}
    return {
        name: plain(value) if isinstance(value, dict) else spelt.get(value, str(value)) if value != 0 else "0"
        for name, value in row.items()
    }


@pytest.mark.parametrize(("theirs", "ours"), READS)
def test_both_libraries_read_the_same(study, theirs, ours):
    url, token = study
    with RedcapClient(url, Token(token)) as client:
        rows = [plain(value.as_row()) for value in getattr(client, ours)()]
    expected = [plain(row) for row in getattr(redcap.Project(url, token), theirs)()]
    # A blank number is None here, and what is None is left out of a row.
    known = [
        {name: value for name, value in row.items() if name in mine or value != ""}
        for row, mine in zip(expected, rows, strict=True)
    ]
    assert rows == known


def test_both_libraries_read_the_same_records(study):
    url, token = study
    with RedcapClient(url, Token(token)) as client:
        frame = client.export_records()
    expected = redcap.Project(url, token).export_records()
    assert frame.to_dict("records") == [plain(row) for row in expected]
