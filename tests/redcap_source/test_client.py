"""The real client against a real socket that answers with exactly these bytes."""

import gzip
import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from redcap_source import RedcapClient, RetryPolicy, Timeouts, Token, errors
from tests.support.canned import SECRET, answer, chunked, client_of, slow

OVERLOADED = answer(b"", "503 Service Unavailable")
INSTRUMENT = b'[{"instrument_name":"visit","instrument_label":"Visit"}]'


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(serve, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with client_of(serve(answer(INSTRUMENT))) as client:
        assert len(client.instruments()) == 1


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (answer(b'{"error":"You do not have permissions to use the API"}', "403 Forbidden"), errors.TokenRefused),
        (answer(b"<!DOCTYPE html><title>Sign in</title>"), errors.NotRedcap),
        (answer(b""), errors.EmptyAnswer),
        (answer(INSTRUMENT[:20]), errors.Truncated),
        (answer(INSTRUMENT[:20], length=60), errors.Truncated),
        (answer(INSTRUMENT, length=1000), errors.Truncated),
        (chunked(INSTRUMENT, whole=False), errors.Truncated),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + INSTRUMENT[:-1], errors.Truncated),
        (b"HTTP/1.1 200 OK\r\nContent-Le", errors.Unreachable),
        (b"", errors.Unreachable),
        (b"nonsense\r\n\r\n", errors.Unreachable),
        (OVERLOADED, errors.ServerOverloaded),
        (answer(b"", "301 Moved", "Location: https://redcap.example.edu/api/\r\n"), errors.Redirected),
        (answer(INSTRUMENT, headers="Content-Encoding: br\r\n"), errors.UnexpectedAnswer),
        (answer(b"not gzip", headers="Content-Encoding: gzip\r\n"), errors.Truncated),
        (answer(gzip.compress(INSTRUMENT)[:-12], headers="Content-Encoding: gzip\r\n"), errors.Truncated),
        (answer(b"Warning: mysqli in x.php on line 3\n" + INSTRUMENT), errors.UnexpectedAnswer),
        (answer(b'[{"instrument_name":"\xff"}]'), errors.UnexpectedAnswer),
        (answer(b'[{"name_of_the_instrument":"visit"}]'), errors.UnexpectedAnswer),
        (answer(b'[["visit"],{}]'), errors.UnexpectedAnswer),
        (answer(b'[{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]"), errors.UnexpectedAnswer),
    ],
)
def test_a_hostile_answer_is_one_clear_error(serve, script, kind):
    server = serve(script)
    with client_of(server) as client, pytest.raises(errors.RedcapError) as caught:
        client.instruments()
    assert type(caught.value) is kind
    # Neither cause nor context: httpx's errors hold the request, and the request the token.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "heart_study" in str(caught.value)


@pytest.mark.parametrize(
    "script",
    [
        answer(INSTRUMENT),
        answer(b"\xef\xbb\xbf" + INSTRUMENT + b"\n", headers="Content-Type: text/html\r\n"),
        chunked(INSTRUMENT[:10], INSTRUMENT[10:]),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + INSTRUMENT,
        answer(gzip.compress(INSTRUMENT), headers="Content-Encoding: gzip\r\n"),
        answer(gzip.compress(INSTRUMENT[:9]) + gzip.compress(INSTRUMENT[9:]), headers="Content-Encoding: gzip\r\n"),
        slow(answer(INSTRUMENT), 0.0),
    ],
)
def test_a_good_answer_is_good_however_it_travels(serve, script):
    with client_of(serve(script)) as client:
        assert [instrument.instrument_name for instrument in client.instruments()] == ["visit"]


def test_a_transient_failure_is_retried_and_reported(serve):
    server = serve(OVERLOADED, answer(b""), b"", answer(INSTRUMENT))
    told = []
    with client_of(server, attempts=5, on_retry=lambda *facts: told.append(facts), chance=lambda: 1.0) as client:
        client.instruments()
        assert (client.calls.requests, client.calls.retries) == (4, 3)
    assert told == [(1, "ServerOverloaded", 1.0), (2, "EmptyAnswer", 2.0), (3, "Unreachable", 4.0)]


def test_a_permanent_failure_is_not_retried(serve):
    server = serve(answer(b'{"error":"no"}', "400 Bad Request"))
    with client_of(server, attempts=5) as client, pytest.raises(errors.RequestRefused):
        client.instruments()
    assert len(server.forms) == 1


def test_attempts_are_limited(serve):
    server = serve(OVERLOADED)
    with client_of(server, attempts=3) as client, pytest.raises(errors.ServerOverloaded):
        client.instruments()
    assert len(server.forms) == 3


