"""What faults do to the body of an answer."""

from __future__ import annotations

import gzip
from itertools import islice

import pytest

from redcap_source.simulator.wire.damage import (
    BLANKS,
    MEMBER,
    bomb,
    cut_at_line,
    cut_share,
    endless,
    pieces_of,
    with_half_characters,
)

BODY = b"id,age\n1,40\n2,50\n"


@pytest.mark.parametrize("body", [BODY, b""])
def test_a_whole_body_is_one_piece_and_pieces_stay_pieces(body):
    assert list(pieces_of(body)) == [body]
    assert list(pieces_of(iter([b"a", b"b"]))) == [b"a", b"b"]


@pytest.mark.parametrize(
    ("share", "cut", "at_line"),
    [
        (0.0, b"", b""),
        (0.5, b"id,age\n1", b"id,age\n"),
        (0.9, b"id,age\n1,40\n2,5", b"id,age\n1,40\n"),
        (1.0, BODY, BODY),
    ],
)
def test_a_body_is_cut_at_a_share_or_at_the_line_before_it(share, cut, at_line):
    assert cut_share(BODY, share) == cut
    assert cut_at_line(BODY, share) == at_line


def test_a_body_without_lines_is_cut_at_its_share():
    assert cut_at_line(b"abcd", 0.5) == b"ab"


def test_a_bomb_unpacks_to_its_size_behind_the_first_part():
    packed = b"".join(bomb(BODY, 0.5, 3 * MEMBER))
    assert gzip.decompress(packed) == cut_share(BODY, 0.5) + b" " * (3 * MEMBER)
    assert len(packed) < MEMBER // 100


def test_an_endless_body_goes_on_with_blanks():
    assert list(islice(endless(BODY, 0.5), 4)) == [cut_share(BODY, 0.5), BLANKS, BLANKS, BLANKS]


def test_half_characters_are_put_in_labels_only():
    body = b'[{"field_name":"age","field_label":"Age","name":"x"}]'
    assert with_half_characters(body) == rb'[{"field_name":"age","field_label":"\ud83dAge","name":"\ud83dx"}]'
