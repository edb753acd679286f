"""Answers to changes, and requests that are never repeated."""

import pytest

from redcap_source import errors
from redcap_source.errors import AnswerTooLong, RequestContext
from redcap_source.protocol.parsing import count_of, only_object
from redcap_source.protocol.request import Expect, Request, change

CONTEXT = RequestContext("record", "import", "heart_study")


@pytest.mark.parametrize("body", [b"3", b'"3"', b'{"count": 3}', b"\xef\xbb\xbf3"])
def test_a_count_in_each_form(body):
    assert count_of(body, CONTEXT) == 3


@pytest.mark.parametrize("body", [b'"three"', b"[3]", b"null", b'{"number": 3}', b"{"])
def test_what_is_no_count(body):
    with pytest.raises(errors.UnexpectedAnswer):
        count_of(body, CONTEXT)


@pytest.mark.parametrize("body", [b'{"folder_id": 7}', b'[{"folder_id": 7}]'])
def test_one_object_alone_or_in_a_list(body):
    assert only_object(body) == {"folder_id": 7}


@pytest.mark.parametrize(
    ("body", "kind"), [(b"[]", IndexError), (b"[7]", TypeError), (b"7", TypeError), (b"", ValueError)]
)
def test_what_is_no_object(body, kind):
    with pytest.raises(kind):
        only_object(body)


def test_a_change_is_never_repeatable():
    request = change("record", "delete", {"records": ["1"]})
    assert request == Request("record", "delete", {"records": ["1"]}, expect=Expect.JSON, repeatable=False)
    assert not request.smallest


def test_an_answer_beyond_the_limit_names_it():
    error = AnswerTooLong.beyond(CONTEXT, 1_000_000)
    assert (error.status, error.context) == (200, CONTEXT)
    assert "The limit is 1,000,000 bytes." in str(error)
