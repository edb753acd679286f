"""What real servers answered, asked again of the simulator.

Every recorded answer whose project and request are known is asked for and compared cell by cell, and byte by byte where
the recording is byte-exact. The answers that differ are listed in differences.py, each with its reason.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from redcap_source.simulator import Simulator, SimulatorError, load_project
from tests.simulator.conftest import Asker
from tests.simulator.differences import DIFFERENCES
from tests.support.recordings import recorded_folder

pytestmark = pytest.mark.recorded

SKIPPED_PROJECTS = {"_behaviour", "redcapr-_server", "redcapcast-mtcars", "redcapr-super-wide-3", "redcaptidier"}
Rows = list[dict[str, str]]


def projects() -> list[str]:
    folder = recorded_folder()
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder else []
    return [name for name in names if name not in SKIPPED_PROJECTS]


def read(path: Path) -> Rows:
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    if path.suffix == ".json":
        loaded = json.loads(text)
        rows = [loaded] if isinstance(loaded, dict) else loaded
        if path.stem == "instruments" and "instrument_name" not in rows[0]:
            # Kept as one object of names and labels.
            return [{"instrument_name": name, "instrument_label": label} for name, label in rows[0].items()]
        return [{key: csv_text(value) for key, value in row.items()} for row in rows]
    csv.field_size_limit(1 << 30)
    return list(csv.DictReader(io.StringIO(text, newline="")))


def csv_text(value: object) -> str:
    """A JSON value as CSV writes it."""
    if isinstance(value, dict):
        return ",".join(f"{key}:{item}" for key, item in value.items())
    return "" if value is None else str(value)


def same(recorded: str, ours: str, *, retyped: bool) -> bool:
    """Whether two cells hold the same value; XML folds line breaks, and R writes NA, TRUE and numbers its own way."""
    left, right = " ".join((recorded or "").split()), " ".join((ours or "").split())
    if left == right or not retyped:
        return left == right
    words = {"NA": "", "TRUE": "1", "FALSE": "0", "Access": "1", "No Access": "0"}
    return words.get(left, left) == right or left.lower() == right.lower() or number(left) == number(right) != ""


def number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return ""


def difference(recorded: Rows, ours: Rows, *, columns: bool = True, retyped: bool = False) -> str:
    """What differs between two tables, in a word; blank when nothing does."""
    if len(recorded) != len(ours):
        return f"{len(ours)} rows for {len(recorded)}"
    if recorded and columns and list(recorded[0]) != list(ours[0]):
        return "columns"
    for theirs, mine in zip(recorded, ours, strict=True):
        for name, value in theirs.items():
            if name in mine and not same(value, mine[name], retyped=retyped):
                return f"cell {name}: {value[:40]!r} for {mine[name][:40]!r}"
    return ""


@pytest.fixture(scope="module")
def ask_of():
    """An asker of a recorded project; each has a server of its own, of the version that was recorded."""
    folder = recorded_folder()
    askers: dict[str, Asker] = {}
    servers: list[Simulator] = []

    def asker(name: str) -> Asker:
        if name not in askers:
            path, _, group = name.partition(" as ")
            version = folder / path / "version.json"
            known = json.loads(version.read_text())["redcap_version"] if version.exists() else None
            # Recordings without a known version have keys that 15.8.2 and 16.0.8 added.
            simulator = Simulator(version=known or "16.0.8").start()
            servers.append(simulator)
            owner = {"redcapexporter-avalanche": "user2"}.get(name)
            handle = simulator.add_project(load_project(folder / path), name=name, owner=owner)
            askers[name] = Asker(simulator.url, handle)
            if group:
                handle.set_rights(dag=group)
        return askers[name]

    yield asker
    for simulator in servers:
        simulator.stop()
    assert [failure for simulator in servers for failure in simulator.failures] == []


def judge(project: str, answer: str, found: str) -> None:
    """A difference must be in the table, and the table must list no answer that agrees."""
    reason = DIFFERENCES.get((project, answer))
    assert bool(found) == bool(reason), f"{project} {answer}: {found or 'no longer differs, strike it from the table'}"


FLAT = {"content": "record", "exportDataAccessGroups": "true", "exportSurveyFields": "true"}
STRUCTURE = {
    "metadata": {"content": "metadata"},
    "export_field_names": {"content": "exportFieldNames"},
    "form_event_mapping": {"content": "formEventMapping"},
    "repeating_forms_events": {"content": "repeatingFormsEvents"},
    "arms": {"content": "arm"},
    "events": {"content": "event"},
    "dags": {"content": "dag"},
    "instruments": {"content": "instrument"},
    "project_info": {"content": "project"},
    "users": {"content": "user"},
    "user_roles": {"content": "userRole"},
    "user_role_assignments": {"content": "userRoleMapping"},
    "user_dag_mapping": {"content": "userDagMapping"},
    "log": {"content": "log"},
    "file_repository": {"content": "fileRepository", "action": "list"},
}


PEOPLE = ("users", "user_roles", "user_role_assignments", "user_dag_mapping")


def answers(project: str) -> Iterator[tuple[str, Path, dict[str, str]]]:
    folder = recorded_folder() / project
    for ending in (".json", ".csv"):
        path = folder / f"records_flat{ending}"
        if path.exists():
            yield f"records_flat{ending}", path, FLAT
        for name, request in STRUCTURE.items():
            path = folder / f"{name}{ending}"
            if path.exists() and (ending == ".json" or not (folder / f"{name}.json").exists()):
                yield f"{name}{ending}", path, request


@pytest.mark.parametrize("project", projects())
def test_recorded_answers_of_whole_projects(ask_of, project):
    ask = ask_of(project)
    for answer, path, request in answers(project):
        rows = read(path)
        status, body, _ = ask.raw(format="csv", **request)
        if status != 200:
            # A refusal is recorded as a table without rows.
            judge(project, answer, body if rows else "")
            continue
        ours = list(csv.DictReader(io.StringIO(body, newline="")))
        if answer.startswith("records") and rows:
            ours = [{name: cell for name, cell in row.items() if name in rows[0]} for row in ours]
        # The simulator's own user, where no recorded one may do everything, is no answer of that server.
        ours = [row for row in ours if row.get("username") != "api_user"]
        retyped = (path.parent / "records_flat.types.json").exists() or path.stem in ("project_info", *PEOPLE)
        exact = answer.startswith("records") and not retyped
        judge(project, answer, difference(rows, ours, columns=exact, retyped=retyped))


@pytest.mark.parametrize("project", projects())
def test_recorded_versions(ask_of, project):
    path = recorded_folder() / project / "version.json"
    known = json.loads(path.read_text())["redcap_version"] if path.exists() else None
    if known is not None:
        assert ask_of(project)(content="version") == known


def read_twice() -> list[str]:
    return [name for name in projects() if (recorded_folder() / name / "from_odm" / "records_flat.csv").exists()]


@pytest.mark.parametrize("project", read_twice())
def test_a_second_reader_of_the_same_xml_agrees(ask_of, project):
    path = recorded_folder() / project / "from_odm" / "records_flat.csv"
    ours, theirs = ask_of(project).csv(**FLAT), read(path)
    # The second reader keeps ODM's T inside times and knows groups by label only.
    for row in theirs:
        row |= {k: v.replace("T", " ") for k, v in row.items() if len(v) >= 16 and v[10:11] == "T" and v[4:5] == "-"}
        row.pop("redcap_data_access_group", None)
    ours = [{name: cell for name, cell in row.items() if name in theirs[0]} for row in ours] if theirs else ours
    assert difference(theirs, ours) == ""


@pytest.mark.parametrize(
    ("content", "name"),
    [("project", "project_info"), ("metadata", "metadata"), ("record", "records_flat"), ("user", "users")],
)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_byte_exact_recordings_are_met_to_the_byte(ask_of, recorded, content, name, form):
    folder = recorded / "redcapexporter-avalanche"
    status, body, headers = ask_of("redcapexporter-avalanche").raw(content=content, format=form)
    facts = json.loads((folder / "http" / f"{name}.{form}.http.json").read_text())
    assert (status, headers["Content-Type"]) == (facts["status_code"], facts["content_type"])
    exact = body.encode() == (folder / f"{name}.{form}").read_bytes()
    judge("redcapexporter-avalanche", f"{name}.{form}", "" if exact else "bytes")


def requests_of(project: str) -> dict[str, dict[str, object]]:
    path = recorded_folder() / project / "responses" / "requests.json"
    return json.loads(path.read_text()) if path.exists() else {}


def known_requests() -> list[tuple[str, str]]:
    """The calls of REDCapR whose parameters are known and whose result is an answer, not a client's remake."""
    found = []
    for project in projects():
        for name, facts in requests_of(project).items():
            call = str(facts.get("call"))
            remade = "coltypes" in name or call in ("redcap_read_oneshot_eav", "redcap_users_export")
            if facts.get("content") and not remade:
                found.append((project, name))
    return found