def test_a_slow_server_is_timed_out(serve):
    server = serve(slow(answer(INSTRUMENT), 1.0))
    with client_of(server, timeouts=Timeouts(read=0.05)) as client, pytest.raises(errors.TimedOut):
        client.instruments()


def test_a_drip_that_never_pauses_long_is_timed_out_in_all(serve):
    server = serve(slow(answer(INSTRUMENT), 0.01))
    with client_of(server, timeouts=Timeouts(read=5, total=0.1)) as client, pytest.raises(errors.TimedOut):
        client.instruments()


def test_nothing_listens():
    client = RedcapClient("http://127.0.0.1:9/api/", Token(SECRET), retry=RetryPolicy(attempts=1))
    with client, pytest.raises(errors.Unreachable, match=r"127\.0\.0\.1:9") as caught:
        client.version()
    assert caught.value.__context__ is None
    assert caught.value.not_applied


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://redcap.example.edu/api/", errors.InsecureUrl),
        ("http://127.0.0.1.example.edu/api/", errors.InsecureUrl),
        ("redcap.example.edu/api/", errors.WrongUrl),
        ("ftp://redcap.example.edu/", errors.WrongUrl),
        ("https://user:secret@redcap.example.edu/api/", errors.WrongUrl),
        ("", errors.WrongUrl),
    ],
)
def test_a_url_that_cannot_do_is_refused_at_once(url, kind):
    with pytest.raises(kind) as caught:
        RedcapClient(url, Token(SECRET), project="heart_study")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:1/", "http://[::1]:1/", "http://127.8.9.1/api/", " https://a.edu/ "])
def test_a_url_that_will_do(url):
    RedcapClient(url, Token(SECRET)).close()


@pytest.mark.parametrize("call", ["arms", "events", "form_event_mapping"])
def test_what_a_classic_project_cannot_have_is_an_answer(serve, call):
    noun = {"arms": "arms", "events": "events", "form_event_mapping": "form/event mappings"}[call]
    text = f'{{"error":"You cannot export {noun} for classic projects"}}'.encode()
    with client_of(serve(answer(text, "400 Bad Request"))) as client:
        assert getattr(client, call)() == ()


def test_nothing_repeats_is_an_answer(serve):
    text = b'{"error":"You cannot export repeating instruments and events because the project does not contain any '
    with client_of(serve(answer(text + b'repeating instruments and events"}', "400 Bad Request"))) as client:
        assert client.repeating_forms_events() == ()


@pytest.mark.parametrize("call", ["arms", "repeating_forms_events"])
@pytest.mark.parametrize("script", [OVERLOADED, b"", answer(b'{"error":"You do not have rights"}', "403 Forbidden")])
def test_a_failure_is_never_taken_for_that_answer(serve, call, script):
    with client_of(serve(script)) as client, pytest.raises(errors.RedcapError):
        getattr(client, call)()


def test_the_servers_clock_is_kept(serve):
    with client_of(serve(answer(b"14.7.3\n"))) as client:
        assert client.server_date is None
        assert client.version() == "14.7.3"
        assert client.server_date == datetime(2024, 11, 3, 7, 30, tzinfo=UTC)


def test_a_version_is_not_any_text(serve):
    with client_of(serve(answer(b"Welcome"))) as client, pytest.raises(errors.UnexpectedAnswer):
        client.version()


@pytest.mark.parametrize(("part", "kind"), [(b"14.", errors.Truncated), (b"\n", errors.EmptyAnswer)])
def test_half_a_version_is_none_and_is_asked_for_again(serve, part, kind):
    with client_of(serve(answer(part))) as client, pytest.raises(kind):
        client.version()
    with client_of(serve(answer(part), answer(b"14.7.3")), attempts=2) as client:
        assert client.version() == "14.7.3"


def test_a_server_out_of_memory_is_asked_again_for_what_cannot_be_less(serve):
    full = answer(b'{"error":"REDCap ran out of server memory. x"}', "500 Internal Server Error")
    with client_of(serve(full, full, answer(INSTRUMENT)), attempts=5) as client:
        assert len(client.instruments()) == 1
    with client_of(serve(full, full, full), attempts=5) as client, pytest.raises(errors.TooLarge):
        client.instruments()
    with client_of(serve(full), attempts=5) as client, pytest.raises(errors.TooLarge):
        client.export_records(records=["1", "2"])


def test_record_ids_come_once_each_in_the_servers_order(serve):
    rows = b'[{"id":"10","redcap_event_name":"a"},{"id":"10","redcap_event_name":"b"},{"id":"2"},{"id":"1-1"}]'
    server = serve(answer(rows[:40]), answer(rows))
    with client_of(server, attempts=2) as client:
        assert client.record_ids("id", events=["a"]) == ["10", "2", "1-1"]
    sent = server.forms[-1]
    assert (sent["fields[0]"], sent["events[0]"], sent["format"], sent["type"]) == ("id", "a", "json", "flat")


