"""What a user may not see stays unseen by every way there is to ask for it."""

import json
import urllib.error
import urllib.request

import pytest

from tests.simulator.grids import classic, repeating


def upload(ask, **asked):
    """A request that brings a file, as multipart."""
    fields = {"token": ask.project.token, "format": "json", **asked}
    head = "--XX\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    parts.append(f'{head}"file"; filename="a.txt"\r\n\r\ncontent\r\n--XX--\r\n')
    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    request = urllib.request.Request(ask.url, "".join(parts).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]


SCAN = {"content": "file", "record": "1", "field": "scan"}


@pytest.mark.parametrize(
    ("level", "status"),
    [(1, 200), (3, 200), (2, 403), (0, 403)],
    ids=["full", "without identifiers", "de-identified", "none"],
)
def test_a_file_is_handed_out_to_those_whose_exports_hold_it(asker, level, status):
    ask = asker(classic({"id": "1"}))
    assert upload(ask, **SCAN, action="import") == (200, "")
    ask.project.set_rights(forms_export=level)
    assert ask.raw(**SCAN, action="export")[0] == status


def test_a_file_of_an_identifier_is_withheld_with_the_identifiers(asker):
    ask = asker(classic({"id": "1"}))
    ask.project.change_field("scan", identifier="y")
    upload(ask, **SCAN, action="import")
    ask.project.set_rights(forms_export=3)
    assert ask.raw(**SCAN, action="export")[0] == 403


def test_pdfs_with_data_need_an_export_right_and_blank_ones_do_not(asker):
    ask = asker(classic({"id": "1"}))
    ask.project.set_rights(forms_export=0)
    assert ask.raw(content="pdf", record="1")[0] == 403
    assert ask.raw(content="pdf", allRecords="1")[0] == 403
    assert ask.raw(content="pdf")[1].startswith("%PDF-")


@pytest.mark.parametrize("lock", [{"instrument": "basics"}, {}], ids=["form", "record"])
def test_files_of_what_is_locked_stay(asker, lock):
    ask = asker(classic({"id": "1"}))
    upload(ask, **SCAN, action="import")
    ask.project.lock_record("1", **lock)
    status, text = upload(ask, **SCAN, action="import")
    assert status == 400 and "locked" in text
    assert "locked" in ask.refused(**SCAN, action="delete")[1]
    assert ask(**SCAN, action="export") == "content"
    ask.project.unlock_record("1")
    assert ask.raw(**SCAN, action="delete")[0] == 200


@pytest.fixture
def grouped(asker):
    """Record 1 is in the user's group, record 2 is not."""
    ask = asker(repeating())
    ask.project.project.surveys = {"visit"}
    ask.project.add_randomization(1, "sex", ("1", "2"))
    ask.project.set_rights(dag="site_a")
    return ask


def test_whatever_a_user_in_a_group_asks_the_others_records_are_not_there(grouped):
    ids = {row["id"] for row in grouped.csv(content="record")}
    eav = {row["record"] for row in grouped.csv(content="record", type="eav")}
    people = {row["record"] for row in grouped.json(content="participantList", instrument="visit", event="start_arm_1")}
    assert (ids, eav, people) == ({"1"}, {"1"}, {"1"})
    for odm in (grouped(content="record", format="odm"), grouped(content="project_xml")):
        assert 'SubjectKey="1"' in odm and 'SubjectKey="2"' not in odm
    assert {row["record"] for row in grouped.json(content="log", logtype="record")} == {"1"}


@pytest.mark.parametrize(
    "asked",
    [
        {"content": "record", "action": "delete", "records[0]": "2"},
        {"content": "record", "action": "rename", "record": "2", "new_record_name": "9"},
        {"content": "record", "action": "randomize", "record": "2", "randomization_id": "1"},
        {"content": "file", "action": "export", "record": "2", "field": "scan", "event": "start_arm_1"},
        {"content": "file", "action": "delete", "record": "2", "field": "scan", "event": "start_arm_1"},
        {"content": "pdf", "record": "2"},
        {"content": "surveyLink", "record": "2", "instrument": "visit", "event": "start_arm_1"},
        {"content": "surveyQueueLink", "record": "2"},
        {"content": "surveyReturnCode", "record": "2", "instrument": "visit", "event": "start_arm_1"},
    ],
    ids=lambda asked: f"{asked['content']} {asked.get('action', '')}",
)
def test_nobody_reaches_over_into_another_group(grouped, asked):
    status, text = grouped.refused(**asked)
    assert status == 400 and "not exist" in text


