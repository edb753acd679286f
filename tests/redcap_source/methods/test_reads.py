"""What the reading calls send that are not tried elsewhere, and what their answers become."""

import pytest

from redcap_source import errors
from tests.support.canned import answer, client_of

LINKS = {
    "survey_link": "surveyLink",
    "survey_access_code": "surveyAccessCode",
    "survey_return_code": "surveyReturnCode",
}


@pytest.mark.parametrize(("call", "content"), LINKS.items())
def test_links_and_codes_of_surveys(serve, call, content):
    server = serve(answer(b"https://redcap.example.edu/surveys/?s=abc\n"))
    with client_of(server) as client:
        assert getattr(client, call)("1", "visit", "e_arm_1", 2) == "https://redcap.example.edu/surveys/?s=abc"
    expected = {"content": content, "record": "1", "instrument": "visit", "event": "e_arm_1", "repeat_instance": "2"}
    assert expected.items() <= server.forms[0].items()


def test_the_survey_queue_link(serve):
    server = serve(answer(b"https://redcap.example.edu/surveys/?sq=abc"))
    with client_of(server) as client:
        assert client.survey_queue_link("1").endswith("sq=abc")
    assert server.forms[0]["content"] == "surveyQueueLink"


def test_a_participant_list_tells_nothing_by_its_repr(serve):
    body = (
        b'[{"email":"zeb@example.edu","email_occurrence":1,"identifier":"Zeb","response_status":2,"survey_link":"zeb"}]'
    )
    server = serve(answer(body))
    with client_of(server) as client:
        (participant,) = client.participant_list("visit", "e_arm_1")
    assert (participant.response_status, participant.record) == (2, None)
    assert "zeb" not in repr(participant).lower()


def test_the_next_record_name_is_text(serve):
    with client_of(serve(answer(b"20-1"))) as client:
        assert client.next_record_name() == "20-1"


def test_a_report_is_a_frame_of_text(serve, tmp_path):
    server = serve(answer(b"id;zip\n1;02139"))
    with client_of(server) as client:
        frame = client.export_report(7, csv_delimiter=";", raw_or_label="label", decimal_character=",")
        assert frame.to_dict("records") == [{"id": "1", "zip": "02139"}]
        client.export_report_to(tmp_path / "a.csv", "7")
    assert {"content": "report", "report_id": "7", "csvDelimiter": ";", "rawOrLabel": "label"}.items() <= (
        server.forms[0].items()
    )
    with client_of(server) as client, pytest.raises(TypeError, match="fields"):
        client.export_report(7, fields=["a"])


def test_the_file_repository_lists_files_and_folders(serve):
    server = serve(answer(b'[{"folder_id":101,"name":"docs"},{"doc_id":5,"name":"a.txt"}]'))
    with client_of(server) as client:
        folder, file = client.file_repository(3)
    assert (folder.folder_id, folder.doc_id, file.doc_id, file.name) == (101, None, 5, "a.txt")
    assert {"action": "list", "folder_id": "3"}.items() <= server.forms[0].items()


def test_a_project_xml_is_streamed_and_whole(serve, tmp_path):
    xml = b'<?xml version="1.0" encoding="UTF-8" ?>\n<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"><Study/></ODM>\n'
    server = serve(answer(xml))
    with client_of(server) as client:
        client.export_project_xml(
            tmp_path / "a.xml",
            metadata_only=True,
            records=["1"],
            fields=["age"],
            events=["e_arm_1"],
            export_survey_fields=True,
            export_data_access_groups=True,
            filter_logic="[age] > 30",
            export_files=True,
        )
    expected = {
        "content": "project_xml",
        "format": "xml",
        "returnMetadataOnly": "true",
        "records[0]": "1",
        "fields[0]": "age",
        "events[0]": "e_arm_1",
        "exportSurveyFields": "true",
        "exportDataAccessGroups": "true",
        "filterLogic": "[age] > 30",
        "exportFiles": "true",
    }
    assert expected.items() <= server.forms[0].items()
    with client_of(serve(answer(xml[:-9]))) as client, pytest.raises(errors.Truncated):
        client.export_project_xml(tmp_path / "b.xml")


def test_records_come_in_chunks_of_ids(serve):
    ids = b'[{"id":"1"},{"id":"2"},{"id":"3"}]'
    server = serve(answer(ids), answer(b"id,age\n1,41\n2,42\n"), answer(b"id,age\n3,43\n"))
    with client_of(server) as client:
        chunks = list(client.iter_records(2, record_id_field="id", fields=["age"], filter_logic="[age] > 1"))
    assert [chunk["age"].tolist() for chunk in chunks] == [["41", "42"], ["43"]]
    first, second, third = server.forms
    assert (first["fields[0]"], first["filterLogic"], first["format"]) == ("id", "[age] > 1", "json")
    assert [value for name, value in second.items() if name.startswith("records")] == ["1", "2"]
    assert [value for name, value in third.items() if name.startswith("fields")] == ["id", "age"]


def test_given_records_are_not_asked_for_again(serve):
    server = serve(answer(b"id\n1\n"))
    with client_of(server) as client:
        assert len(list(client.iter_records(1, record_id_field="id", records=["1", "2"]))) == 2
        with pytest.raises(ValueError, match="one record"):
            next(client.iter_records(0))
    assert len(server.forms) == 2


def test_rows_of_the_log_that_a_failed_attempt_handed_over_are_void(serve):
    one, two = b'{"timestamp":"2026-03-10 12:01"}', b'{"timestamp":"2026-03-10 12:00"}'
    server = serve(answer(b"[" + one + b","), answer(b"[" + one + b"," + two + b"]"))
    attempts = []

    def take_anew():
        attempts.append([])
        return attempts[-1].append

    with client_of(server, attempts=2) as client:
        received = client.read_log(take_anew)
    assert received.attempts == 2
    assert [[row.timestamp[-2:] for row in rows] for rows in attempts] == [["01"], ["01", "00"]]
