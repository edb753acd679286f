"""An export as text in pieces: what is written before, between and after its rows in each format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from redcap_source.simulator.wire.formats import XML_HEAD

# Characters of a piece: large enough that sending costs little, small enough that memory does not grow.
PIECE = 1 << 17


@dataclass(frozen=True)
class Frame:
    """The text before the first row, between two rows, after the last row, and of an export without rows."""

    head: str = ""
    joint: str = ""
    tail: str = ""
    empty: str = ""


JSON_FRAME = Frame("[", ",", "]", "[]")
XML_FRAME = Frame(f"{XML_HEAD}\n<records>\n", "", "</records>", f"{XML_HEAD}\n<records>\n</records>")


def csv_frame(header: str) -> Frame:
    """The frame of CSV with this first line; an export without rows is a line break alone."""
    return Frame(head=header + "\n", empty="\n")


def in_pieces(frame: Frame, rows: Iterable[list[str]]) -> Iterator[bytes]:
    """The text of all rows, in pieces that do not cut a list of rows."""
    kept: list[str] = []
    size, is_open, before = 0, False, frame.head
    for lines in filter(None, rows):
        text = frame.joint.join(lines)
        kept.append(text)
        size += len(text)
        if size > PIECE:
            yield _encoded(before + frame.joint.join(kept))
            kept, size, is_open, before = [], 0, True, frame.joint
    if kept:
        yield _encoded(before + frame.joint.join(kept) + frame.tail)
    else:
        yield _encoded(frame.tail if is_open else frame.empty)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
