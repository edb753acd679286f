"""Which records of a request its answers verify, where each answer was verified by itself."""

from pathlib import Path

import pytest

from pipelines.extract.chunk_verification import verified_by_all
from pipelines.extract.chunks import Part
from pipelines.extract.request_queue import ChunkRequest
from pipelines.warehouse.staging.verify import Verified


def request(*shares, narrow):
    parts = tuple(Part(Path(f"{at}.csv"), "csv", at if narrow else None) for at in range(len(shares)))
    records = tuple(sorted({record for share in shares for record in share}))
    return ChunkRequest(records, 1, parts, tuple(map(tuple, shares)))


def answers(*found):
    """Each answer's verified records, with the one in doubt after a slash."""
    pairs = (text.partition("/") for text in found)
    return [Verified(tuple(records), unverified or None, len(records)) for records, _, unverified in pairs]


@pytest.mark.parametrize(
    ("found", "records", "excluded"),
    [("abc", "abc", ""), ("ab/c", "ab", "c"), ("/a", "", "a"), ("", "", ""), ("ab", "ab", "")],
)
def test_an_answer_for_everything_speaks_for_itself(found, records, excluded):
    assert verified_by_all(request("abc", narrow=False), answers(found)) == (tuple(records), tuple(excluded))


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
    asked = request("abc", "bcd", narrow=True)
    assert verified_by_all(asked, answers(*found)) == (tuple(records), tuple(excluded))