def test_record_ids_without_the_id_are_unexpected(serve):
    with client_of(serve(answer(b'[{"other":"1"}]'))) as client, pytest.raises(errors.UnexpectedAnswer):
        client.record_ids("id")


def test_the_log_is_asked_for_a_slice_of_time(serve):
    row = b'[{"timestamp":"2024-05-01 10:15","username":"u","action":"Update record 5","details":"","record":null}]'
    server = serve(answer(row))
    with client_of(server) as client:
        (entry,) = client.log(begin=datetime(2024, 5, 1, 10, 15), logtype="record")
    assert (entry.timestamp, entry.record) == ("2024-05-01 10:15", "")
    assert server.forms[0]["beginTime"] == "2024-05-01 10:15:00"
    assert "endTime" not in server.forms[0]


# --- Records ---


def test_cells_of_a_frame_are_the_text_redcap_sent(serve):
    body = 'id,zip,note,note\n001,02139,NA,\n2,,"a ""b""\r\nc","  x "\n3,1e5,null,☃\n'.encode()
    with client_of(serve(answer(body))) as client:
        frame = client.export_records()
    assert frame.columns.tolist() == ["id", "zip", "note", "note"]
    assert frame.to_numpy().tolist() == [
        ["001", "02139", "NA", ""],
        ["2", "", 'a "b"\r\nc', "  x "],
        ["3", "1e5", "null", "☃"],
    ]


def test_an_empty_csv_is_confirmed_in_json(serve):
    server = serve(answer(b"\n"), answer(b"[]"))
    with client_of(server) as client:
        assert client.export_records(records=["9"]).empty
    assert [form["format"] for form in server.forms] == ["csv", "json"]
    with client_of(serve(answer(b"\n"), answer(b""))) as client, pytest.raises(errors.EmptyAnswer):
        client.export_records(records=["9"])


def test_every_option_of_an_export_has_redcaps_name(serve, tmp_path):
    server = serve(answer(b"record_id\n1\n"))
    with client_of(server) as client:
        client.export_records_to(
            tmp_path / "a.csv",
            records=["1", "2"],
            fields="record_id",
            forms=["visit"],
            events=["event_1_arm_1"],
            raw_or_label="label",
            raw_or_label_headers="raw",
            export_checkbox_label=True,
            export_survey_fields=True,
            export_data_access_groups=True,
            blank_for_gray_form_status=True,
            combine_checkbox_options=False,
            filter_logic="[age] > 30",
            date_range_begin="2024-01-01 00:00:00",
            date_range_end=datetime(2024, 2, 1),
            csv_delimiter=";",
            decimal_character=",",
        )
    assert server.forms[0] == {
        "token": SECRET,
        "content": "record",
        "format": "csv",
        "type": "flat",
        "returnFormat": "json",
        "records[0]": "1",
        "records[1]": "2",
        "fields[0]": "record_id",
        "forms[0]": "visit",
        "events[0]": "event_1_arm_1",
        "rawOrLabel": "label",
        "rawOrLabelHeaders": "raw",
        "exportCheckboxLabel": "true",
        "exportSurveyFields": "true",
        "exportDataAccessGroups": "true",
        "exportBlankForGrayFormStatus": "true",
        "combineCheckboxOptions": "false",
        "filterLogic": "[age] > 30",
        "dateRangeBegin": "2024-01-01 00:00:00",
        "dateRangeEnd": "2024-02-01 00:00:00",
        "csvDelimiter": ";",
        "decimalCharacter": ",",
    }


def test_an_option_there_is_not_is_a_mistake(serve):
    with client_of(serve(b"")) as client, pytest.raises(TypeError, match="recods"):
        client.export_records(recods=["1"])


BODY = b"record_id,note\n" + b'1,"a, b"\n' * 50_000


def test_an_export_to_a_file_is_private_and_whole(serve, tmp_path):
    path = tmp_path / "records.csv"
    path.write_bytes(b"older and longer" * 100_000)
    path.chmod(0o644)
    with client_of(serve(chunked(BODY[:9], BODY[9:])), attempts=2) as client:
        received = client.export_records_to(path)
    assert path.read_bytes() == BODY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (received.status, received.bytes, received.attempts) == (200, len(BODY), 1)
    assert received.sha256 is not None


