import json

import pytest

from redcap_source import errors
from redcap_source.errors import RequestContext
from redcap_source.http.sinks import MEMORY_LIMIT
from redcap_source.protocol.json_stream import JsonRows

ROWS = [
    {"record_id": "1", "note": 'a "quoted"\n\\ü☃ {[,]}', "redcap_repeat_instance": 2},
    {"record_id": "2", "note": "", "redcap_repeat_instance": ""},
    {"a": None, "b": True, "c": -1.5e10, "d": {"e": [1, 2]}},
]


def rows_of(body, size):
    rows = []
    sink = JsonRows(rows.append, RequestContext("record"), MEMORY_LIMIT)
    for at in range(0, len(body), size):
        sink.write(body[at : at + size])
    sink.finish()
    return rows


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"ensure_ascii": False, "separators": (",", ":")}])
def test_rows_arrive_whole_however_the_body_is_cut_into_pieces(size, options):
    assert rows_of(json.dumps(ROWS, **options).encode(), size) == ROWS


def test_redcaps_own_style_with_line_ends_between_rows():
    assert rows_of(b'\xef\xbb\xbf[{"a":"\\/"},\n{"a":"b"}]\n', 1) == [{"a": "/"}, {"a": "b"}]


def test_an_empty_list_has_no_rows():
    assert rows_of(b"[]", 1) == []


@pytest.mark.parametrize("end", range(1, 20))
def test_every_cut_is_truncated(end):
    body = b'[{"a":"1"},{"a":2}]'
    with pytest.raises(errors.Truncated if end < len(body) else errors.RedcapError):
        rows_of(body[:end], 4)
        raise errors.RedcapError


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", "Expected a JSON list"),
        (b"[1]", "Expected a list of objects"),
        (b'[{"a" 1}, {"b": "cccccccccccccccccccc"}]', "not valid JSON"),
        (b'[{"a":"\xff"}]', "not UTF-8"),
        (b'[{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "nested too deeply"),
    ],
)
def test_what_is_no_list_of_objects_is_unexpected(body, problem):
    with pytest.raises(errors.UnexpectedAnswer, match=problem):
        rows_of(body, 1 << 20)


def test_something_after_the_list_is_not_ignored():
    with pytest.raises(errors.Truncated):
        rows_of(b"[]<br />Fatal error", 100)


def test_a_cell_of_50_megabytes_costs_linear_time():
    body = b'[{"a":"' + b"x" * 50_000_000 + b'"}]'
    assert len(rows_of(body, 1 << 16)[0]["a"]) == 50_000_000
