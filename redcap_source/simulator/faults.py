"""Faults on demand: what a server, a proxy or a network does wrong, and to which requests.

Deciding which fault strikes is here; doing it on the wire is server.py's part.
"""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from threading import Lock
from typing import Literal, get_args

from redcap_source.simulator.errors import SimulatorError

FaultKind = Literal[
    "429", "500", "502", "503", "504", "reset", "truncate", "truncate_line", "html", "empty", "slow", "ban",
    "drop_records", "hang", "memory", "php_warning", "answer", "no_date", "false_date",
    "busy", "redirect", "bom", "half_character", "bomb", "endless",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(FaultKind)


@dataclass(frozen=True)
class Fault:
    """One kind of trouble, and the requests it strikes."""

    kind: FaultKind
    # Only requests of this content and action (export, import, delete …); None is any.
    content: str | None = None
    action: str | None = None
    project: str | None = None
    # From which matching request on (1 is the next), and how many of them; None is all.
    nth: int | None = None
    times: int | None = 1
    probability: float | None = None
    # Whether the request is carried out although its answer is lost.
    after_work: bool = False
    # truncate: the share of the body that arrives, and whether Content-Length still tells the whole.
    share: float = 0.5
    wrong_length: bool = False
    # slow: seconds between pieces, and bytes a piece (0 is a tenth of the body); hang: seconds without an answer;
    # busy: seconds until the date at which the client may come again.
    seconds: float = 0.05
    piece: int = 0
    # redirect: where to.
    location: str = "https://redcap.example.org/api/"
    # bomb: how many bytes the body is when it is unpacked.
    size: int = 1 << 31
    # false_date: how far the Date header is ahead of the server's clock, in seconds; negative is behind.
    ahead: float = 0.0
    # answer: whatever is to be sent instead.
    body: bytes = field(default=b"", repr=False)
    status: int = 200
    content_type: str = "text/html; charset=UTF-8"
    # drop_records: every how manieth record is lost.
    every: int = 3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SimulatorError(f"There is no fault '{self.kind}'; choose from {', '.join(KINDS)}.")


def parse_fault(text: str) -> Fault:
    """A fault as one writes it on a command line: a kind, then options: `502,content=record,nth=3,times=2`.

    `times=all` strikes again and again. SimulatorError names what cannot be read.
    """
    kind, *options = (part.strip() for part in text.split(","))
    given: dict[str, object] = {}
    for option in options:
        name, sign, value = option.partition("=")
        if not sign or name not in _READERS:
            raise SimulatorError(f"There is no option '{option}' of a fault; known are {', '.join(_READERS)}.")
        try:
            given[name] = _READERS[name](value)
        except ValueError as error:
            raise SimulatorError(f"The fault's option {name} cannot be '{value}'.") from error
    return Fault(kind, **given)  # type: ignore[arg-type]


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return text.lower() in ("true", "1")


_READERS: Mapping[str, Callable[[str], object]] = {
    "content": str, "action": str, "project": str, "nth": int, "probability": float, "after_work": _switch,
    "times": lambda text: None if text == "all" else int(text), "share": float, "wrong_length": _switch,
    "seconds": float, "piece": int, "location": str, "size": int,
    "ahead": float, "every": int, "status": int, "body": str.encode, "content_type": str,
}  # fmt: skip


@dataclass
class _Armed:
    fault: Fault
    seen: int = 0
    struck: int = 0


@dataclass
class Faults:
    """The faults that are armed."""

    chance: Callable[[], float] = field(default_factory=lambda: random.Random(1).random)  # noqa: S311
    _armed: list[_Armed] = field(default_factory=list)
    _banned: bool = False
    # How many coming requests are told to slow down.
    _too_fast: int = 0
    _lock: Lock = field(default_factory=Lock)

    def add(self, fault: Fault | FaultKind, **options: object) -> Fault:
        """Arm a fault, given whole or as a kind with options."""
        if not isinstance(fault, Fault):
            fault = Fault(fault, **options)  # type: ignore[arg-type]
        with self._lock:
            self._armed.append(_Armed(fault))
        return fault

    def clear(self) -> None:
        """Disarm everything and lift the ban."""
        with self._lock:
            self._armed.clear()
            self._banned, self._too_fast = False, 0

    def reset_ban(self) -> None:
        """Let the banned client in again, as an administrator would."""
        with self._lock:
            self._banned = False

    def ban(self) -> None:
        """Shut the client out until the ban is lifted."""
        with self._lock:
            self._banned = True

    def slow_down(self) -> None:
        """Answer the next request with a 429."""
        with self._lock:
            self._too_fast += 1

    def strike(self, project: str, content: str, action: str) -> Fault | None:
        """The fault that strikes this request, if one does."""
        with self._lock:
            if self._banned:
                return Fault("ban", times=None)
            if self._too_fast:
                self._too_fast -= 1
                return Fault("429")
            for armed in self._armed:
                if _matches(armed.fault, project, content, action) and self._goes_off(armed):
                    self._banned = self._banned or armed.fault.kind == "ban"
                    return armed.fault
        return None

    def _goes_off(self, armed: _Armed) -> bool:
        armed.seen += 1
        fault = armed.fault
        if fault.nth is not None and armed.seen < fault.nth:
            return False
        if fault.times is not None and armed.struck >= fault.times:
            return False
        if fault.probability is not None and self.chance() >= fault.probability:
            return False
        armed.struck += 1
        return True


def _matches(fault: Fault, project: str, content: str, action: str) -> bool:
    return fault.content in (None, content) and fault.action in (None, action) and fault.project in (None, project)


HTML_PAGES = {
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
OUT_OF_MEMORY = (
    "REDCap ran out of server memory. The request cannot be processed. Please try importing/exporting a smaller amount "
    "of data."
)


# What goes on and on once half of an answer has come.
BLANKS = b" " * (1 << 16)
MEMBER = 1 << 20


def bomb(pieces: Iterator[bytes], share: float, size: int) -> Iterator[bytes]:
    """The first part of a body as gzip, then blanks: a thousandth of what they unpack to."""
    yield gzip.compress(cut_share(pieces, share))
    member = gzip.compress(b" " * MEMBER)
    for _ in range(size // MEMBER):
        yield member


def endless(pieces: Iterator[bytes], share: float) -> Iterator[bytes]:
    """The first part of a body, then blanks for as long as they are read."""
    yield cut_share(pieces, share)
    yield from repeat(BLANKS)


_LABEL = re.compile(rb'("(?:field_label|instrument_label|event_name|project_title|name)":")')


def with_half_characters(body: bytes) -> bytes:
    """A JSON body each of whose labels begins with the first half of an emoji."""
    return _LABEL.sub(rb"\1\\ud83d", body)


def cut_share(pieces: Iterator[bytes], share: float) -> bytes:
    """The first part of a body."""
    body = b"".join(pieces)
    return body[: int(len(body) * share)]


def cut_at_line(pieces: Iterator[bytes], share: float) -> bytes:
    """The first part of a body, ending exactly where a line or a JSON row ends."""
    body = b"".join(pieces)
    at = int(len(body) * share)
    line = body.rfind(b"\n", 0, at)
    return body[: line + 1] if line >= 0 else body[:at]
