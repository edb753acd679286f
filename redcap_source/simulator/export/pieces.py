"""An export as text in pieces: what stands before, between and after its rows in each format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from redcap_source.simulator.wire.formats import XML_HEAD

# Characters of a piece: large enough that sending costs little, small enough that memory does not grow.
PIECE = 1 << 17


@dataclass(frozen=True)
class Frame:
    """What stands before the first row, between two rows, after the last row, and in place of no rows at all."""

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
    """The export of rows, which come in lists that are not cut."""
    kept: list[str] = []
    size, is_open = 0, False
    for lines in rows:
        kept += lines
        size += sum(map(len, lines))
        if size > PIECE:
            yield _encoded((frame.joint if is_open else frame.head) + frame.joint.join(kept))
            kept, size, is_open = [], 0, True
    if kept:
        yield _encoded((frame.joint if is_open else frame.head) + frame.joint.join(kept) + frame.tail)
    else:
        yield _encoded(frame.tail if is_open else frame.empty)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
