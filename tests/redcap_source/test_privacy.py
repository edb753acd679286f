"""Canaries: a token and a participant's value are planted, then everything a person might see is searched."""

import copy
import logging
import pickle
import traceback

import pytest

from redcap_source import Token, errors
from redcap_source.errors import RequestContext
from tests.support.canned import SECRET, answer, client_of

CANARY = "Zebulon-1867"
LINES = rf"\"{CANARY}\",\"weight\",\"{CANARY}\",\"The value is not a valid category for weight\""


def everything_said(error: BaseException) -> str:
    """The error as logs, consoles and pickles show it, with whatever hangs on it."""
    chain = "".join(traceback.format_exception(error))
    hanging = [error.__cause__, error.__context__]
    return "\n".join(
        [str(error), repr(error), chain, repr(error.args), repr(hanging), str(pickle.loads(pickle.dumps(error)))]
    )


def locals_of_frames(error: BaseException) -> str:
    """What a console that prints the local variables of every frame would show, this file's frames left out."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename != __file__]
    assert frames
    return "\n".join(repr(frame.f_locals) for frame in frames)


@pytest.mark.parametrize(
    "script",
    [
        answer(f"[{CANARY}".encode()),
        answer(f'[{{"id":"{CANARY}"}}'.encode()),
        answer(f'[{{"id":"{CANARY}" "a":1}}, {{"a": "bbbbbbbbbbbbbbbbbbbb"}}]'.encode()),
        answer(f'[{{"other":"{CANARY}"}}]'.encode()),
        answer(f"<html>{CANARY} {SECRET}</html>".encode()),
        answer(f"Warning: {CANARY} on line 3\n[]".encode()),
        answer(CANARY.encode()),
        answer(f'{{"error":"The record \\"{CANARY}\\" does not exist"}}'.encode(), "400 Bad Request"),
        answer(f'{{"error":"The following records do not exist: {CANARY}, 7"}}'.encode(), "400 Bad Request"),
        answer(f'{{"error":"Record {CANARY} is odd; token {SECRET}"}}'.encode(), "400 Bad Request"),
        answer(f'{{"error":"{LINES}"}}'.encode(), "400 Bad Request"),
        answer(b"", "302 Found", f"Location: https://sso.example.edu/?token={SECRET}\r\n"),
        answer(f"{CANARY}".encode(), "500 Internal Server Error"),
        f"HTTP/1.1 {CANARY} {SECRET}\r\n\r\n".encode(),
        answer(f"{CANARY}".encode(), length=1000),
        b"",
    ],
)
def test_no_error_log_or_repr_tells_the_token_or_a_value(serve, tmp_path, caplog, script):
    caplog.set_level(logging.DEBUG)
    server, said = serve(script), []
    with client_of(server, attempts=2) as client:
        for call in (
            lambda: client.record_ids("id", records=[CANARY], filter_logic=f"[id] = '{CANARY}'"),
            lambda: client.export_records_to(tmp_path / "a.json", format="json", records=[CANARY]),
        ):
            try:
                call()
            except errors.RedcapError as error:
                said.append(everything_said(error))
                assert SECRET not in locals_of_frames(error)
        assert SECRET not in repr(client)
    assert said
    for text in [*said, caplog.text]:
        assert CANARY not in text
        assert SECRET not in text
    # The value really was there to be told.
    assert any(SECRET.encode() in body for body in server.bodies)


def test_a_fingerprint_tells_tokens_apart_and_holds_nothing_of_them():
    one, other = Token("A" * 31 + "1"), Token("A" * 31 + "2")
    assert one.fingerprint("salt") == Token("A" * 31 + "1").fingerprint("salt")
    assert len({one.fingerprint("salt"), other.fingerprint("salt"), one.fingerprint("pepper")}) == 3
    assert "AAAA" not in one.fingerprint("salt").upper()


def test_a_token_is_masked_wherever_it_is_printed():
    token = Token(f" {SECRET}\n")
    assert token.reveal() == SECRET
    assert SECRET not in f"{token} {token!r} {[token]} {token:>10}"
    assert copy.deepcopy(token) is token
    assert copy.copy(token) is token
    assert token == Token(SECRET)
    assert token != Token("B" * 32)
    assert len({token, Token(SECRET)}) == 1
    with pytest.raises(TypeError):
        pickle.dumps(token)


@pytest.mark.parametrize("wrong", ["", "  ", "two words", "päss"])
def test_a_token_of_other_characters_is_refused_without_repeating_it(wrong):
    with pytest.raises(ValueError) as caught:
        Token(wrong)
    assert not wrong.strip() or wrong not in str(caught.value)


def test_rejected_cells_are_counted_but_not_quoted():
    cells = [errors.RejectedCell(CANARY, "weight", CANARY, "Not valid"), errors.RejectedCell("2", "age", CANARY, "Odd")]
    error = errors.ImportRejected(
        RequestContext("record", "", "heart_study"), status=400, lines=cells, server_text=CANARY
    )
    assert CANARY not in everything_said(error)
    assert "2 cells of 2 records" in str(error)
    assert "weight, age" in str(error)
    assert pickle.loads(pickle.dumps(error)).lines == error.lines


def test_where_values_are_looked_for_they_are_found():
    error = errors.RequestRefused(RequestContext("record"), status=400, message="…", server_text=CANARY)
    assert error.server_text == CANARY


@pytest.mark.parametrize(
    "script",
    [
        answer(f'{{"error":"{LINES}"}}'.encode(), "400 Bad Request"),
        answer(f'{{"error":"Value {CANARY} of \'{CANARY}\' is odd"}}'.encode(), "400 Bad Request"),
        answer(f'{{"error":"{CANARY}"}}'.encode(), "500 Internal Server Error"),
        answer(f'{{"count":"{CANARY}"}}'.encode()),
        answer(f'["{CANARY}"'.encode()),
        answer(f'{{"count":0,"{CANARY}":1}}'.encode()),
        answer(f"<html>{CANARY}</html>".encode()),
        b"",
    ],
)
def test_no_error_about_a_change_tells_what_was_sent(serve, tmp_path, caplog, script):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / f"{CANARY}.txt"
    path.write_text(CANARY)
    said = []
    with client_of(serve(script)) as client:
        for call in (
            lambda: client.import_records([{"record_id": CANARY, "weight": CANARY}]),
            lambda: client.delete_records([CANARY]),
            lambda: client.rename_record(CANARY, CANARY),
            lambda: client.import_file(CANARY, "scan", path),
        ):
            try:
                call()
            except errors.RedcapError as error:
                said.append(everything_said(error))
                assert SECRET not in locals_of_frames(error)
    assert said
    for text in [*said, caplog.text]:
        assert CANARY not in text
        assert SECRET not in text
