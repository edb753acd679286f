"""What every changing call sends, and what its answers become."""

import json

import pytest

from redcap_source import errors
from redcap_source.methods.records import Imported
from tests.support.canned import SECRET, answer, client_of

ROWS = [{"record_id": "1", "age": "41"}]


def sent_by(serve, call, body=b"1"):
    """The form a call sends, without the token and what every call has."""
    server = serve(answer(body))
    with client_of(server) as client:
        call(client)
    form = dict(server.forms[0])
    assert form.pop("token") == SECRET
    assert form.pop("returnFormat") == "json"
    return form


def data(rows):
    return json.dumps(rows)


CHANGES = {
    "delete_records": (
        lambda c: c.delete_records(["1", "2"], arm=1, instrument="visit", event="e_arm_1", repeat_instance=3),
        {"content": "record", "action": "delete", "records[0]": "1", "records[1]": "2", "arm": "1",
         "instrument": "visit", "event": "e_arm_1", "repeat_instance": "3"},
    ),
    "delete_records with logging": (
        lambda c: c.delete_records("1", delete_logging=True),
        {"content": "record", "action": "delete", "records[0]": "1", "delete_logging": "1"},
    ),
    "rename_record": (
        lambda c: c.rename_record("1", "9", arm=2),
        {"content": "record", "action": "rename", "record": "1", "new_record_name": "9", "arm": "2"},
    ),
    "import_data_dictionary": (
        lambda c: c.import_data_dictionary("field_name,form_name\n", format="csv"),
        {"content": "metadata", "format": "csv", "data": "field_name,form_name\n"},
    ),
    "import_arms": (
        lambda c: c.import_arms([{"arm_num": 1, "name": "Drug A"}], override=True),
        {"content": "arm", "action": "import", "override": "1", "data": data([{"arm_num": "1", "name": "Drug A"}])},
    ),
    "delete_arms": (lambda c: c.delete_arms([1]), {"content": "arm", "action": "delete", "arms[0]": "1"}),
    "import_events": (
        lambda c: c.import_events([{"event_name": "Visit", "arm_num": "1"}]),
        {"content": "event", "action": "import", "override": "0",
         "data": data([{"event_name": "Visit", "arm_num": "1"}])},
    ),
    "delete_events": (
        lambda c: c.delete_events(["visit_arm_1"]),
        {"content": "event", "action": "delete", "events[0]": "visit_arm_1"},
    ),
    "import_form_event_mapping": (
        lambda c: c.import_form_event_mapping([{"form": "visit"}]),
        {"content": "formEventMapping", "action": "import", "data": data([{"form": "visit"}])},
    ),
    "import_repeating_forms_events": (
        lambda c: c.import_repeating_forms_events([{"form_name": ""}]),
        {"content": "repeatingFormsEvents", "data": data([{"form_name": ""}])},
    ),
    "import_users": (
        lambda c: c.import_users([{"username": "ann", "forms": {"visit": 1}}]),
        {"content": "user", "data": data([{"username": "ann", "forms": {"visit": 1}}])},
    ),
    "delete_users": (lambda c: c.delete_users(["ann"]), {"content": "user", "action": "delete", "users[0]": "ann"}),
    "import_user_roles": (
        lambda c: c.import_user_roles([{"role_label": "Nurse"}]),
        {"content": "userRole", "data": data([{"role_label": "Nurse"}])},
    ),
    "delete_user_roles": (
        lambda c: c.delete_user_roles(["U-1"]),
        {"content": "userRole", "action": "delete", "roles[0]": "U-1"},
    ),
    "import_user_role_assignments": (
        lambda c: c.import_user_role_assignments([{"username": "ann", "unique_role_name": ""}]),
        {"content": "userRoleMapping", "action": "import",
         "data": data([{"username": "ann", "unique_role_name": ""}])},
    ),
    "import_data_access_groups": (
        lambda c: c.import_data_access_groups([{"data_access_group_name": "A", "unique_group_name": ""}]),
        {"content": "dag", "action": "import",
         "data": data([{"data_access_group_name": "A", "unique_group_name": ""}])},
    ),
    "delete_data_access_groups": (
        lambda c: c.delete_data_access_groups(["a"]),
        {"content": "dag", "action": "delete", "dags[0]": "a"},
    ),
    "switch_data_access_group": (
        lambda c: c.switch_data_access_group("a"),
        {"content": "dag", "action": "switch", "dag": "a"},
    ),
    "import_data_access_group_assignments": (
        lambda c: c.import_data_access_group_assignments([{"username": "ann", "redcap_data_access_group": "a"}]),
        {"content": "userDagMapping", "action": "import",
         "data": data([{"username": "ann", "redcap_data_access_group": "a"}])},
    ),
    "import_project_settings": (
        lambda c: c.import_project_settings({"project_title": "New", "is_longitudinal": True}),
        {"content": "project_settings", "data": data({"project_title": "New", "is_longitudinal": "1"})},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_change_sends(serve, name):
    call, form = CHANGES[name]
    assert sent_by(serve, call) == {"format": "json", **form}


@pytest.mark.parametrize("body", [b"3", b"3\n", b'"3"', b'{"count":3}'])
def test_a_change_answers_with_a_number_however_spelt(serve, body):
    with client_of(serve(answer(body))) as client:
        assert client.delete_records(["1", "2", "3"]) == 3


@pytest.mark.parametrize("call", [call for call, _ in CHANGES.values()])
@pytest.mark.parametrize(
    "script", [answer(b"", "503 Busy"), b"", answer(b"1", length=9), answer(b""), answer(b"<html>"), answer(b"[{}]")]
)
def test_a_change_whose_answer_is_lost_is_never_sent_again(serve, call, script):
    server = serve(script)
    with client_of(server, attempts=5) as client, pytest.raises(errors.OutcomeUnknown) as caught:
        call(client)
    assert len(server.forms) == 1
    assert caught.value.__context__ is None
    assert caught.value.reason is not None


@pytest.mark.parametrize("call", [call for call, _ in CHANGES.values()])
def test_a_change_that_never_left_may_be_sent_again(serve, call):
    told = []
    server = serve(answer(b"", "429 Slow down", "Retry-After: 2\r\n"), answer(b"1"))
    with client_of(server, attempts=3, on_retry=lambda *facts: told.append(facts)) as client:
        call(client)
    assert told == [(1, "RateLimited", 2.0)]


def test_a_rejected_change_is_an_error(serve):
    server = serve(answer(b'{"error":"You do not have Delete Record privileges"}', "403 Forbidden"))
    with client_of(server, attempts=5) as client, pytest.raises(errors.MissingRight):
        client.delete_records(["1"])


@pytest.mark.parametrize("call", [lambda c: c.delete_records([]), lambda c: c.delete_users(())])
def test_deleting_nothing_is_not_asked_for(serve, call):
    server = serve(answer(b"1"))
    with client_of(server) as client, pytest.raises(ValueError, match="Nothing to delete"):
        call(client)
    assert server.forms == []


# --- Importing records ---


def test_what_an_import_sends(serve):
    form = sent_by(
        serve,
        lambda c: c.import_records(
            ROWS,
            type="eav",
            overwrite="overwrite",
            force_auto_number=True,
            date_format="DMY",
            return_content="auto_ids",
        ),
        b'["323,1"]',
    )
    assert form == {
        "content": "record",
        "format": "json",
        "type": "eav",
        "overwriteBehavior": "overwrite",
        "forceAutoNumber": "true",
        "dateFormat": "DMY",
        "returnContent": "auto_ids",
        "data": data(ROWS),
    }


@pytest.mark.parametrize(
    ("options", "body", "result"),
    [
        ({}, b'{"count":1}', Imported(count=1)),
        ({}, b"1", Imported(count=1)),
        ({"return_content": "ids"}, b'["1","2"]', Imported(ids=("1", "2"))),
        ({"return_content": "auto_ids"}, b'["323,10","20-1,a,b"]', Imported(auto_ids=(("323", "10"), ("20-1", "a,b")))),
        ({"return_content": "nothing"}, b"", Imported()),
        ({"return_content": "nothing"}, b"[{}]", Imported()),
        ({"background": True}, b'{"success":true}', Imported(accepted=True)),
    ],
)
def test_what_an_import_answers(serve, options, body, result):
    with client_of(serve(answer(body))) as client:
        assert client.import_records(ROWS, **options) == result


@pytest.mark.parametrize(
    ("options", "body"),
    [({}, b'{"count":0}'), ({"return_content": "ids"}, b"[]"), ({"background": True}, b'{"success":false}')],
)
def test_an_import_that_redcap_did_not_understand_is_a_failure(serve, options, body):
    with client_of(serve(answer(body))) as client, pytest.raises(errors.NothingImported):
        client.import_records(ROWS, **options)


def test_importing_no_rows_asks_nothing(serve):
    server = serve(answer(b""))
    with client_of(server) as client:
        assert client.import_records([]) == Imported(count=0)
    assert server.forms == []


@pytest.mark.parametrize("body", [b"", b'{"cou', b'{"other":1}', b"<html>", b"Warning: x in y on line 3\n1", b"\xff"])
def test_an_import_whose_answer_cannot_be_read_may_have_been_saved(serve, body):
    server = serve(answer(body))
    with client_of(server, attempts=5) as client, pytest.raises(errors.OutcomeUnknown):
        client.import_records(ROWS)
    assert len(server.forms) == 1


def test_a_rejected_import_names_the_cells(serve):
    lines = '"1","age","4l","The value you provided could not be validated"\n"2","sex","9","Not a valid category"'
    server = serve(answer(json.dumps({"error": lines}).encode(), "400 Bad Request"))
    with client_of(server, attempts=5) as client, pytest.raises(errors.ImportRejected) as caught:
        client.import_records(ROWS)
    assert [(cell.record, cell.field, cell.value) for cell in caught.value.lines] == [
        ("1", "age", "4l"),
        ("2", "sex", "9"),
    ]
    assert len(server.forms) == 1


def test_an_import_refused_as_a_whole_says_why(serve):
    text = "The following fields were not found in the project as real data fields: x, y"
    server = serve(answer(json.dumps({"error": text}).encode(), "400 Bad Request"))
    with client_of(server) as client, pytest.raises(errors.ImportRejected, match="real data fields: x, y") as caught:
        client.import_records(ROWS)
    assert caught.value.lines == ()


def test_ids_in_results_are_not_in_reprs():
    assert "Zebulon" not in repr(Imported(ids=("Zebulon",), auto_ids=(("1", "Zebulon"),)))


# --- Others ---


def test_a_created_project_answers_with_its_token(serve, tmp_path):
    token = "ABCDEF0123456789ABCDEF0123456789"
    (tmp_path / "a.xml").write_text("<ODM/>")
    server = serve(answer(f"debugging noise\n{token}".encode()))
    with client_of(server) as client:
        created = client.create_project("New", 1, purpose_other="Rehearsal", odm=tmp_path / "a.xml")
    assert created.reveal() == token
    assert token not in repr(created)
    assert server.forms[0]["odm"] == "<ODM/>"
    assert json.loads(server.forms[0]["data"]) == [
        {"project_title": "New", "purpose": "1", "purpose_other": "Rehearsal"}
    ]


def test_a_created_project_without_a_token_is_an_unknown_outcome(serve):
    with client_of(serve(answer(b"done"))) as client, pytest.raises(errors.OutcomeUnknown):
        client.create_project("New", 0)


def test_a_randomized_record(serve):
    body = b'{"randomization_id":7,"record":"1","target_field":"2","target_field_alt":"*"}'
    with client_of(serve(answer(body))) as client:
        result = client.randomize_record("1", 7, return_alternative=True)
    assert (result.target_field, result.target_field_alt) == ("2", "*")


def test_a_folder_of_the_repository_is_created(serve):
    server = serve(answer(b'[{"folder_id":101}]'))
    with client_of(server) as client:
        assert client.create_repository_folder("docs", folder_id=7, dag_id=2, role_id=3) == 101
    assert {"name": "docs", "folder_id": "7", "dag_id": "2", "role_id": "3"}.items() <= server.forms[0].items()


@pytest.mark.parametrize(
    ("call", "form"),
    [
        (lambda c, p: c.delete_file("1", "scan", event="e"), {"content": "file", "action": "delete", "event": "e"}),
        (lambda c, p: c.delete_repository_file(5), {"content": "fileRepository", "action": "delete", "doc_id": "5"}),
    ],
)
def test_changes_that_answer_with_nothing(serve, tmp_path, call, form):
    server = serve(answer(b""))
    with client_of(server) as client:
        call(client, tmp_path)
    assert form.items() <= server.forms[0].items()


def test_a_file_goes_into_the_repository(serve, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    server = serve(answer(b""))
    with client_of(server) as client:
        client.import_repository_file(tmp_path / "a.txt", folder_id=3)
    assert b'filename="a.txt"' in server.bodies[0]