def test_an_identifying_record_id_is_hashed_in_every_format(asker):
    ask = asker(classic({"id": "Ada Lovelace", "age": "5"}))
    ask.project.change_field("id", identifier="y")
    ask.project.set_rights(forms_export=3)
    for form in ("csv", "json", "xml", "odm"):
        answer = ask(content="record", format=form)
        assert "Ada" not in answer and ("5" in answer), form
    assert "Ada" not in ask(content="record", type="eav", format="csv", fields="id,age")
    assert "Ada" not in ask(content="project_xml")


def test_time_stamps_of_surveys_come_with_an_xml_only_where_they_are_asked_for(asker):
    ask = asker(classic({"id": "1"}))
    ask.project.respond("1", "visit", {"seen": "1"})
    assert "visit_timestamp" not in ask(content="project_xml")
    assert "visit_timestamp" not in ask(content="record", format="odm", exportSurveyFields="true", fields="id,age")
    assert "visit_timestamp" in ask(content="record", format="odm", exportSurveyFields="true")


REPOSITORY = {"content": "fileRepository"}


def test_folders_of_a_group_or_role_keep_others_out(asker):
    ask = asker(repeating())
    ask.project.add_dag("site_b")
    ask.json(content="userRole", data=json.dumps([{"role_label": "Nurse"}]))
    folder = ask.json(**REPOSITORY, action="createFolder", name="ours", dag_id="7")[0]["folder_id"]
    below = ask.json(**REPOSITORY, action="createFolder", name="below", folder_id=folder)[0]["folder_id"]
    role = ask.json(**REPOSITORY, action="createFolder", name="nurses", role_id="1")[0]["folder_id"]
    assert upload(ask, **REPOSITORY, action="import", folder_id=below) == (200, "")
    [document] = ask.json(**REPOSITORY, action="list", folder_id=below)

    ask.project.set_rights(dag="site_a")
    assert [row["name"] for row in ask.json(**REPOSITORY, action="list")] == ["ours", "nurses"]
    ask.project.set_rights(dag="site_b")
    assert [row["name"] for row in ask.json(**REPOSITORY, action="list")] == ["nurses"]
    for closed in (folder, below):
        status, text = ask.refused(**REPOSITORY, action="list", folder_id=closed)
        assert status == 400 and "DAG-restricted or Role-restricted" in text
    for action in ("export", "delete"):
        assert ask.refused(**REPOSITORY, action=action, doc_id=document["doc_id"])[0] == 400
    ask.json(content="userRole", data=json.dumps([{"role_label": "Doctor", "file_repository": "1", "api_export": "1"}]))
    doctor = list(ask.project.project.roles)[-1]
    ask.json(content="userRoleMapping", action="import",
             data=json.dumps([{"username": "api_user", "unique_role_name": doctor}]))  # fmt: skip
    assert ask.json(**REPOSITORY, action="list") == []
    assert ask.refused(**REPOSITORY, action="list", folder_id=role)[0] == 400


@pytest.mark.parametrize(("name", "value"), [("dag_id", "99"), ("role_id", "99")])
def test_a_folder_is_for_a_group_or_role_there_is(asker, name, value):
    status, text = asker(repeating()).refused(**REPOSITORY, action="createFolder", name="x", **{name: value})
    assert status == 400 and f"{name}=99 does not exist" in text


def test_rights_lost_in_the_middle_are_lost_at_once(asker, simulator):
    ask = asker(classic({"id": "1"}))
    simulator.before_request(lambda: ask.project.set_rights(api_export=0), nth=2)
    assert [ask.raw(content="record")[0] for _ in range(2)] == [200, 403]
