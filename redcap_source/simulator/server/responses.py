"""Sends answers over a connection: whole or in chunks, compressed or not, with REDCap's headers."""

from __future__ import annotations

import contextlib
import gzip
import io
import socket
import string
import struct
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from itertools import chain
from secrets import choice
from typing import cast

from redcap_source.simulator.api.call import Answer
from redcap_source.simulator.engine import Engine
from redcap_source.simulator.server.listener import Listener
from redcap_source.simulator.wire.damage import pieces_of

HTML = "text/html; charset=UTF-8"
CONTROL_PATH = "/_simulator/"
# As Apache writes it.
NOT_FOUND = (
    '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>404 Not Found</title>\n'
    "</head><body>\n<h1>Not Found</h1>\n<p>The requested URL was not found on this server.</p>\n</body></html>\n"
)
_RANDOM_LETTERS = string.ascii_letters + string.digits
# Called with the number of bytes just before the last of them are sent.
Sent = Callable[[int], None]


class Responses(BaseHTTPRequestHandler):
    """One connection, and the ways to answer on it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0
    server_version = "Apache"
    sys_version = ""
    # How many seconds the Date header of the present answer is ahead of the server's clock; None leaves it out.
    date_ahead: float | None = 0.0

    @property
    def engine(self) -> Engine:
        """What answers the requests."""
        return cast(Listener, self.server).engine

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: requests hold tokens."""

    def version_string(self) -> str:
        """The Server header."""
        return "Apache"

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by the server's clock."""
        return self.engine.site.clock.http_date(self.date_ahead or 0.0)

    def send_header(self, keyword: str, value: str) -> None:
        """Send a header, except a Date that a fault leaves out."""
        if keyword != "Date" or self.date_ahead is not None:
            super().send_header(keyword, value)

    def send_answer(self, answer: Answer, started: float, sent: Sent) -> None:
        """Send an answer no faster than `latency` allows, counted from `started`."""
        pieces = pieces_of(answer.body)
        first, second = next(pieces, b""), next(pieces, None)
        is_packed = self.engine.gzip and "gzip" in self.headers.get("Accept-Encoding", "")
        if second is None and not is_packed:
            self._wait(cells_in(first, answer.content_type), started)
            sent(len(first))
            self.send_whole(answer.status, answer.content_type, first)
            return
        more = chain((first,), () if second is None else (second,), pieces)
        self.send_chunked(answer, _gzipped(more) if is_packed else more, is_packed, started, sent)

    def send_whole(self, status: int, content_type: str, body: bytes, *, length: int | None = None) -> None:
        """Send a body with its length, or with the length given, which may be wrong."""
        self.send_head(status, content_type)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        # Header and body are one write, so that small answers are one packet.
        head = io.BytesIO()
        wire, self.wfile = self.wfile, head
        self.end_headers()
        self.wfile = wire
        self.wfile.write(head.getvalue() + (b"" if self.command == "HEAD" else body))

    def send_chunked(
        self, answer: Answer, pieces: Iterator[bytes], is_packed: bool, started: float, sent: Sent
    ) -> None:
        """Send a body in chunks, as its pieces are made."""
        self.send_head(answer.status, answer.content_type)
        if is_packed:
            self.send_header("Content-Encoding", "gzip")
            self.send_header("REDCap-Random-Text", "".join(choice(_RANDOM_LETTERS) for _ in range(40)))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        size = cells = 0
        for piece in filter(None, pieces):
            cells += cells_in(piece, answer.content_type)
            self._wait(cells, started)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            size += len(piece)
        sent(size)
        self.wfile.write(b"0\r\n\r\n")

    def send_head(self, status: int, content_type: str) -> None:
        """Send the status line and the headers that all of REDCap's answers have."""
        self.send_response(status)
        self.send_header("Expires", "0")
        self.send_header("Cache-Control", "no-store, no-cache, must-revalidate")
        self.send_header("Pragma", "no-cache")
        self.send_header("X-XSS-Protection", "1; mode=block")
        self.send_header("X-Content-Type-Options", "nosniff")
        if not self.path.startswith(CONTROL_PATH):
            # As REDCap does. The control endpoint must not be readable for web pages.
            self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Type", content_type)

    def send_not_found(self) -> None:
        """Send Apache's page; it is not REDCap's, so it has none of its headers."""
        self.send_response(404)
        self.send_header("Content-Length", str(len(NOT_FOUND)))
        self.send_header("Content-Type", "text/html; charset=iso-8859-1")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(NOT_FOUND.encode())

    def send_redirect(self, location: str = "") -> None:
        """Send a redirect, to the API unless a location is given."""
        self.send_response(301)
        self.send_header("Location", location or f"http://{self.headers.get('Host', '')}/api/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reset(self) -> None:
        """Break the connection with a reset."""
        # Lingering for zero seconds makes closing a reset instead of an end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def _wait(self, cells: int, started: float) -> None:
        left = started + self.engine.seconds_for(cells) - time.perf_counter()
        if left > 0:
            time.sleep(left)


def cells_in(piece: bytes, content_type: str) -> int:
    """About how many cells a piece of an answer holds, counted by what separates them."""
    if "json" in content_type:
        return piece.count(b'":')
    if "csv" in content_type:
        return piece.count(b",") + piece.count(b"\n")
    return piece.count(b"</")


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield gzip.compress(piece, compresslevel=1)
