"""Undo the compression of a body piece by piece, with bounded memory, and know whether it was whole; skip its mark.

httpx decodes by itself but lets a gzip body end early without a word, and unpacks as much as a piece holds.
"""

import zlib
from collections.abc import Iterator

_MOST_AT_ONCE = 1 << 18
_BOM = b"\xef\xbb\xbf"


def without_bom(body: bytes) -> bytes:
    """The body without the byte order marks before it, one for each PHP file that was saved with one."""
    while body.startswith(_BOM):
        body = body[len(_BOM) :]
    return body


class Plain:
    """A body that is not compressed."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The data as it is."""
        yield data

    def is_whole(self) -> bool:
        """Only the transport can tell."""
        return True


class Gzip:
    """A gzip body, of one member or several."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The data unpacked, in pieces of a quarter megabyte at most; zlib.error where it is no gzip."""
        while data:
            self._begun = True
            if self._member.eof:
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            if piece := self._member.decompress(data, _MOST_AT_ONCE):
                yield piece
            data = self._member.unconsumed_tail or self._member.unused_data

    def is_whole(self) -> bool:
        """Whether the last member was closed; an empty body is whole."""
        return self._member.eof or not self._begun


def decoder(content_encoding: str) -> Plain | Gzip | None:
    """The decoder of a Content-Encoding header; None for one that was not asked for."""
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return Plain()
    return Gzip() if name in ("gzip", "x-gzip") else None
