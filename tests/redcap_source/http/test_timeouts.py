"""Answers that come too slowly, too long, or without end, on a real socket; no test waits."""

import gzip
import json
import threading
from datetime import UTC, datetime

import pytest

from redcap_source import Timeouts, errors
from redcap_source.errors import RequestContext
from redcap_source.http.sinks import FileSink
from redcap_source.http.timeouts import Lateness, Watch
from redcap_source.protocol.json_stream import JsonRows
from tests.support.canned import DATE, SECRET, answer, chunked, client_of

INSTRUMENT = b'[{"instrument_name":"visit","instrument_label":"Visit"}]'


class Drip:
    """A clock that goes on `pause` seconds whenever it is looked at, and a server that sends a byte only then."""

    def __init__(self, data, pause=1.0):
        self._data, self._pause = data, pause
        self._turn = threading.Semaphore(0)
        self.seconds = 0.0
        self.sent = 0

    def clock(self):
        self.seconds += self._pause
        self._turn.release()
        return self.seconds

    def __call__(self, connection):
        for at in range(len(self._data)):
            if not self._turn.acquire(timeout=5):
                return
            self.sent += 1
            connection.sendall(self._data[at : at + 1])


LONG = answer(b"[" + b" " * 10_000 + INSTRUMENT[1:])


@pytest.mark.parametrize(
    "data",
    [
        LONG,
        # Not a byte of a body: the headers alone, the frames of chunks, and what compression unpacks to nothing.
        b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 10_000,
        chunked(b"[", whole=False) + b"1;" + b"x" * 10_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
    ],
)
def test_a_byte_a_second_is_given_up_within_two_minutes(serve, data):
    drip = Drip(data)
    with client_of(serve(drip), clock=drip.clock) as client, pytest.raises(errors.TooSlow) as caught:
        client.instruments()
    assert drip.sent < 120
    assert caught.value.__context__ is None
    assert "No part of it was kept" in str(caught.value)


def test_a_record_export_that_drips_leaves_no_file_and_is_asked_for_twice_in_all(serve, tmp_path):
    drip = Drip(answer(b"record_id\n" + b"1\n" * 5_000))
    server = serve(drip)
    with client_of(server, attempts=5, clock=drip.clock) as client, pytest.raises(errors.TooSlow):
        client.export_records_to(tmp_path / "records.csv")
    assert len(server.forms) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_change_whose_answer_drips_is_of_unknown_outcome(serve):
    drip = Drip(answer(b'{"count":' + b" " * 10_000 + b"1}"))
    with client_of(serve(drip), clock=drip.clock) as client, pytest.raises(errors.OutcomeUnknown):
        client.import_records([{"record_id": "1"}])


def ticking(moments):
    times = iter(moments)
    return lambda: next(times)


@pytest.mark.parametrize(
    ("moments", "sizes", "late"),
    [
        # Minutes before the first byte are REDCap at work.
        ([0, 290, 291, 292], [10, 5_000, 5_000], None),
        # A steady line of a hundred bytes a second is slow, not stalled.
        (range(301), [100] * 300, None),
        # It computes in the middle, more than once, and then a burst comes.
        ([0, 1, 201, 401, 601, 602], [8_000] * 5, None),
        # Pauses as long as allowed with a byte after each.
        ([0, 1, 290, 580], [1, 1, 1], Lateness.SLOW),
        (range(62), [1] * 61, Lateness.SLOW),
        # What comes fast at first may drip in the end.
        (range(200), [1_000_000, *[1] * 198], Lateness.SLOW),
        ([0, 1, 3_601], [1_000_000, 1_000_000], Lateness.TOTAL),
        ([0, 1, 2], [200_000, 200_000], Lateness.HEAD),
    ],
)
def test_how_an_answer_may_come(moments, sizes, late):
    watch = Watch(Timeouts(), ticking(moments))
    if late is not Lateness.HEAD:
        watch.headers_arrived()
    going = [watch.is_in_time(size) for size in sizes if watch.late is None]
    assert watch.late is late
    assert going == [True] * (len(going) - (late is not None)) + [False] * (late is not None)


