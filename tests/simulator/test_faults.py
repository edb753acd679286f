"""Every fault, as a client on the wire meets it."""

import gzip
import http.client
import threading
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime

import pytest

from redcap_source.simulator import Behaviour, Fault, Simulator, SimulatorError, parse_fault
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic

ROWS = [{"id": str(number), "age": str(number)} for number in range(1, 31)]


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [
        ("429", 429, "<html>"),
        ("500", 500, '{"error"'),
        ("502", 502, "<html>"),
        ("503", 503, "<html>"),
        ("504", 504, "<html>"),
        ("html", 200, "<!DOCTYPE html>"),
        ("empty", 200, ""),
        ("memory", 500, '{"error":"REDCap ran out of server memory.'),
        ("php_warning", 200, "<br />\n<b>Warning</b>"),
    ],
)
def test_bad_answers(asker, simulator, kind, status, start):
    ask = asker(classic(*ROWS))
    simulator.faults.add(kind)
    got = ask.raw(content="record", format="json")
    assert got[0] == status and got[1].startswith(start)
    assert len(ask.json(content="record")) == 30, "a fault is injected once by default"


def test_a_fault_that_no_request_got_is_unused(asker, simulator):
    ask = asker(classic(*ROWS))
    first = simulator.faults.add("empty", content="record")
    second = simulator.faults.add("500", content="record", nth=2)
    assert simulator.faults.unused() == (first, second)
    ask.raw(content="record", format="json")
    assert simulator.faults.unused() == (second,)