def parameters_of(facts: dict[str, object], record_id: str) -> dict[str, object]:
    asked: dict[str, object] = {key: facts[key] for key in ("content", "type", "action", "format") if key in facts}
    given = dict(facts["parameters"])
    if facts.get("call") == "redcap_read" and ("fields" in given or "forms" in given):
        # Reading in batches REDCapR always asks for the record id too.
        given["fields"] = [*given.get("fields", []), record_id] if given.get("fields") or given.get("forms") else []
    for key, value in given.items():
        if isinstance(value, bool):
            asked[key] = str(value).lower()
        elif isinstance(value, list):
            asked |= {f"{key}[{at}]": item for at, item in enumerate(value)}
        else:
            asked[key] = value
    return asked


@pytest.mark.parametrize(("project", "name"), known_requests())
def test_recorded_calls_of_redcapr(ask_of, project, name):
    facts = requests_of(project)[name]
    # Those calls were made by a user inside the data access group daga.
    ask = ask_of(f"{project} as daga" if project.startswith("redcapr-dag") else project)
    asked = parameters_of(facts, ask.project.project.dictionary.record_id)
    if asked["content"] == "report":
        asked["report_id"] = 1
    status, body, _ = ask.raw(**asked)
    wanted = facts.get("http_status", 200)
    rows = read(recorded_folder() / project / "responses" / f"{name}.csv")
    ours = list(csv.DictReader(io.StringIO(body, newline=""))) if status == 200 else []
    found = f"status {status} for {wanted}" if status != wanted else ""
    if not found and status == 200:
        found = difference(rows, ours, retyped=True)
    judge(project, name, found)


