"""Whether a body is complete, as far as its format shows, checked while the body arrives.

The transport detects most truncated answers; these checks find those of a PHP process or a proxy that stopped early.
Not here: what a body begins with (response_errors.py).
"""

import json
import re

from redcap_source import errors
from redcap_source.errors import RedcapError, RequestContext
from redcap_source.protocol.request import JSON, Expect, Request

_TAIL_BYTES = 2048
_JSON_END = {
    # Rows are objects: a list that ends in any other way was cut inside one.
    Expect.ROWS: re.compile(rb"[\[}]\s*\]$"),
    Expect.OBJECT: re.compile(rb"\}$"),
    Expect.JSON: re.compile(rb'[\]}"0-9el]$'),
}
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>)?\s*(?:<!--.*?-->\s*)?<([\w:.-]+)", re.S)
_VERSION = re.compile(rb"\d+\.\d+\.\d")
OUT_OF_MEMORY = re.compile(rb"REDCap ran out of server memory|Allowed memory size of \d+ bytes exhausted", re.I)


class CompletenessCheck:
    """Checks a body piece by piece, and returns at its end what is missing."""

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
        """Check the next piece."""
        if not self.size and (root := _ROOT.match(data)):
            self._root = root[1]
        self.size += len(data)
        self._quotes += self._json_quotes(data) if self._request.expect in JSON else data.count(b'"')
        self._tail = data[-_TAIL_BYTES:] if len(data) >= _TAIL_BYTES else (self._tail + data)[-_TAIL_BYTES:]

    def _json_quotes(self, data: bytes) -> int:
        """The number of quotes that open or close a string: those after an odd number of backslashes do not."""
        data = self._backslash + data
        if b"\\" not in data:
            return data.count(b'"')
        odd = (len(data) - len(data.rstrip(b"\\"))) % 2
        self._backslash = b"\\" * odd
        plain = data[: len(data) - odd].replace(b"\\\\", b"")
        return plain.count(b'"') - plain.count(b'\\"')

    def error(self) -> RedcapError | None:
        """The error of a body that is not complete; None if it is, as far as its format shows."""
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
            # A list of anything but objects: it is valid JSON, so it was not truncated, and a retry would not help.
            return errors.UnexpectedAnswer(self._context, status=200, detail="Expected a list of objects.")
        return errors.Truncated(self._context, status=200, detail=f"{self.size} bytes arrived.")

    def _error_in_version(self, end: bytes) -> RedcapError | None:
        # A version is complete with three numbers; what is no version at all is an error elsewhere.
        if not end:
            return errors.EmptyAnswer(self._context, status=200)
        if end[:1].isdigit() and not _VERSION.match(end):
            return errors.Truncated(self._context, status=200, detail="Only the beginning of a version arrived.")
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
        # CSV has no end mark; but REDCap ends every row of a flat record export with a line end (unlike those of the
        # users' export).
        return expect is not Expect.RECORDS_CSV or self._tail.endswith(b"\n")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