def test_a_cut_body_with_the_whole_length_announced_ends_too_early(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("truncate", wrong_length=True)
    with pytest.raises(http.client.IncompleteRead):
        ask(content="record", format="json")


def test_a_body_cut_at_a_line_end_looks_whole(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("truncate_line")
    body = ask(content="record", format="csv")
    assert body.endswith("\n") and 2 < body.count("\n") < 31


@pytest.mark.parametrize("kind", ["reset", "hang"])
def test_lost_connections(asker, simulator, kind):
    ask = asker(classic(*ROWS))
    simulator.faults.add(kind, seconds=0.01)
    with pytest.raises((urllib.error.URLError, ConnectionResetError, http.client.RemoteDisconnected)):
        ask(content="record", format="json")


def test_some_records_can_be_lost_without_a_word(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("drop_records", content="record", every=3)
    assert len(ask.json(content="record")) == 20


def test_a_slow_answer_is_whole(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("slow", seconds=0.001)
    assert len(ask.json(content="record")) == 30


def test_a_ban_lasts_until_it_is_lifted(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("ban")
    assert "banned" in ask(content="version") and "banned" in ask(content="record")
    simulator.faults.reset_ban()
    assert ask(content="version") == "14.7.3"


def test_faults_choose_their_requests(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add(Fault("502", content="record", nth=2, times=2))
    statuses = [ask.raw(content=content)[0] for content in ("record", "version", "record", "record", "record")]
    assert statuses == [200, 200, 502, 502, 200]


def test_chance_decides_when_asked_to(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("503", probability=0.5, times=None)
    statuses = [ask.raw(content="version")[0] for _ in range(20)]
    assert 200 in statuses and 503 in statuses


def test_work_can_be_done_though_its_answer_is_lost(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("504", after_work=True)
    ask.raw(content="record", format="csv")
    assert ask.json(content="log", logtype="export")[0]["action"] == "Data export (API) "


def test_an_edit_that_fails_does_not_pass_for_redcap():
    with pytest.raises(SimulatorError, match="itself failed"), Simulator() as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic(*ROWS), name="x"))
        simulator.before_request(lambda: ask.project.delete("nobody"))
        with pytest.raises((urllib.error.URLError, ConnectionResetError, http.client.RemoteDisconnected)):
            ask(content="record")


def test_an_edit_can_come_between_two_requests(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.before_request(lambda: ask.project.save("1", {"age": "99"}), nth=2, content="record")
    ages = [ask.csv(content="record", records="1")[0]["age"] for _ in range(3)]
    assert ages == ["1", "99", "99"]


def test_an_edit_of_a_project_that_was_replaced_by_a_saved_state_is_not_made(asker, simulator, tmp_path):
    ask = asker(classic(*ROWS))
    simulator.save_state(tmp_path / "state")
    made = []
    simulator.before_request(lambda: made.append("edit"))
    simulator.load_state(tmp_path / "state")
    ask(content="record")
    assert made == []


def test_any_answer_at_all_can_be_sent(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("answer", status=418, body=b'[{"id":' + b"1" * 10_000, content_type="application/json")
    status, body, headers = ask.raw(content="record", format="json")
    assert (status, len(body), headers["Content-Type"]) == (418, 10_007, "application/json")


def test_a_date_header_can_be_left_out_or_false(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.clock.set(datetime(2025, 6, 10, 3, tzinfo=UTC))
    simulator.faults.add("no_date", content="version")
    simulator.faults.add("false_date", content="version", ahead=13 * 3600)
    dates = [ask.raw(content="version")[2].get("Date", "") for _ in range(3)]
    assert [date[:22] for date in dates] == ["", "Tue, 10 Jun 2025 16:00", "Tue, 10 Jun 2025 03:00"]


def test_a_busy_server_may_name_the_date_at_which_to_come_again(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.clock.set(datetime(2025, 6, 10, 3, tzinfo=UTC))
    simulator.faults.add("busy", seconds=90)
    status, _, headers = ask.raw(content="version")
    assert (status, headers["Retry-After"][:25]) == (503, "Tue, 10 Jun 2025 03:01:30")


def test_a_redirect_may_point_anywhere(simulator):
    simulator.faults.add("redirect", location="https://evil.example.org/api/")
    connection = http.client.HTTPConnection(*simulator.url.split("/")[2].split(":"))
    connection.request("POST", "/api/", "content=version", {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://evil.example.org/api/")
    connection.close()


def test_a_mark_may_stand_before_an_answer(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("bom", content="record")
    assert ask(content="record", format="csv").startswith("\ufeffid,")


def test_labels_may_hold_half_a_character(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("half_character", content="metadata")
    assert all(row["field_label"].startswith("\ud83d") for row in ask.json(content="metadata"))


def test_a_value_with_half_a_character_is_answered_in_any_format(asker):
    ask = asker(classic({"id": "1", "note": "a\ud83d"}))
    assert ask.json(content="record")[0]["note"] == "a\ud83d"
    with pytest.raises(UnicodeDecodeError):
        ask(content="record", format="csv")


def test_a_bomb_unpacks_to_the_size_asked_for(simulator, asker):
    ask = asker(classic(*ROWS))
    simulator.faults.add("bomb", size=3 << 20)
    data = urllib.parse.urlencode({"token": ask.project.token, "content": "record", "format": "csv"}).encode()
    with urllib.request.urlopen(simulator.url, data, timeout=10) as answer:
        packed = answer.read()
    assert len(packed) < 10_000
    assert 3 << 20 < len(gzip.decompress(packed)) < 4 << 20


def test_an_endless_body_goes_on_until_nobody_reads_it(simulator, asker):
    ask = asker(classic(*ROWS))
    simulator.faults.add("endless")
    data = urllib.parse.urlencode({"token": ask.project.token, "content": "record", "format": "csv"}).encode()
    with urllib.request.urlopen(simulator.url, data, timeout=10) as answer:
        assert len(answer.read(10_000_000)) == 10_000_000
    assert ask(content="version") == "14.7.3"


def test_a_slow_answer_may_come_byte_by_byte(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.faults.add("slow", seconds=0, piece=1)
    assert len(ask.json(content="record")) == 30


def test_too_many_requests_a_minute_are_a_ban(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.behaviour = Behaviour(rate_limit=5)
    answers = [ask(content="version") for _ in range(7)]
    assert answers[:5] == ["14.7.3"] * 5 and "banned" in answers[5] and "banned" in answers[6]


def test_too_many_requests_a_minute_may_get_a_429(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.behaviour = Behaviour(rate_limit=3, rate_limit_answer="429")
    assert [ask.raw(content="version")[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    simulator.behaviour = Behaviour()
    assert ask.raw(content="version")[0] == 200


def test_faults_can_be_armed_from_the_start():
    with Simulator(faults=[Fault("502", content="version"), Fault("503", nth=2)]) as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic(*ROWS), name="x"))
        assert [ask.raw(content="version")[0] for _ in range(4)] == [502, 200, 503, 200]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("502", Fault("502")),
        ("504, content=record, action=import, after_work=true", Fault("504", "record", "import", after_work=True)),
        ("drop_records,every=5,times=all", Fault("drop_records", every=5, times=None)),
        ("slow,seconds=0.5,probability=0.1,nth=3,times=2", Fault("slow", seconds=0.5, probability=0.1, nth=3, times=2)),
        ("truncate,share=0.9,wrong_length=1", Fault("truncate", share=0.9, wrong_length=True)),
        ("answer,status=418,body=tea,content_type=text/plain", Fault("answer", status=418, body=b"tea",
                                                                     content_type="text/plain")),
    ],
)  # fmt: skip
def test_faults_can_be_written_down(text, fault):
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("flood", "no fault 'flood'"),
        ("502,often", "no option 'often'"),
        ("502,colour=red", "no option 'colour=red'"),
        ("502,nth=two", "nth cannot be 'two'"),
        ("502,after_work=maybe", "after_work cannot be 'maybe'"),
    ],
)
def test_a_fault_that_cannot_be_read_is_named(text, sentence):
    with pytest.raises(SimulatorError, match=sentence):
        parse_fault(text)


def test_too_big_an_export_runs_out_of_memory(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.behaviour = Behaviour(max_cells=100)
    status, text = ask.refused(content="record")
    assert status == 500 and text.startswith("REDCap ran out of server memory.")
    assert len(ask.json(content="record", records="1,2,3")) == 3


def test_too_long_a_body_gets_an_empty_error(asker, simulator):
    ask = asker(classic(*ROWS))
    simulator.behaviour = Behaviour(max_body_bytes=1_000)
    assert ask.raw(content="record", data="[" + " " * 1_000 + "]", format="json")[:2] == (400, "")


def test_exports_and_edits_at_the_same_time_do_not_disturb_each_other(asker, simulator):
    ask = asker("longitudinal", records=150)
    stop = threading.Event()

    def edit():
        for number in range(10_000):
            if stop.is_set():
                return
            ask.project.save(f"{1001 + number % 150}", {"initials": "abcdefgh"[number % 8]}, event="screening_arm_1"
                             if number % 150 % 2 else "screening_arm_2")  # fmt: skip

    editor = threading.Thread(target=edit)
    editor.start()
    rows = [len(ask.csv(content="record", fields="record_id")) for _ in range(6)]
    rows.append(len(ask.csv(content="record")))
    stop.set()
    editor.join()
    assert min(rows) >= 2_600 and simulator.failures == []


def test_a_mistake_of_the_simulator_does_not_pass_for_redcap():
    with pytest.raises(SimulatorError, match="itself failed"), Simulator() as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic(*ROWS), name="x"))
        ask.project.project.records = None
        with pytest.raises((urllib.error.URLError, ConnectionResetError, http.client.RemoteDisconnected)):
            ask(content="record")


def test_an_unknown_fault_is_named(simulator):
    with pytest.raises(SimulatorError, match="There is no fault 'flood'"):
        simulator.faults.add("flood")