def test_a_second_attempt_starts_the_file_anew(serve, tmp_path):
    path = tmp_path / "records.csv"
    server = serve(answer(BODY, length=len(BODY) + 1), answer(b"record_id\n1\n"))
    with client_of(server, attempts=2) as client:
        assert client.export_records_to(path).attempts == 2
    assert path.read_bytes() == b"record_id\n1\n"


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (answer(BODY, length=len(BODY) + 1), errors.Truncated),
        (answer(BODY[:-4]), errors.Truncated),
        (answer(b'{"error":"REDCap ran out of server memory. x"}'), errors.TooLarge),
        (answer(BODY + b"<br />\n<b>Fatal error</b>: Allowed memory size of 1 bytes exhausted"), errors.TooLarge),
        (answer(b"<html><title>Access Manager</title>"), errors.NotRedcap),
    ],
)
def test_a_failed_export_leaves_no_file(serve, tmp_path, script, kind):
    path = tmp_path / "records.csv"
    with client_of(serve(script)) as client, pytest.raises(kind):
        client.export_records_to(path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_csv_is_passed_on(serve, tmp_path):
    with client_of(serve(answer(b"\n"))) as client:
        assert client.export_records_to(tmp_path / "a.csv", records=["1"]).bytes == 1


@pytest.mark.parametrize(
    ("format_", "body", "kind"),
    [
        ("json", b"", errors.EmptyAnswer),
        ("json", b"\n", errors.EmptyAnswer),
        ("json", b'[{"a":"1"}', errors.Truncated),
        ("xml", b"<records><item>", errors.Truncated),
        ("odm", b"", errors.EmptyAnswer),
    ],
)
def test_formats_that_close_themselves_must_be_closed(serve, tmp_path, format_, body, kind):
    with client_of(serve(answer(body))) as client, pytest.raises(kind):
        client.export_records_to(tmp_path / "a", format=format_)


def test_a_symbolic_link_is_not_written_through(serve, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with client_of(serve(answer(BODY))) as client, pytest.raises(OSError):
        client.export_records_to(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_reported_as_it_is(serve):
    with client_of(serve(answer(BODY)), attempts=3) as client, pytest.raises(OSError) as caught:
        client._receive(*_to_full_disk(client))
    assert not isinstance(caught.value, errors.RedcapError)


def _to_full_disk(client):
    from redcap_source.methods.records import record_request

    class Full:
        def write(self, data):
            os.write(os.open("/dev/full", os.O_WRONLY), data)

        def finish(self):
            pass

        def discard(self):
            pass

    return record_request("csv", "flat", {}), Full


def test_memory_has_a_limit(serve):
    packed = gzip.compress(b'[{"instrument_name":"' + b"x" * 5_000_000 + b'"}]')
    server = serve(answer(packed, headers="Content-Encoding: gzip\r\n"))
    with client_of(server, memory_limit=1_000_000) as client, pytest.raises(errors.AnswerTooLong):
        client.instruments()


# --- The client as a whole ---


def test_many_threads_share_a_client(serve):
    server = serve(answer(INSTRUMENT))
    with client_of(server) as client:
        threads = [threading.Thread(target=client.instruments) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.calls.requests == 8
        assert client.calls.bytes == 8 * len(INSTRUMENT)


def test_a_call_can_be_shown_before_it_is_made(serve):
    with client_of(serve(b"")) as client:
        shown = client.show("record", fields=["age"], exportSurveyFields=True)
    assert shown == {
        "token": "****",
        "content": "record",
        "format": "json",
        "fields[0]": "age",
        "exportSurveyFields": "true",
        "returnFormat": "json",
    }


def test_compression_is_asked_of_remote_servers_only():
    asked = {}

    def note(request):
        asked[request.url.host] = request.headers["accept-encoding"]
        return httpx.Response(200, content=b"14.7.3")

    for url in ("https://redcap.example.edu/api/", "http://127.0.0.1/api/"):
        with RedcapClient(url, Token(SECRET), transport=httpx.MockTransport(note)) as client:
            client.version()
    assert asked == {"redcap.example.edu": "gzip", "127.0.0.1": "identity"}


def test_the_import_is_cheap():
    import subprocess
    import sys

    heavy = ("pandas", "dagster", "duckdb", "pydantic", "redcap_source.simulator", "click", "rich", "pygments")
    code = f"import redcap_source, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_bundle_of_certificates_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(errors.BadCertificate, match="No such file"):
        RedcapClient("https://redcap.example.edu/api/", Token(SECRET), ca_bundle=tmp_path / "none.pem")
    (tmp_path / "odd.pem").write_text("odd")
    with pytest.raises(errors.BadCertificate, match=r"odd\.pem"):
        RedcapClient("https://redcap.example.edu/api/", Token(SECRET), ca_bundle=tmp_path / "odd.pem")
