"""An export's pieces make the same text whatever their size."""

from __future__ import annotations

import json

import pytest

from redcap_source.simulator.export import pieces
from redcap_source.simulator.export.pieces import JSON_FRAME, XML_FRAME, Frame, csv_frame, in_pieces

ROWS = [["1", "2"], [], ["3"], ["4", "5", "6"]]


@pytest.mark.parametrize("size", [0, 1, 3, 1 << 17])
def test_rows_are_joined_over_the_bounds_of_pieces(monkeypatch, size):
    monkeypatch.setattr(pieces, "PIECE", size)
    found = list(in_pieces(JSON_FRAME, ROWS))
    assert json.loads(b"".join(found)) == [1, 2, 3, 4, 5, 6]
    assert (len(found) > 1) == (size < 4)


@pytest.mark.parametrize(
    ("frame", "empty"),
    [(JSON_FRAME, b"[]"), (csv_frame("id,age"), b"\n"), (XML_FRAME, XML_FRAME.empty.encode()), (Frame(), b"")],
)
def test_an_export_without_rows_has_a_text_of_its_own(frame, empty):
    assert b"".join(in_pieces(frame, [])) == b"".join(in_pieces(frame, [[], []])) == empty


def test_half_a_character_is_written_as_it_was_stored():
    assert b"".join(in_pieces(Frame(), [["\ud83d"]])) == b"\xed\xa0\xbd"
