"""Damaged files: bytes, lines and tags that were changed, removed or added."""

from __future__ import annotations

import random
import re

BYTES = (b"\x00", b"\xff", b'"', b"<", b">", b"&", b",", b";", b"\t", b"\n", b"'", b"\xc3", b"9", b"-", b"=", b"|")
_TAG = re.compile(rb"<[^<>]*>")
_ATTRIBUTE = re.compile(rb'="[^"<>]*"')
VALUES = (b"", b"-1", b"x", b"9" * 5000, b"1.5", b" ", b"\xc3\xa4", b"[", b"true", b"2 1")


def mutated(content: bytes, choose: random.Random) -> bytes:
    """The content with one to four changes."""
    for _ in range(choose.randint(1, 4)):
        kinds = (
            _changed_byte,
            _lost_bytes,
            _lost_line,
            _doubled_line,
            _lost_tag,
            _moved_tag,
            _other_value,
            _cut,
            _cell,
        )
        content = choose.choice(kinds)(content, choose)
    return content


def _place(content: bytes, choose: random.Random) -> int:
    return choose.randint(0, max(len(content) - 1, 0))


def _changed_byte(content: bytes, choose: random.Random) -> bytes:
    at = _place(content, choose)
    return content[:at] + choose.choice(BYTES) + content[at + choose.randint(0, 1) :]


def _lost_bytes(content: bytes, choose: random.Random) -> bytes:
    at = _place(content, choose)
    return content[:at] + content[at + choose.randint(1, 40) :]


def _lost_line(content: bytes, choose: random.Random) -> bytes:
    lines = content.split(b"\n")
    del lines[choose.randrange(len(lines))]
    return b"\n".join(lines)


def _doubled_line(content: bytes, choose: random.Random) -> bytes:
    lines = content.split(b"\n")
    lines.insert(choose.randrange(len(lines)), choose.choice(lines))
    return b"\n".join(lines)


def _lost_tag(content: bytes, choose: random.Random) -> bytes:
    tags = list(_TAG.finditer(content))
    if not tags:
        return _lost_line(content, choose)
    gone = choose.choice(tags)
    # With its end tag, so that the XML is well-formed and only its content is wrong.
    name = re.escape(gone.group().strip(b"</>").split(b" ")[0])
    end = re.compile(b"</" + name + b">").search(content, gone.end())
    if end is None or gone.group().startswith(b"</") or choose.random() < 0.3:
        return content[: gone.start()] + content[gone.end() :]
    return content[: gone.start()] + content[end.end() :]


def _moved_tag(content: bytes, choose: random.Random) -> bytes:
    tags = [tag for tag in _TAG.finditer(content) if tag.group().endswith(b"/>")]
    if not tags:
        return _doubled_line(content, choose)
    moved, to = choose.choice(tags), choose.choice(tags)
    return content[: to.start()] + moved.group() + content[to.start() :]


def _other_value(content: bytes, choose: random.Random) -> bytes:
    found = list(_ATTRIBUTE.finditer(content))
    if not found:
        return _cell(content, choose)
    one = choose.choice(found)
    return content[: one.start()] + b'="' + choose.choice(VALUES) + b'"' + content[one.end() :]


def _cut(content: bytes, choose: random.Random) -> bytes:
    return content[: _place(content, choose)] if choose.random() < 0.2 else content


def _cell(content: bytes, choose: random.Random) -> bytes:
    lines = content.split(b"\n")
    at = choose.randrange(len(lines))
    cells = lines[at].split(b",")
    cells[choose.randrange(len(cells))] = choose.choice(VALUES)
    lines[at] = b",".join(cells)
    return b"\n".join(lines)
