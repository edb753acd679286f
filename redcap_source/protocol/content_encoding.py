"""Decode the bytes of an answer: decompress it, drop byte order marks, escape halves of characters.

It works piece by piece with bounded memory. httpx decodes by itself, but accepts a gzip body that ends early, and
decompresses a piece of any size at once.
"""

import re
import zlib
from collections.abc import Iterator

_MOST_AT_ONCE = 1 << 18
_BOM = b"\xef\xbb\xbf"


def without_bom(body: bytes) -> bytes:
    """The body without its byte order marks: one for each PHP file of the server that was saved with one."""
    while body.startswith(_BOM):
        body = body[len(_BOM) :]
    return body


class Plain:
    """A body that is not compressed."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The data, unchanged."""
        yield data

    def is_whole(self) -> bool:
        """Always True: only the transport can tell."""
        return True


class Gzip:
    """A gzip body, of one member or several."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The decompressed data, in pieces of at most a quarter of a megabyte; zlib.error where it is not gzip."""
        while data:
            self._begun = True
            if self._member.eof:
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            if piece := self._member.decompress(data, _MOST_AT_ONCE):
                yield piece
            data = self._member.unconsumed_tail or self._member.unused_data

    def is_whole(self) -> bool:
        """Whether the last member is complete; an empty body is."""
        return self._member.eof or not self._begun


def decoder_for(content_encoding: str) -> Plain | Gzip | None:
    """The decoder for a Content-Encoding header; None for an encoding that was not asked for."""
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return Plain()
    return Gzip() if name in ("gzip", "x-gzip") else None


# The escape of a surrogate, after an even number of backslashes, and its partner if it has one.
_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u(?:([dD][89abAB][0-9a-fA-F]{2})(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|([dD][c-fC-F][0-9a-fA-F]{2}))"
)
_OF_ESCAPES = b"\\u0123456789abcdefABCDEF"
_LONGEST_PAIR = 12
_MOST_HELD = 1 << 16


class HalfCharacters:
    """Keeps the halves of characters in a JSON body, which no text and no database can hold.

    JSON may escape one half of a character beyond U+FFFF without the other: `\\ud83d`. Such an escape becomes the text
    it is written as, a backslash and five letters, so that nothing is lost and everything can be stored.
    """

    def __init__(self) -> None:
        self._held = b""
        self.count = 0
        """The number of halves found."""

    def piece(self, data: bytes) -> bytes:
        """The next piece of the body; what may be the beginning of an escape is held back."""
        data = self._held + data if self._held else data
        cut = len(data)
        if b"\\" in data[-_LONGEST_PAIR:]:
            cut = len(data.rstrip(_OF_ESCAPES))
            if cut < len(data) - _MOST_HELD:
                cut = _between_escapes(data)
        self._held = data[cut:]
        return self._kept(data[:cut])

    def rest(self) -> bytes:
        """What is still held back, at the end of the body."""
        held, self._held = self._held, b""
        return self._kept(held)

    def _kept(self, data: bytes) -> bytes:
        if b"\\ud" not in data and b"\\uD" not in data:
            return data
        return _SURROGATE.sub(self._as_text, data)

    def _as_text(self, found: re.Match[bytes]) -> bytes:
        if found[3]:
            return found[0]
        self.count += 1
        return found[1] + rb"\\u" + (found[2] or found[4])


def _between_escapes(data: bytes) -> int:
    """A position near the end of a text of escapes only that splits neither an escape nor a pair of them."""
    cut = data.rfind(b"\\", 0, len(data) - _LONGEST_PAIR)
    if _SECOND_HALF.match(data, cut) and data[cut - 6 : cut - 4] == b"\\u":
        cut -= 6
    return len(data[:cut].rstrip(b"\\")) or len(data)


_SECOND_HALF = re.compile(rb"\\u[dD][c-fC-F]")