# The requests that show each observed fact again; a lost right is first.
OBSERVED: dict[str, tuple[dict[str, int], dict[str, object]]] = {
    "any content, wrong token": ({}, {"token": "0" * 32, "content": "record"}),
    "content=arm on a classic project": ({}, {"content": "arm"}),
    "content=event on a classic project": ({}, {"content": "event"}),
    "content=formEventMapping on a classic project": ({}, {"content": "formEventMapping"}),
    "content=repeatingFormsEvents without repeats": ({}, {"content": "repeatingFormsEvents"}),
    "content=X unknown (older server)": ({}, {"content": "X"}),
    "record import without import right": ({"api_import": 0}, {"content": "record", "data": "record_id\n1\n"}),
    "record delete without right": (
        {"record_delete": 0}, {"content": "record", "action": "delete", "records[0]": "1"}),
    "record delete, unknown record": (
        {"record_delete": 1, "api_import": 1}, {"content": "record", "action": "delete", "records[0]": "1"}),
    "file export, field is no file field": (
        {}, {"content": "file", "action": "export", "record": "1", "field": "mugshotttttt"}),
    "surveyLink for unknown record": ({}, {"content": "surveyLink", "record": "-1", "instrument": "demographics"}),
    "fileRepository list, bad folder": ({}, {"content": "fileRepository", "action": "list", "folder_id": "99"}),
}  # fmt: skip
# Facts without a body, and the tests that hold them.
OBSERVED_ELSEWHERE = {
    "wrong URL path": "test_server: other methods and addresses",
    "URL without trailing slash / http": "test_server: other methods and addresses",
    "any, body in another encoding": "the client's tests: not REDCap's own doing",
    "content=record forms=[health] (not the first form)": "the calls of REDCapR below",
    "content=record, zero matching rows": "redcapr-empty-rows above, test_export_records",
    "content=record rawOrLabel=label exportCheckboxLabel=true": "the calls of REDCapR below",
    "content=exportFieldNames": "the calls of REDCapR below",
    "record delete via API": "test_import: deleting",
    "record import JSON": "test_import: results count records",
    "export instruments pdf": "test_a_pdf_is_announced_as_a_page",
    "DAG user reads records": "the calls of REDCapR below",
}


