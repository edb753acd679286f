"""The HTTP side: sockets, headers, bodies in pieces, and the faults that happen on the wire.

What an answer says is api.py's business. Nothing is printed or logged here: requests carry tokens and values.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import socket
import string
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import choice
from typing import cast
from urllib.parse import parse_qsl

from redcap_source.simulator.api.call import Answer
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.faults import (
    HTML_PAGES,
    OUT_OF_MEMORY,
    Fault,
    Faults,
    bomb,
    cut_at_line,
    cut_share,
    endless,
)
from redcap_source.simulator.wire.formats import XML_HEAD, error_text
from redcap_source.simulator.wire.multipart import read_multipart
from redcap_source.simulator.wire.parameters import Parameters

HTML = "text/html; charset=UTF-8"
CONTROL_PATH = "/_simulator/"
# What a struck request counts as; a connection that was lost has no status.
_STATUSES = {"429": 429, "500": 500, "memory": 500, "502": 502, "503": 503, "504": 504, "reset": 0, "hang": 0}
_STATUSES |= {"busy": 503, "redirect": 301}
# As Apache writes it.
NOT_FOUND = (
    '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>404 Not Found</title>\n'
    "</head><body>\n<h1>Not Found</h1>\n<p>The requested URL was not found on this server.</p>\n</body></html>\n"
)
API_PATHS = ("/api", "/api/", "/api/index.php")


@dataclass(frozen=True)
class Inquiry:
    """A request as the server knows it: what is asked, and of which project."""

    project: str
    content: str
    action: str
    parameters: Parameters = field(repr=False)
    # The format that errors are to have.
    form: str = "xml"


@dataclass
class Back:
    """What the HTTP side needs from the rest of the simulator."""

    inquire: Callable[[Parameters], Inquiry]
    answer: Callable[[Inquiry, Fault | None], Answer]
    # (command, headers, body): a status and what to answer.
    control: Callable[[str, Message, bytes], tuple[int, bytes]]
    # The Date header of a clock that is so many seconds ahead of the server's.
    http_date: Callable[[float], str]
    # (inquiry, status, bytes) once the answer is out.
    done: Callable[[Inquiry, int, int], None]
    faults: Faults
    # A mistake of the simulator's own, so that it does not pass for REDCap's behaviour.
    failed: Callable[[Exception], None]
    # Seconds that answering so many cells should take at least.
    latency: Callable[[int], float] = lambda cells: 0.0
    gzip: bool = False
    # The longest body that is read; 0 is no limit.
    max_body: Callable[[], int] = lambda: 0


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    # Connections that clients keep alive must not hold up the stop.
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], back: Back) -> None:
        self.back = back
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise SimulatorError(
                f"Cannot serve on port {address[1]}: {error.strerror}. Choose another port, or 0 for any free one."
            ) from error

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


def listen(port: int, back: Back) -> ThreadingHTTPServer:
    """A listener on loopback."""
    return _Listener(("127.0.0.1", port), back)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0
    server_version = "Apache"
    sys_version = ""
    # What happens to the Date header of the answer under way: seconds it is ahead, or None to leave it out.
    _date_ahead: float | None = 0.0

    @property
    def _back(self) -> Back:
        return cast(_Listener, self.server).back

    def log_message(self, format: str, *args: object) -> None:
        """Requests hold tokens: nothing is written anywhere."""

    def version_string(self) -> str:
        return "Apache"

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self._back.http_date(self._date_ahead or 0.0)

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Date" or self._date_ahead is not None:
            super().send_header(keyword, value)

    def do_GET(self) -> None:
        self._not_implemented()

    do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

    def _not_implemented(self) -> None:
        self._drain()
        if self.path.split("?")[0] not in API_PATHS and not self.path.startswith(CONTROL_PATH):
            self._not_found()
            return
        text = f"{XML_HEAD}<hash><error>The requested method is not implemented.</error></hash>"
        self._send_whole(501, "text/xml; charset=utf-8", text.encode())

    def do_POST(self) -> None:
        body = self._drain()
        if self.path.startswith(CONTROL_PATH):
            status, content = self._back.control(self.path.removeprefix(CONTROL_PATH), self.headers, body)
            self._send_whole(status, "application/json", content)
        elif self.path == "/api":
            self._redirect()
        elif self.path.split("?")[0] in ("/api/", "/api/index.php"):
            self._serve(body)
        else:
            self._not_found()

    def _not_found(self) -> None:
        # No page of REDCap's, so none of its headers.
        self.send_response(404)
        self.send_header("Content-Length", str(len(NOT_FOUND)))
        self.send_header("Content-Type", "text/html; charset=iso-8859-1")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(NOT_FOUND.encode())

    def _drain(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks_received())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks_received(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _redirect(self, location: str = "") -> None:
        self.send_response(301)
        self.send_header("Location", location or f"http://{self.headers.get('Host', '')}/api/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _serve(self, body: bytes) -> None:
        back = self._back
        limit = back.max_body()
        if limit and len(body) > limit:
            self._send_whole(400, HTML, b"")
            return
        try:
            self._reply(back, body)
        except OSError:
            # The client hung up.
            self.close_connection = True
        except Exception as error:
            back.failed(error)
            self._reset()

    def _reply(self, back: Back, body: bytes) -> None:
        started = time.perf_counter()
        inquiry = back.inquire(self._parameters(body))
        fault = back.faults.strike(inquiry.project, inquiry.content, inquiry.action)
        self._date_ahead = _date_ahead(fault)
        if fault is not None and self._strike(inquiry, fault, started):
            return
        answer = back.answer(inquiry, fault)
        # Remembered before the last byte leaves, so that whoever has the answer finds the request noted.
        self._send(answer, started, lambda sent: back.done(inquiry, answer.status, sent))

    def _parameters(self, body: bytes) -> Parameters:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            return read_multipart(body, kind)
        text = body.decode("utf-8", errors="replace")
        return Parameters(parse_qsl(text, keep_blank_values=True))

    # --- answers ---

    def _send(self, answer: Answer, started: float, done: Callable[[int], None]) -> None:
        pieces = iter((answer.body,)) if isinstance(answer.body, bytes) else answer.body
        first, more = next(pieces, b""), None
        second = next(pieces, None)
        packs = self._back.gzip and "gzip" in self.headers.get("Accept-Encoding", "")
        if second is None and not packs:
            self._wait(cells_in(first, answer.content_type), started)
            done(len(first))
            self._send_whole(answer.status, answer.content_type, first)
            return
        more = _chained(first, second, pieces)
        self._send_chunked(answer, _gzipped(more) if packs else more, packs, started, done)

    def _head(self, status: int, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Expires", "0")
        self.send_header("Cache-Control", "no-store, no-cache, must-revalidate")
        self.send_header("Pragma", "no-cache")
        self.send_header("X-XSS-Protection", "1; mode=block")
        self.send_header("X-Content-Type-Options", "nosniff")
        if not self.path.startswith(CONTROL_PATH):
            # As REDCap does; web pages have no business at the control endpoint.
            self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Type", content_type)

    def _send_whole(self, status: int, content_type: str, body: bytes, *, length: int | None = None) -> None:
        self._head(status, content_type)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        # Header and body leave in one write, so that small answers are one packet.
        head = io.BytesIO()
        wire, self.wfile = self.wfile, head
        self.end_headers()
        self.wfile = wire
        self.wfile.write(head.getvalue() + (b"" if self.command == "HEAD" else body))

    def _send_chunked(
        self, answer: Answer, pieces: Iterator[bytes], packed: bool, started: float, done: Callable[[int], None]
    ) -> None:
        self._head(answer.status, answer.content_type)
        if packed:
            self.send_header("Content-Encoding", "gzip")
            letters = string.ascii_letters + string.digits
            self.send_header("REDCap-Random-Text", "".join(choice(letters) for _ in range(40)))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = cells = 0
        for piece in pieces:
            if piece:
                cells += cells_in(piece, answer.content_type)
                self._wait(cells, started)
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                sent += len(piece)
        done(sent)
        self.wfile.write(b"0\r\n\r\n")

    def _wait(self, cells: int, started: float) -> None:
        due = started + self._back.latency(cells)
        if (left := due - time.perf_counter()) > 0:
            time.sleep(left)

    # --- faults ---

    def _strike(self, inquiry: Inquiry, fault: Fault, started: float) -> bool:
        """Do what a fault does; says whether the request is done with."""
        back = self._back
        if fault.kind in ("drop_records", "php_warning", "no_date", "false_date", "bom", "half_character"):
            return False
        if fault.after_work and fault.kind != "ban":
            _spend(back.answer(inquiry, None))
        back.done(inquiry, _STATUSES.get(fault.kind, 200), 0)
        if fault.kind in HTML_PAGES:
            status, page = HTML_PAGES[fault.kind]
            self._send_whole(status, HTML, page.encode())
        elif fault.kind in ("500", "memory"):
            text = OUT_OF_MEMORY if fault.kind == "memory" else "An unknown error occurred on the server."
            self._send_whole(500, f"text/{inquiry.form}; charset=utf-8", error_text(text, inquiry.form).encode())
        elif fault.kind == "empty":
            self._send_whole(200, HTML, b"")
        elif fault.kind == "answer":
            self._send_whole(fault.status, fault.content_type, fault.body)
        elif fault.kind == "busy":
            self._send_busy(fault.seconds)
        elif fault.kind == "redirect":
            self._redirect(fault.location)
        elif fault.kind == "reset":
            self._reset()
        elif fault.kind == "hang":
            time.sleep(fault.seconds)
            self._reset()
        else:
            self._send_damaged(back.answer(inquiry, None), fault)
        return True

    def _send_damaged(self, answer: Answer, fault: Fault) -> None:
        pieces = iter((answer.body,)) if isinstance(answer.body, bytes) else answer.body
        if fault.kind == "slow":
            self._drip(answer, pieces, fault)
            return
        if fault.kind in ("bomb", "endless"):
            packed = fault.kind == "bomb"
            filled = bomb(pieces, fault.share, fault.size) if packed else endless(pieces, fault.share)
            self._send_chunked(answer, filled, packed, time.perf_counter(), lambda sent: None)
            return
        whole = b"".join(pieces)
        cut = (cut_at_line if fault.kind == "truncate_line" else cut_share)(iter((whole,)), fault.share)
        # With the whole length announced the client can see the loss; without, the body just ends early.
        self._send_whole(answer.status, answer.content_type, cut, length=len(whole) if fault.wrong_length else None)
        if fault.wrong_length:
            self._hang_up()

    def _send_busy(self, seconds: float) -> None:
        self._head(503, HTML)
        self.send_header("Retry-After", self._back.http_date(seconds))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _drip(self, answer: Answer, pieces: Iterator[bytes], fault: Fault) -> None:
        body = b"".join(pieces)
        step = fault.piece or max(1, len(body) // 10)
        self._head(answer.status, answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            time.sleep(fault.seconds)

    def _reset(self) -> None:
        # Lingering for zero seconds makes closing a reset instead of an end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)


def _date_ahead(fault: Fault | None) -> float | None:
    if fault is None or fault.kind not in ("no_date", "false_date"):
        return 0.0
    return fault.ahead if fault.kind == "false_date" else None


def cells_in(piece: bytes, content_type: str) -> int:
    """About how many cells a piece of an answer holds, told by what separates them."""
    if "json" in content_type:
        return piece.count(b'":')
    if "csv" in content_type:
        return piece.count(b",") + piece.count(b"\n")
    return piece.count(b"</")


def _chained(first: bytes, second: bytes | None, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    if second is not None:
        yield second
    yield from rest


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield gzip.compress(piece, compresslevel=1)


def _spend(answer: Answer) -> None:
    if not isinstance(answer.body, bytes):
        for _ in answer.body:
            pass
