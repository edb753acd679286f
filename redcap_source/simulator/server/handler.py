"""Reads requests from a connection and decides what answers them: the API, the control endpoint or an error page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast
from urllib.parse import parse_qsl

from redcap_source.simulator.engine import Engine
from redcap_source.simulator.faults import Fault
from redcap_source.simulator.server.fault_responses import FaultResponses
from redcap_source.simulator.server.listener import ControlAnswer, Listener
from redcap_source.simulator.server.responses import CONTROL_PATH, HTML
from redcap_source.simulator.wire.formats import XML_HEAD
from redcap_source.simulator.wire.multipart import read_multipart
from redcap_source.simulator.wire.parameters import Parameters

API_PATHS = ("/api", "/api/", "/api/index.php")
NOT_IMPLEMENTED = f"{XML_HEAD}<hash><error>The requested method is not implemented.</error></hash>"


def listen(port: int, engine: Engine, control: ControlAnswer) -> Listener:
    """A listener on loopback, not yet serving; port 0 is any free one."""
    return Listener(("127.0.0.1", port), Handler, engine, control)


class Handler(FaultResponses):
    """Handles the requests of one connection."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's names
        """Refuse every method but POST, as REDCap does."""
        self._read_body()
        if self.path.split("?")[0] in API_PATHS or self.path.startswith(CONTROL_PATH):
            self.send_whole(501, "text/xml; charset=utf-8", NOT_IMPLEMENTED.encode())
        else:
            self.send_not_found()

    do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

    def do_POST(self) -> None:  # noqa: N802
        """Answer a request to the API or to the control endpoint."""
        body = self._read_body()
        if self.path.startswith(CONTROL_PATH):
            control = cast(Listener, self.server).control
            status, content = control(self.path.removeprefix(CONTROL_PATH), self.headers, body)
            self.send_whole(status, "application/json", content)
        elif self.path == "/api":
            self.send_redirect()
        elif self.path.split("?")[0] in API_PATHS:
            self._serve(body)
        else:
            self.send_not_found()

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks_received())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks_received(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _serve(self, body: bytes) -> None:
        limit = self.engine.site.behaviour.max_body_bytes
        if limit and len(body) > limit:
            self.send_whole(400, HTML, b"")
            return
        try:
            self._reply(body)
        except OSError:
            # The client hung up.
            self.close_connection = True
        except Exception as error:
            self.engine.failures.append(error)
            self.reset()

    def _reply(self, body: bytes) -> None:
        engine, started = self.engine, time.perf_counter()
        request = engine.begin(self._parameters(body))
        fault = engine.faults.fault_for(request.project, request.content, request.action)
        self.date_ahead = _date_ahead(fault)
        if fault is not None and self.send_fault(request, fault):
            return
        answer = engine.answer(request, fault)
        # Recorded before the last byte is sent, so that a client that has the answer finds the request recorded.
        self.send_answer(answer, started, lambda size: engine.record(request, answer.status, size))

    def _parameters(self, body: bytes) -> Parameters:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            return read_multipart(body, kind)
        text = body.decode("utf-8", errors="replace")
        return Parameters(parse_qsl(text, keep_blank_values=True))


def _date_ahead(fault: Fault | None) -> float | None:
    if fault is None or fault.kind not in ("no_date", "false_date"):
        return 0.0
    return fault.ahead if fault.kind == "false_date" else None
