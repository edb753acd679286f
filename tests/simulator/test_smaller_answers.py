"""Smaller points on which a real server answers in its own way: edges of time, formats, pages, paper, rights."""

import http.client
import json
import urllib.parse
from datetime import UTC, datetime

import pytest

from redcap_source.simulator import Behaviour, Simulator
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic

NOT_FOUND = (
    '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>404 Not Found</title>\n</head><body>\n'
    "<h1>Not Found</h1>\n<p>The requested URL was not found on this server.</p>\n</body></html>\n"
)


def given_rights(ask, content, **row):
    """Send one user or role, and return their rights by instrument as they are then."""
    who = {"username": "kim"} if content == "user" else {"unique_role_name": row.pop("role", ""), "role_label": "R"}
    assert ask(content=content, format="json", data=json.dumps([{**who, **row}])) == "1"
    found = ask.json(content=content)[-1]
    return found["forms"], found["forms_export"], found.get("unique_role_name", "")


def test_a_blank_in_a_users_export_rights_is_no_access(asker):
    ask = asker(classic())
    full = {"basics": 1, "visit": 1}
    assert given_rights(ask, "user", forms=full, forms_export=full)[:2] == (full, full)
    # What is not mentioned at all stays.
    assert given_rights(ask, "user", alerts=1)[:2] == (full, full)
    assert given_rights(ask, "user", forms_export={"basics": 2, "visit": ""})[:2] == (full, {"basics": 2, "visit": 0})
    assert given_rights(ask, "user", forms_export={"visit": 1})[:2] == (full, {"basics": 0, "visit": 1})
    data = 'username,forms,forms_export\nkim,"basics:1",\n'
    assert ask(content="user", format="csv", data=data) == "1"
    kim = ask.json(content="user")[-1]
    assert (kim["forms"], kim["forms_export"]) == ({"basics": 1, "visit": 0}, {"basics": 0, "visit": 0})


def test_a_blank_in_a_roles_export_rights_is_no_access(asker):
    ask = asker(classic())
    role = given_rights(ask, "userRole", forms_export={"basics": 1, "visit": 1})[2]
    assert given_rights(ask, "userRole", role=role, forms_export={"visit": 1})[1] == {"basics": 0, "visit": 1}


@pytest.mark.parametrize(("inclusive", "found"), [(True, "id\n1\n"), (False, "\n")])
def test_the_end_of_a_date_range_includes_its_second_unless_it_is_switched(inclusive, found):
    moment = datetime(2025, 6, 10, 15, 30, 20, tzinfo=UTC)
    behaviour = Behaviour() if inclusive else Behaviour(date_range_end_inclusive=False)
    with Simulator(time_zone="UTC", clock=lambda: moment, behaviour=behaviour) as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic(), name="p"))
        ask.project.save("1", {"age": "5"})
        when = "2025-06-10 15:30:20"
        asked = {"content": "record", "format": "csv", "fields": "id"}
        assert ask(dateRangeBegin=when, dateRangeEnd=when, **asked) == found
        assert ask(dateRangeEnd="2025-06-10 15:30:19", **asked) == "\n"


@pytest.mark.parametrize("content", ["record", "metadata", "project", "version", "user"])
def test_a_format_that_is_none_is_refused(asker, content):
    status, body, _ = asker(classic()).raw(content=content, format="yaml")
    sentence = 'The value of the parameter "format" is not valid'
    escaped = sentence.replace('"', "&quot;")
    assert (status, body) == (400, f'<?xml version="1.0" encoding="UTF-8" ?><hash><error>{escaped}</error></hash>')
    ask = asker("classic", records=1)
    assert ask.refused(content=content, format="yaml", returnFormat="json") == (400, sentence)
    assert ask.raw(content=content, format="JSON")[0] == 200


def test_a_format_that_is_none_may_count_as_xml():
    with Simulator(behaviour=Behaviour(unknown_format="xml")) as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic({"id": "1"}), name="p"))
        assert ask(content="record", format="yaml") == ask(content="record", format="xml")


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT"])
@pytest.mark.parametrize("path", ["/nowhere/", "/", "/apis/", "/surveys/?s=X"])
def test_an_address_that_is_none_is_apaches_page(simulator, method, path):
    host = urllib.parse.urlsplit(simulator.url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=10)
    connection.request(method, path, b"content=version" if method in ("POST", "PUT") else None)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert (answer.status, body) == (404, "" if method == "HEAD" else NOT_FOUND)
    assert answer.headers["Content-Type"] == "text/html; charset=iso-8859-1"
    assert "Access-Control-Allow-Origin" not in answer.headers and "Pragma" not in answer.headers


def test_a_compact_pdf_leaves_out_what_holds_no_value(asker):
    ask = asker(classic({"id": "1", "age": "5", "note": "seen (twice)"}, {"id": "2"}))
    whole, compact = (ask(content="pdf", record="1", compactDisplay=how) for how in ("false", "true"))
    assert "(age: 5)" in whole and "(note: seen [twice])" in whole and "(name:)" in whole
    assert "(age: 5)" in compact and "(note: seen [twice])" in compact and "(name:)" not in compact
    # One instrument, all records, and blank forms, of which the names of the instruments are left.
    assert "(age: 5)" not in ask(content="pdf", record="1", instrument="visit")
    everything = ask(content="pdf", allRecords="1", compactDisplay="true")
    assert "(Record 1)" in everything and "(Record 2)" in everything and "(name:)" not in everything
    assert "(Weight:)" in ask(content="pdf")
    blank = ask(content="pdf", compactDisplay="true")
    assert "(Weight:)" not in blank and "(Visit)" in blank


def test_a_pdf_shows_no_more_than_an_export(asker):
    ask = asker(classic({"id": "1", "age": "5", "note": "secret"}))
    ask.project.set_rights(forms_export=2)
    shown = ask(content="pdf", record="1")
    assert "(age: 5)" in shown and "secret" not in shown


@pytest.mark.parametrize(("delimiter", "between"), [("tab", "\t"), ("\t", "\t"), (";", ";"), ("|", "|"), ("^", "^"),
                                                    ("", ","), ("new", ","), ("\n", ","), ('"', ",")])  # fmt: skip
def test_a_delimiter_that_is_none_counts_as_a_comma(asker, delimiter, between):
    ask = asker(classic({"id": "1"}))
    data = f"id{between}age\n1{between}5\n"
    assert ask(content="record", format="csv", csvDelimiter=delimiter, data=data).strip() == "1"
    assert ask(content="record", format="csv", csvDelimiter=delimiter, fields="id,age") == data