def observed() -> list[dict[str, object]]:
    folder = recorded_folder()
    return json.loads((folder / "_behaviour" / "observed.json").read_text()) if folder else []


@pytest.mark.parametrize("call", OBSERVED)
def test_observed_behaviour(recorded, call):
    rights, asked = OBSERVED[call]
    facts = [fact for fact in observed() if fact["call"] == call]
    assert facts
    with Simulator() as simulator:
        project = load_project(recorded / "redcapr-simple")
        ask = Asker(simulator.url, simulator.add_project(project, name="simple"))
        if call.startswith("record delete, unknown"):
            ask.project.delete("1")
        ask.project.set_rights(**rights)
        for fact in facts:
            status, body, _ = ask.raw(**{"format": fact.get("format", "csv"), **asked})
            assert status == fact.get("http_status", 400)
            assert body == fact["body"] if "body" in fact else fact["body_contains"] in body


def test_every_observed_fact_is_held_by_a_test(recorded):
    assert {fact["call"] for fact in observed()} == set(OBSERVED) | set(OBSERVED_ELSEWHERE)


def test_a_pdf_is_announced_as_a_page(ask_of):
    assert ask_of("redcapr-simple").raw(content="pdf")[2]["Content-Type"] == "text/html; charset=UTF-8"


# What leaves each sentence that recorded logs have of calls to the API; two of people at the screen are set apart.
LOGGED = {
    "Download data dictionary (API)": {"content": "metadata"},
    "Export project information (API)": {"content": "project"},
    "Export instruments (API)": {"content": "instrument"},
    "Export DAGs (API)": {"content": "dag"},
    "Download export field names (API)": {"content": "exportFieldNames"},
    "Export Logging (API)": {"content": "log"},
    "Export User-DAG assignments (API)": {"content": "userDagMapping"},
    "Export user role assignments (API)": {"content": "userRoleMapping"},
    "Export user roles (API)": {"content": "userRole"},
    "Export users (API)": {"content": "user"},
    "Export REDCap version (API)": {"content": "version"},
    "export_format: CSV, rawOrLabel: raw": {"content": "record"},
    "export_format: CSV, rawOrLabel: label": {"content": "record", "rawOrLabel": "label"},
}


def test_the_log_says_of_calls_what_recorded_logs_say(ask_of, recorded):
    logs = [*recorded.glob("*/log.csv"), *recorded.glob("*/responses/log-read__*.csv")]
    said = {(row["action"].strip(), row["details"]) for log in logs for row in read(log)}
    said = {(action, details) for action, details in said if "(API)" in action + details and details != "REDACTED"}
    assert {details for _, details in said} == set(LOGGED)
    ask = ask_of("redcapr-simple")
    for asked in LOGGED.values():
        ask(**{"format": "csv", **asked})
    ours = {(row["action"].strip(), row["details"]) for row in ask.json(content="log")}
    assert said <= ours


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({"content": "record"}, 3),
        ({"content": "exportFieldNames"}, 16),
        ({"content": "metadata"}, 15),
        ({"content": "dag"}, 1),
        ({"content": "instrument"}, 1),
    ],
)
def test_what_pycaps_own_live_tests_count(ask_of, recorded, asked, rows):
    assert len(ask_of("pycap-test-simple").csv(**asked)) == rows


def test_gzipped_xml_and_folders_without_a_dictionary(tmp_path, recorded):
    packed = tmp_path / "study.xml.gz"
    packed.write_bytes(gzip.compress((recorded / "pycap-test-simple" / "project.xml").read_bytes()))
    assert len(load_project(packed).records) == 3
    with pytest.raises(SimulatorError, match="holds no data dictionary"):
        load_project(recorded / "redcaptidier")
