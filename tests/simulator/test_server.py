"""HTTP: headers, methods, addresses, keep-alive; starting, stopping and what the server keeps."""

import gzip
import http.client
import io
import json
import signal
import threading
import urllib.parse
import urllib.request

import pytest

from redcap_source.simulator import STUDIES, Simulator, SimulatorError, load_project, make_study
from redcap_source.simulator.serve import serve
from tests.simulator.grids import classic


def post(simulator, path, body=b"", headers=None, method="POST"):
    host = urllib.parse.urlsplit(simulator.url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=10)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.mark.parametrize(
    ("method", "path", "status", "starts"),
    [
        ("GET", "/api/", 501, b'<?xml version="1.0" encoding="UTF-8" ?><hash><error>The requested method'),
        ("POST", "/api", 301, b""),
        ("POST", "/nowhere/", 404, b"<!DOCTYPE HTML"),
        ("POST", "/api/", 403, b'<?xml version="1.0" encoding="UTF-8" ?><hash><error>You do not'),
    ],
)
def test_other_methods_and_addresses(simulator, method, path, status, starts):
    answer, content = post(simulator, path, method=method)
    assert answer.status == status and content.startswith(starts)


def test_headers_of_a_good_answer(asker):
    ask = asker(classic({"id": "1"}))
    _, _, headers = ask.raw(content="record", format="csv")
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Cache-Control"] == "no-store, no-cache, must-revalidate"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask.raw(content="metadata", format="json")[2]["Content-Type"] == "application/json; charset=utf-8"


def test_one_connection_serves_many_requests(asker, simulator):
    ask = asker(classic({"id": "1"}))
    host = urllib.parse.urlsplit(simulator.url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=10)
    for _ in range(3):
        body = urllib.parse.urlencode({"token": ask.project.token, "content": "version"})
        connection.request("POST", "/api/", body, {"Content-Type": "application/x-www-form-urlencoded"})
        assert connection.getresponse().read() == b"14.7.3"
    connection.close()


def test_big_answers_come_in_pieces_and_whole(asker):
    ask = asker("wide", records=300, fields=300, instruments=3)
    _, body, headers = ask.raw(content="record", format="csv")
    assert headers["Transfer-Encoding"] == "chunked"
    assert body.count("\n") == 301 and len(body.split("\n")[0].split(",")) == 303


def test_gzip_when_switched_on():
    with Simulator(gzip=True) as simulator:
        handle = simulator.add_project(classic({"id": "1", "note": "x" * 500}), name="s")
        data = urllib.parse.urlencode({"token": handle.token, "content": "record", "format": "csv"}).encode()
        request = urllib.request.Request(simulator.url, data, {"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["Content-Encoding"] == "gzip" and answer.headers["REDCap-Random-Text"]
            assert gzip.decompress(answer.read()).startswith(b"id,name")


def test_multipart_is_read_like_a_form(asker, simulator):
    ask = asker(classic({"id": "1"}))
    parts = "".join(
        f'--XX\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"token": ask.project.token, "content": "version"}.items()
    )
    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    assert post(simulator, "/api/", (parts + "--XX--\r\n").encode(), headers)[1] == b"14.7.3"


def test_requests_are_remembered_without_what_they_carried(asker, simulator):
    ask = asker(classic({"id": "1"}))
    ask(content="record", format="csv")
    [request] = simulator.requests
    assert request[1:5] == ("project", "record", "export", 200) and request.bytes > 0
    assert ask.project.token not in repr(simulator.requests)


def test_nothing_is_printed(asker, capfd):
    ask = asker(classic({"id": "1"}))
    ask(content="record")
    ask.raw(content="bogus")
    assert capfd.readouterr() == ("", "")


def test_studies_are_the_same_for_the_same_seed():
    def export(kind, seed):
        with Simulator() as simulator:
            handle = simulator.add_project(make_study(kind, records=4, seed=seed), name="s")
            data = urllib.parse.urlencode({"token": handle.token, "content": "record", "format": "csv"}).encode()
            with urllib.request.urlopen(simulator.url, data) as answer:
                return answer.read()

    for kind in STUDIES:
        assert export(kind, 1) == export(kind, 1) != export(kind, 2)


def test_the_trial_has_the_shape_of_the_benchmark(asker):
    body = asker("longitudinal", records=40)(content="record", format="csv")
    assert body.split("\n")[0].count(",") + 1 == 365
    assert 17 * 40 < sum(line.count(",") >= 364 for line in body.split("\n")) <= 19 * 40 + 1


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.xml", b"<a>", "not well-formed"),
        ("a.xml", b"<a/>", "not CDISC ODM"),
        ("a.csv", b"x,y\n1,2\n", "not a data dictionary"),
        ("a.xml", b"\x1f\x8bxx", "damaged gzip"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SimulatorError, match=sentence):
        load_project(path)


def test_a_folder_of_tables_is_a_project(tmp_path, asker):
    (tmp_path / "data_dictionary.csv").write_text(
        "\ufeffVariable / Field Name,Form Name,Field Type,Field Label\nid,one,text,ID\nq,one,yesno,Q\n",
        encoding="utf-8",
    )
    (tmp_path / "records.csv").write_text("id,q,one_complete\n1,1,2\n2,,0\n")
    rows = asker(load_project(tmp_path)).csv(content="record", exportBlankForGrayFormStatus="true")
    assert [tuple(row.values()) for row in rows] == [("1", "1", "2"), ("2", "", "")]


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda: Simulator(time_zone="Mars/Base"), "no time zone"),
        (lambda: make_study("odd"), "no study 'odd'"),
        (lambda: load_project("/nowhere/at/all"), "nothing at"),
        (lambda: Simulator().add_project(classic(), name="x", token="short"), "32 hexadecimal"),
        (lambda: Simulator(super_token="short"), "64 characters"),
        (lambda: serve([], [], {}, None, 0, False, io.StringIO()), "nothing to serve"),
        (
            lambda: serve([], [("a", "classic", 1)], {"b": "0" * 32}, None, 0, False, io.StringIO()),
            "token was given for 'b'",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(action, sentence):
    with pytest.raises(SimulatorError, match=sentence):
        action()


class Interrupting(io.StringIO):
    """Ends the serving as soon as the announcement is out."""

    def flush(self):
        super().flush()
        threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,)).start()


def test_serve_announces_itself_as_one_json_object():
    out = Interrupting()
    serve([], [("heart", "classic", 2)], {"heart": "A" * 32}, "B" * 64, 0, True, out)
    facts = json.loads(out.getvalue().splitlines()[0])
    assert facts["url"].startswith("http://127.0.0.1:") and facts["super_token"] == "B" * 64
    assert facts["projects"] == {"heart": {"token": "A" * 32, "project_id": 1}}
