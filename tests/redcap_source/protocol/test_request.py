from datetime import UTC, date, datetime
from urllib.parse import urlencode

import pytest

from redcap_source import Token
from redcap_source.protocol.request import Request, encoded, urlencoded


def form(**parameters):
    return dict(Request("record", parameters=parameters).form())


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({"fields": ["a", "b"]}, {"fields[0]": "a", "fields[1]": "b"}),
        ({"fields": []}, {}),
        ({"arms": [1, 2]}, {"arms[0]": "1", "arms[1]": "2"}),
        ({"field": None, "user": ""}, {}),
        (
            {"exportSurveyFields": False, "compactDisplay": True},
            {"exportSurveyFields": "false", "compactDisplay": "true"},
        ),
        ({"beginTime": datetime(2024, 5, 1, 10, 15, 22)}, {"beginTime": "2024-05-01 10:15:22"}),
        ({"beginTime": date(2024, 5, 1)}, {"beginTime": "2024-05-01 00:00:00"}),
        ({"report_id": 7}, {"report_id": "7"}),
    ],
)
def test_parameters_become_form_fields(parameters, sent):
    assert form(**parameters) == {"content": "record", "format": "json", **sent, "returnFormat": "json"}


def test_a_blank_name_in_a_list_is_refused_because_it_would_ask_for_everything():
    with pytest.raises(ValueError, match="records has a blank name"):
        form(records=["1", ""])


def test_a_time_with_a_zone_is_refused_because_redcaps_has_none():
    with pytest.raises(ValueError, match="server-local"):
        form(beginTime=datetime(2024, 5, 1, tzinfo=UTC))


def test_a_call_is_shown_with_its_token_masked():
    request = Request("record", parameters={"fields": ["age"]})
    assert request.shown() == {
        "token": "****",
        "content": "record",
        "format": "json",
        "fields[0]": "age",
        "returnFormat": "json",
    }
    assert encoded(request, Token("ABC"))[0] == ("token", "ABC")


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("token", "ABC")],
        [
            (f"records[{number}]", record)
            for number, record in enumerate(["1", "x y", "7é", "a&b=c", "[2]", "100%", "+"])
        ],
        [("data", 'a,b\r\n1,"two\nlines"\n'), ("records[0]", "\n"), ("e", "")],
    ],
)
def test_the_body_is_what_the_standard_library_makes_of_it(fields):
    assert urlencoded(fields) == urlencode(fields).encode()


def test_a_requests_repr_holds_no_parameters():
    assert "secret" not in repr(Request("record", parameters={"filterLogic": "[name] = 'secret'"}))


@pytest.mark.parametrize(
    ("content", "parameters", "smallest"),
    [
        ("metadata", {}, True),
        ("log", {"beginTime": "2024-01-01 00:00"}, True),
        ("record", {}, False),
        ("record", {"records": ["1", "2"], "fields": ["id"], "forms": ["base"]}, False),
        ("record", {"fields": ["id", "age"]}, False),
        ("record", {"fields": ["id"]}, True),
        ("record", {"records": ["1"], "forms": ["base"]}, True),
        ("record", {"data": "[]"}, False),
        ("metadata", {"data": "[]"}, False),
    ],
)
def test_what_cannot_be_asked_for_in_smaller_parts(content, parameters, smallest):
    assert Request(content, parameters=parameters).smallest is smallest
    assert not Request(content, parameters=parameters, repeatable=False).smallest
