"""What a fault does to the body of an answer: bytes in, bytes out."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from itertools import repeat

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PHP_WARNING = b"<br />\n<b>Warning</b>:  Undefined variable $x<br />\n"
# What an endless body repeats, and the blanks in each gzip member of a bomb.
BLANKS = b" " * (1 << 16)
MEMBER = 1 << 20
_LABEL = re.compile(rb'("(?:field_label|instrument_label|event_name|project_title|name)":")')


def pieces_of(body: bytes | Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of a body; a body that is not in pieces is a single one."""
    return iter((body,)) if isinstance(body, bytes) else body


def cut_share(body: bytes, share: float) -> bytes:
    """The first part of a body."""
    return body[: int(len(body) * share)]


def cut_at_line(body: bytes, share: float) -> bytes:
    """The first part of a body, ending exactly where a line or a JSON row ends."""
    at = int(len(body) * share)
    line = body.rfind(b"\n", 0, at)
    return body[: line + 1] if line >= 0 else body[:at]


def bomb(body: bytes, share: float, size: int) -> Iterator[bytes]:
    """The first part of a body as gzip, then blanks that unpack to `size` bytes, a thousand times what is sent."""
    yield gzip.compress(cut_share(body, share))
    member = gzip.compress(b" " * MEMBER)
    for _ in range(size // MEMBER):
        yield member


def endless(body: bytes, share: float) -> Iterator[bytes]:
    """The first part of a body, then blanks for as long as they are read."""
    yield cut_share(body, share)
    yield from repeat(BLANKS)


def with_half_characters(body: bytes) -> bytes:
    """A JSON body in which each label begins with the first half of an emoji."""
    return _LABEL.sub(rb"\1\\ud83d", body)
