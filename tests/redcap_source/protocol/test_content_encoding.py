"""Half a character in JSON: kept as the text of its escape, counted, and in nobody's way."""

import json

import pytest

from redcap_source.protocol.content_encoding import HalfCharacters
from tests.support.canned import answer, chunked, client_of

SMILE = "\\ud83d\\ude00"


def kept(body, size):
    halves, out = HalfCharacters(), b""
    for at in range(0, len(body), size):
        out += halves.piece(body[at : at + size])
    return (out + halves.rest()).decode(), halves.count


@pytest.mark.parametrize(
    ("sent", "text", "count"),
    [
        (r"a\ud83db", r"a\ud83db", 1),
        (r"\ude00", r"\ude00", 1),
        (r"\uD83D", r"\uD83D", 1),
        (r"\ude00\ud83d", r"\ude00\ud83d", 2),
        (r"\ud83d\ud83d\ude00", "\\ud83d\U0001f600", 1),
        (SMILE, "\U0001f600", 0),
        (SMILE * 20 + "z", "\U0001f600" * 20 + "z", 0),
        # Backslashes that make a text of it, or do not.
        (r"\\ud83d", r"\ud83d", 0),
        (r"\\\ud83d", "\\" + r"\ud83d", 1),
        (r"\\\\ud83d", r"\\ud83d", 0),
        (r"\n\ud83d\n", "\n\\ud83d\n", 1),
        (r"\ud83d\n", "\\ud83d\n", 1),
        (r"\ud83d\u00e9", "\\ud83dé", 1),
        (r"\u00e9\u2603 \"\/ abcdef0123456789", 'é☃ "/ abcdef0123456789', 0),
        ("", "", 0),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 12, 1000])
def test_half_a_character_becomes_the_text_of_its_escape_wherever_the_pieces_end(sent, text, count, size):
    body = f'[{{"a":"{sent}"}}]'
    made, found = kept(body.encode(), size)
    assert json.loads(made) == [{"a": text}]
    assert found == count
    if not count:
        assert made == body


def test_a_body_of_nothing_but_escapes_is_not_held_back_for_ever():
    body = b'["' + rb"\ud83d\ude00" * 100_000 + b'"]'
    halves = HalfCharacters()
    passed = sum(len(halves.piece(body[at : at + 60_000])) for at in range(0, len(body), 60_000))
    assert passed + len(halves.rest()) == len(body)
    assert len(body) - passed < 1 << 17


@pytest.mark.parametrize("size", [3, 1000])
def test_a_label_with_half_a_character_is_read_and_counted(serve, tmp_path, size):
    body = rb'[{"instrument_name":"visit","instrument_label":"Visit \ud83d"}]'
    script = chunked(*[body[at : at + size] for at in range(0, len(body), size)])
    with client_of(serve(script)) as client:
        assert client.instruments()[0].instrument_label == r"Visit \ud83d"
        assert client.calls.half_characters == 1
        client.export_records_to(tmp_path / "a.json", format="json")
        assert json.loads((tmp_path / "a.json").read_text()) == [
            {"instrument_name": "visit", "instrument_label": r"Visit \ud83d"}
        ]
        assert client.calls.half_characters == 2


def test_ids_and_log_rows_with_half_a_character_are_text_like_any_other(serve):
    with client_of(serve(answer(rb'[{"record_id":"\ud83d1"},{"record_id":"2"}]'))) as client:
        assert client.record_ids("record_id") == [r"\ud83d1", "2"]
    row = rb'[{"timestamp":"2024-05-01 10:15","username":"u","action":"x","details":"a = \ude00","record":null}]'
    with client_of(serve(answer(row))) as client:
        assert client.log()[0].details == r"a = \ude00"
