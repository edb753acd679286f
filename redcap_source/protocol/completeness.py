"""Whether a body is whole, judged while it goes by: what its format can tell of its own end.

The transport sees most cuts; these are the ones it cannot see, made by a PHP that died or a proxy that gave up. What
a body begins with is verdict.py's business.
"""

import json
import re

from redcap_source import errors
from redcap_source.errors import RedcapError, RequestContext
from redcap_source.protocol.request import JSON, Expect, Request

_TAIL_BYTES = 2048
_JSON_END = {
    # Rows are objects: a list that ends otherwise ended inside one.
    Expect.ROWS: re.compile(rb"[\[}]\s*\]$"),
    Expect.OBJECT: re.compile(rb"\}$"),
    Expect.JSON: re.compile(rb'[\]}"0-9el]$'),
}
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>)?\s*(?:<!--.*?-->\s*)?<([\w:.-]+)", re.S)
_VERSION = re.compile(rb"\d+\.\d+\.\d")
OUT_OF_MEMORY = re.compile(rb"REDCap ran out of server memory|Allowed memory size of \d+ bytes exhausted", re.I)


class CompletenessCheck:
    """Watches a body go by, and says at its end whether it is whole."""

    def __init__(self, request: Request, context: RequestContext) -> None:
        """`context` is what the error names."""
        self.size = 0
        self._request = request
        self._context = context
        self._tail = b""
        self._quotes = 0
        self._backslash = b""
        self._root = b""

    def feed(self, data: bytes) -> None:
        """Take note of the next piece."""
        if not self.size and (root := _ROOT.match(data)):
            self._root = root[1]
        self.size += len(data)
        self._quotes += self._json_quotes(data) if self._request.expect in JSON else data.count(b'"')
        self._tail = data[-_TAIL_BYTES:] if len(data) >= _TAIL_BYTES else (self._tail + data)[-_TAIL_BYTES:]

    def _json_quotes(self, data: bytes) -> int:
        """How many quotes open or close a string: those after an odd number of backslashes do not."""
        data = self._backslash + data
        if b"\\" not in data:
            return data.count(b'"')
        odd = (len(data) - len(data.rstrip(b"\\"))) % 2
        self._backslash = b"\\" * odd
        plain = data[: len(data) - odd].replace(b"\\\\", b"")
        return plain.count(b'"') - plain.count(b'\\"')

    def error(self) -> RedcapError | None:
        """What is wrong with the whole; None if it is complete as far as its format can tell."""
        expect, end = self._request.expect, self._tail.rstrip()
        if self._request.content == "version":
            return self._error_in_version(end)
        if expect in (Expect.NOTHING, Expect.BYTES, Expect.LINE) or not end:
            return None
        if OUT_OF_MEMORY.search(self._tail[-400:]):
            return errors.TooLarge(self._context, status=200)
        if self._is_whole(expect, end):
            return None
        if expect in JSON and self.size <= _TAIL_BYTES and _is_json(end):
            # A list of anything but objects; what is JSON as it stands was not cut, and asking again will not help.
            return errors.UnexpectedAnswer(self._context, status=200, detail="Expected a list of objects.")
        return errors.Truncated(self._context, status=200, detail=f"{self.size} bytes came.")

    def _error_in_version(self, end: bytes) -> RedcapError | None:
        # It says where it ends by having three numbers; what is no version at all is not judged here.
        if not end:
            return errors.EmptyAnswer(self._context, status=200)
        if end[:1].isdigit() and not _VERSION.match(end):
            return errors.Truncated(self._context, status=200, detail="Only the beginning of a version came.")
        return None

    def _is_whole(self, expect: Expect, end: bytes) -> bool:
        if expect is Expect.PDF:
            return b"%%EOF" in self._tail
        if expect is Expect.XML:
            # An empty document may close itself: <records/>.
            return end.endswith(b"</" + self._root + b">") or (self.size < _TAIL_BYTES and end.endswith(b"/>"))
        if self._quotes % 2:
            return False
        if expect in JSON:
            return _JSON_END[expect].search(end) is not None
        # CSV does not say where it ends; but REDCap ends every row of a flat record export with a line end (not so
        # the rows of the users' export).
        return expect is not Expect.RECORDS_CSV or self._tail.endswith(b"\n")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
