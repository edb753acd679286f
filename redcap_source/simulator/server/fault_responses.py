"""Carries out faults on the wire, in place of an answer or on one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from redcap_source.simulator.api.call import Answer, ApiRequest
from redcap_source.simulator.errors import OUT_OF_MEMORY
from redcap_source.simulator.faults import Fault
from redcap_source.simulator.server.responses import HTML, Responses
from redcap_source.simulator.wire.damage import bomb, cut_at_line, cut_share, endless, pieces_of
from redcap_source.simulator.wire.formats import error_text

# Faults that concern what an answer says or its Date header: the answer itself is sent as always.
IN_THE_ANSWER = frozenset(("drop_records", "php_warning", "no_date", "false_date", "bom", "half_character"))
# Pages that a proxy, a firewall or a log-in portal sends.
HTML_PAGES: Mapping[str, tuple[int, str]] = {
    "html": (
        200,
        "<!DOCTYPE html>\n<html><head><title>Access Manager</title></head>"
        "<body><form>Please log in.</form></body></html>",
    ),
    "ban": (
        200,
        "<!DOCTYPE html>\n<html><body>Your IP address has been banned: too many requests. "
        "You cannot use REDCap.</body></html>",
    ),
    "429": (429, "<html><head><title>429 Too Many Requests</title></head><body>Slow down</body></html>"),
    "502": (502, "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"),
    "503": (503, "<html><head><title>503 Service Unavailable</title></head><body>Busy</body></html>"),
    "504": (504, "<html><head><title>504 Gateway Time-out</title></head><body>Time-out</body></html>"),
}
REFUSALS: Mapping[str, str] = {"500": "An unknown error occurred on the server.", "memory": OUT_OF_MEMORY}
# The status that a request is recorded with; a connection that was lost has none.
_STATUSES: Mapping[str, int] = {
    **{kind: status for kind, (status, _) in HTML_PAGES.items()},
    **dict.fromkeys(REFUSALS, 500),
    "reset": 0,
    "hang": 0,
    "busy": 503,
    "redirect": 301,
}


class FaultResponses(Responses):
    """One connection, and the ways in which an answer on it can fail."""

    def send_fault(self, request: ApiRequest, fault: Fault) -> bool:
        """Carry out a fault; return whether the client gets nothing else."""
        if fault.kind in IN_THE_ANSWER:
            return False
        if fault.after_work and fault.kind != "ban":
            # The request is carried out although its answer is lost.
            deque(pieces_of(self.engine.answer(request).body), maxlen=0)
        self.engine.record(request, _STATUSES.get(fault.kind, 200), 0)
        if fault.kind in HTML_PAGES:
            status, page = HTML_PAGES[fault.kind]
            self.send_whole(status, HTML, page.encode())
        elif fault.kind in REFUSALS:
            text = error_text(REFUSALS[fault.kind], request.return_format)
            self.send_whole(500, f"text/{request.return_format}; charset=utf-8", text.encode())
        elif fault.kind in _INSTEAD:
            _INSTEAD[fault.kind](self, fault)
        else:
            _DAMAGED[fault.kind](self, self.engine.answer(request), fault)
        return True

    def _send_empty(self, fault: Fault) -> None:
        self.send_whole(200, HTML, b"")

    def _send_given(self, fault: Fault) -> None:
        self.send_whole(fault.status, fault.content_type, fault.body)

    def _send_busy(self, fault: Fault) -> None:
        self.send_head(503, HTML)
        self.send_header("Retry-After", self.engine.site.clock.http_date(fault.seconds))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_elsewhere(self, fault: Fault) -> None:
        self.send_redirect(fault.location)

    def _reset(self, fault: Fault) -> None:
        self.reset()

    def _hang(self, fault: Fault) -> None:
        time.sleep(fault.seconds)
        self.reset()

    def _send_slowly(self, answer: Answer, fault: Fault) -> None:
        body = _whole(answer)
        step = fault.piece or max(1, len(body) // 10)
        self.send_head(answer.status, answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            time.sleep(fault.seconds)

    def _send_bomb(self, answer: Answer, fault: Fault) -> None:
        body = bomb(_whole(answer), fault.share, fault.size)
        self.send_chunked(answer, body, True, time.perf_counter(), lambda size: None)

    def _send_endless(self, answer: Answer, fault: Fault) -> None:
        body = endless(_whole(answer), fault.share)
        self.send_chunked(answer, body, False, time.perf_counter(), lambda size: None)

    def _send_truncated(self, answer: Answer, fault: Fault) -> None:
        body = _whole(answer)
        cut = (cut_at_line if fault.kind == "truncate_line" else cut_share)(body, fault.share)
        # With the whole length in the header the client can see the loss; without, the body just ends early.
        self.send_whole(answer.status, answer.content_type, cut, length=len(body) if fault.wrong_length else None)
        if fault.wrong_length:
            self.hang_up()


def _whole(answer: Answer) -> bytes:
    return b"".join(pieces_of(answer.body))


# Faults by which a client gets something other than the answer, and those that damage the answer.
_INSTEAD: Mapping[str, Callable[[FaultResponses, Fault], None]] = {
    "empty": FaultResponses._send_empty,
    "answer": FaultResponses._send_given,
    "busy": FaultResponses._send_busy,
    "redirect": FaultResponses._send_elsewhere,
    "reset": FaultResponses._reset,
    "hang": FaultResponses._hang,
}
_DAMAGED: Mapping[str, Callable[[FaultResponses, Answer, Fault], None]] = {
    "slow": FaultResponses._send_slowly,
    "bomb": FaultResponses._send_bomb,
    "endless": FaultResponses._send_endless,
    "truncate": FaultResponses._send_truncated,
    "truncate_line": FaultResponses._send_truncated,
}