def test_headers_without_end_are_given_up(serve):
    def endless(connection):
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)

    with client_of(serve(endless)) as client, pytest.raises(errors.UnexpectedAnswer, match="headers do not end"):
        client.instruments()


# --- How long an answer may be ---


def log_of(rows, details="town = 'x'"):
    row = {"timestamp": "2024-05-01 10:15", "username": "u", "action": "Update record 1", "details": details}
    return answer(json.dumps([row] * rows).encode())


def test_a_log_that_is_handed_over_row_by_row_may_be_longer_than_memory_takes(serve):
    rows = []
    with client_of(serve(log_of(1_000)), memory_limit=10_000, file_limit=1_000_000) as client:
        client.read_log(lambda: rows.append)
    assert len(rows) == 1_000


def test_a_row_of_the_log_may_not_be_longer_than_memory_takes(serve):
    server = serve(log_of(1, "x" * 200_000))
    with (
        client_of(server, memory_limit=10_000, file_limit=1_000_000) as client,
        pytest.raises(errors.AnswerTooLong, match="10,000 bytes"),
    ):
        client.read_log(lambda: [].append)


def endless(opening, piece):
    def send(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + opening)
        while True:
            connection.sendall(piece)

    return send


def bomb(opening, size, end=b""):
    packed = gzip.compress(opening + b" " * size + end)
    return answer(packed, headers="Content-Encoding: gzip\r\n")


CSV, JSON = b"record_id\n", b"["


