"""Which records of a chunk its answers verify, where each answer was verified by itself."""

from collections import deque
from pathlib import Path

import pytest

from pipelines.extract.chunk_verification import verified_by_all
from pipelines.extract.chunks import Part
from pipelines.extract.request_queue import OpenChunk, PartRequest
from pipelines.warehouse.staging.verify import Verified


def chunk(*shares, narrow, end=None, lost=""):
    """A chunk whose requests named these records, and one that marks the end."""
    parts = [Part(Path(f"{at}.csv"), "csv", at if narrow else None) for at in range(len(shares))]
    records = tuple(sorted({record for share in shares for record in share}))
    asked = OpenChunk(records, 1, narrow, "csv", deque(), lost=set(lost))
    asked.answers = [(PartRequest(part, tuple(share), end), None) for part, share in zip(parts, shares, strict=True)]
    return asked


def answers(*found):
    """Each answer's verified records, with the one in doubt after a slash."""
    pairs = (text.partition("/") for text in found)
    return [Verified(tuple(records), unverified or None, len(records)) for records, _, unverified in pairs]


@pytest.mark.parametrize(
    ("found", "records", "excluded"),
    [("abc", "abc", ""), ("ab/c", "ab", "c"), ("/a", "", "a"), ("", "", ""), ("ab", "ab", "")],
)
def test_an_answer_for_everything_speaks_for_itself(found, records, excluded):
    assert verified_by_all(chunk("abc", narrow=False), answers(found)) == (tuple(records), tuple(excluded))


@pytest.mark.parametrize(
    ("found", "records", "excluded"),
    [
        ("abc/z", "abc", "z"),
        # It did not come last: it is still requested elsewhere, and the last one is in doubt.
        ("abz/c", "ab", "zc"),
        # It was deleted meanwhile.
        ("ab/c", "ab", "zc"),
    ],
)
@pytest.mark.parametrize("narrow", [True, False])
def test_a_record_that_marks_the_end_of_an_answer_is_never_taken_from_it(found, records, excluded, narrow):
    verified, unused = verified_by_all(chunk("abc", narrow=narrow, end="z"), answers(found))
    assert (verified, set(unused)) == (tuple(records), set(excluded))


@pytest.mark.parametrize(
    ("found", "records", "excluded"),
    [
        (["abc", "bcd"], "abcd", ""),
        # In doubt in one answer, in doubt in all.
        (["ab/c", "bcd"], "abd", "c"),
        # An answer lacks records that were requested in its scope.
        (["ab", "bd"], "abd", "c"),
        (["", "bcd"], "d", "abc"),
    ],
)
def test_of_narrow_answers_a_record_needs_all_that_it_was_requested_in(found, records, excluded):
    asked = chunk("abc", "bcd", narrow=True)
    assert verified_by_all(asked, answers(*found)) == (tuple(records), tuple(excluded))


def test_a_record_that_could_not_be_fetched_in_one_scope_is_in_doubt_although_the_others_have_it():
    asked = chunk("abc", "ac", narrow=True, lost="b")
    assert verified_by_all(asked, answers("abc", "ac")) == (("a", "c"), ("b",))