@pytest.mark.parametrize(
    "script",
    [endless(CSV, b"1\n" * 30_000), endless(CSV, b" " * 60_000), bomb(CSV, 20_000_000), answer(CSV + b"1\n" * 600_000)],
)
def test_an_export_beyond_the_limit_is_one_clear_error_and_leaves_no_file(serve, tmp_path, script):
    server = serve(script)
    with client_of(server, attempts=3, file_limit=1_000_000) as client, pytest.raises(errors.AnswerTooLong) as caught:
        client.export_records_to(tmp_path / "records.csv")
    assert len(server.forms) == 1
    assert list(tmp_path.iterdir()) == []
    for words in ("1,000,000 bytes", "No part of it was kept", "ask for less"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "script",
    [
        endless(JSON, b" " * 60_000),
        endless(b'[{"instrument_name":"', b"x" * 60_000),
        endless(b'[{"record_id":"1","instrument_name":"a","timestamp":"2024-05-01 10:15"}',
                b',{"record_id":"1","instrument_name":"a","timestamp":"2024-05-01 10:15"}' * 1_000),
        bomb(JSON, 20_000_000, b"]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "call", [lambda client: client.instruments(), lambda client: client.record_ids("record_id"),
             lambda client: client.log()]
)  # fmt: skip
def test_nothing_that_is_read_into_memory_may_be_longer_than_its_limit(serve, script, call):
    with client_of(serve(script), memory_limit=1_000_000) as client, pytest.raises(errors.AnswerTooLong):
        call(client)


def test_compression_that_holds_nothing_is_given_up(serve):
    members = gzip.compress(b"") * 3_000

    def send(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n")
        while True:
            connection.sendall(members)

    with client_of(serve(send)) as client, pytest.raises(errors.UnexpectedAnswer, match="hardly any content"):
        client.instruments()


@pytest.mark.parametrize("layers", ["gzip, gzip", "gzip,identity", "br", "deflate, gzip"])
def test_compression_in_layers_or_of_another_kind_is_refused(serve, layers):
    script = answer(gzip.compress(gzip.compress(INSTRUMENT)), headers=f"Content-Encoding: {layers}\r\n")
    with (
        client_of(serve(script)) as client,
        pytest.raises(errors.UnexpectedAnswer, match="was not asked for"),
    ):
        client.instruments()


def test_a_file_leaves_room_on_its_disk(tmp_path):
    left = iter([1_000_000_000, 400_000_000, 99_999_999])
    sink = FileSink(tmp_path / "records.csv", RequestContext("record"), 10**12, free=lambda folder: next(left))
    megabytes = b"x" * 2**25
    sink.write(megabytes)
    sink.write(megabytes)
    with pytest.raises(errors.AnswerTooLong, match="99,999,999 bytes left"):
        sink.write(megabytes + megabytes)
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_list_read_in_pieces_has_a_limit_too():
    sink = JsonRows(lambda row: None, RequestContext("log"), 1_000)
    sink.write(b"[" + b" " * 999)
    with pytest.raises(errors.AnswerTooLong):
        sink.write(b" ")


# --- How long to wait before asking again ---


@pytest.mark.parametrize(
    ("header", "waits"),
    [
        ("Sun, 03 Nov 2024 07:30:20 GMT", [20.0]),
        ("20", [20.0]),
        # What is past or cannot be read says nothing.
        ("Sun, 03 Nov 2024 07:29:00 GMT", [1.0]),
        ("soon", [1.0]),
        ("nan", [1.0]),
        ("-5", [1.0]),
        # More than there is patience for.
        ("Sun, 03 Nov 2024 09:30:00 GMT", None),
        ("9" * 400, [1.0]),
        ("999999", None),
    ],
)
@pytest.mark.parametrize("dated", [True, False])
def test_a_server_may_say_by_seconds_or_by_date_when_to_come_again(serve, header, waits, dated):
    busy = answer(b"", "503 Service Unavailable", f"Retry-After: {header}\r\n")
    if not dated:
        busy = busy.replace(f"Date: {DATE}\r\n".encode(), b"")
    slept = []
    # Our own clock is asked only where the server tells no time.
    now = datetime(2024, 11, 3, 7, 30 if not dated else 45, tzinfo=UTC)
    options = {"sleep": slept.append, "now": lambda: now, "chance": lambda: 1.0, "attempts": 3}
    with client_of(serve(busy, answer(INSTRUMENT)), **options) as client:
        if waits is None:
            with pytest.raises(errors.ServerOverloaded, match=r"asks to wait [\d,]+ s"):
                client.instruments()
        else:
            client.instruments()
    assert slept == (waits or [])


# --- What stands before an answer ---

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("marks", [BOM, BOM + BOM])
@pytest.mark.parametrize("size", [1, 2, 1_000])
def test_a_byte_order_mark_before_any_answer_is_skipped(serve, tmp_path, marks, size):
    def marked(body):
        body = marks + body
        return chunked(*[body[at : at + size] for at in range(0, len(body), size)])

    with client_of(serve(marked(INSTRUMENT))) as client:
        assert client.instruments()[0].instrument_name == "visit"
    with client_of(serve(marked(b"14.7.3"))) as client:
        assert client.version() == "14.7.3"
    with client_of(serve(marked(b'[{"record_id":"1"}]'))) as client:
        assert client.record_ids("record_id") == ["1"]
    with client_of(serve(marked(b"record_id,age\n1,2\n"))) as client:
        assert client.export_records().columns.tolist() == ["record_id", "age"]
    for form, body in {"csv": b"record_id\n1\n", "json": b'[{"record_id":"1"}]', "xml": b"<records></records>"}.items():
        with client_of(serve(marked(body))) as client:
            client.export_records_to(tmp_path / form, format=form)
        assert (tmp_path / form).read_bytes() == body
    with client_of(serve(marked(b"\n"))) as client:
        client.export_records_to(tmp_path / "none", records=["1"])
    assert (tmp_path / "none").read_bytes() == b"\n"
    with client_of(serve(marked(b'{"count":1}'))) as client:
        assert client.import_records([{"record_id": "1"}]).count == 1


def test_a_byte_order_mark_before_an_error_is_skipped(serve):
    refused = BOM + b'{"error":"You do not have permissions to use the API"}'
    for script in (answer(refused, "403 Forbidden"), answer(refused)):
        with client_of(serve(script)) as client, pytest.raises(errors.TokenRefused):
            client.instruments()


def test_a_stored_file_keeps_its_byte_order_mark(serve, tmp_path):
    with client_of(serve(answer(BOM + b"a,b\n", headers='Content-Type: text/csv; name="a.csv"\r\n'))) as client:
        saved = client.export_file("1", "scan", tmp_path)
    assert saved.path.read_bytes() == BOM + b"a,b\n"


# --- What is whole and of the wrong shape ---


@pytest.mark.parametrize(
    "body",
    [b'["visit"]', b"[1]", b"[null]", b'[[{"a":"1"}]]',
     b'[{"instrument_name":"a"},"b"]', b'[{"instrument_name":"a"},5]',
     b"[" + b'"visit",' * 5_000 + b'"visit"]', b'{"instruments":[]}', b'"visit"', b"17", b"null"],
)  # fmt: skip
def test_json_of_the_wrong_shape_is_not_called_cut_and_not_asked_for_again(serve, body):
    server = serve(answer(body))
    for call in ("instruments", "log", "users"):
        asked = len(server.forms)
        with client_of(server, attempts=3) as client, pytest.raises(errors.UnexpectedAnswer):
            getattr(client, call)()
        assert len(server.forms) == asked + 1


@pytest.mark.parametrize("body", [b"[]", b"17", b'[{"project_id":1}]', b'"a"'])
def test_project_settings_of_the_wrong_shape_are_one_clear_error(serve, body):
    with client_of(serve(answer(body)), attempts=3) as client, pytest.raises(errors.UnexpectedAnswer):
        client.project_info()


# --- Whom to trust ---


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/redcap/api/", "/redcap/api/"),
        ("/redcap/api/?SAMLRequest=abc#x", "/redcap/api/"),
        # Where it was asked already.
        ("/api/", ""),
        ("https://127.0.0.1/api/", "https://127.0.0.1/api/"),
        ("https://evil.example.org/api/", ""),
        ("//evil.example.org/api/", ""),
        ("http://127.0.0.1:81/api/", ""),
        ("https://127.0.0.1:81/api/", ""),
        ("https://user@127.0.0.1/api/", ""),
        ("https://127.0.0.1.example.org/api/", ""),
        ("javascript:alert(1)", ""),
        ("https://127.0.0.1/" + "x" * 5_000, ""),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_a_redirect_is_recommended_only_on_the_same_host(serve, location, told):
    server = serve(answer(b"", "302 Found", f"Location: {location}\r\n"))
    with client_of(server) as client, pytest.raises(errors.Redirected) as caught:
        client.instruments()
    told = server.url.removesuffix("/api/") + told if told.startswith("/") else told
    assert caught.value.location == told
    if told:
        assert f"Use {told} as the URL." in str(caught.value)
    else:
        assert "evil" not in str(caught.value) and "81" not in str(caught.value).replace(client_port(server), "")
        assert "Ask the REDCap administrators" in str(caught.value)


def test_a_token_that_a_redirect_echoes_is_masked(serve):
    server = serve(b"")
    server._scripts = [answer(b"", "302 Found", f"Location: {server.url}{SECRET}/\r\n")]
    with client_of(server) as client, pytest.raises(errors.Redirected) as caught:
        client.instruments()
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.location}"


def client_port(server):
    return server.url.split(":")[2].split("/")[0]


def test_a_token_may_be_given_as_text(serve):
    from redcap_source import RedcapClient

    server = serve(answer(INSTRUMENT))
    with RedcapClient(server.url, SECRET) as client:
        client.instruments()
        assert SECRET not in repr(client)
    assert server.forms[0]["token"] == SECRET
    with pytest.raises(ValueError, match="letters and digits"):
        RedcapClient(server.url, "two words")
