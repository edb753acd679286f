"""Faults on demand: what a server, a proxy or a network does wrong, and to which requests.

This module decides which fault, if any, a request gets. Not here: doing it on the wire (server/fault_responses.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
    """One kind of failure, and the requests that get it."""

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
    # truncate: the share of the body that arrives, and whether Content-Length gives the whole length.
    share: float = 0.5
    wrong_length: bool = False
    # slow: seconds between pieces, and bytes a piece (0 is a tenth of the body); hang: seconds without an answer;
    # busy: seconds until the date in Retry-After.
    seconds: float = 0.05
    piece: int = 0
    # redirect: the address in Location.
    location: str = "https://redcap.example.org/api/"
    # bomb: how many bytes the body is when it is unpacked.
    size: int = 1 << 31
    # false_date: how far the Date header is ahead of the server's clock, in seconds; negative is behind.
    ahead: float = 0.0
    # answer: what is sent in place of the answer.
    body: bytes = field(default=b"", repr=False)
    status: int = 200
    content_type: str = "text/html; charset=UTF-8"
    # drop_records: 3 leaves out every third record.
    every: int = 3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SimulatorError(f"There is no fault '{self.kind}'; choose from {', '.join(KINDS)}.")


def parse_fault(text: str) -> Fault:
    """The fault that a text describes: a kind, then options, as in `502,content=record,nth=3,times=2`.

    `times=all` is every request from then on. Raises SimulatorError, which names the option that cannot be read.
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
    injected: int = 0


class Faults:
    """The faults that are armed; any thread may read and change them."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._armed = [_Armed(fault) for fault in faults]
        self._banned = False
        # How many of the next requests get a 429.
        self._too_fast = 0
        # Repeatable, so that a run with probabilities can be run again.
        self._chance = random.Random(1).random  # noqa: S311
        self._lock = Lock()

    def add(self, fault: Fault | FaultKind, **options: object) -> Fault:
        """Arm a fault, given as a Fault or as a kind with the fields of one."""
        if not isinstance(fault, Fault):
            fault = Fault(fault, **options)  # type: ignore[arg-type]
        with self._lock:
            self._armed.append(_Armed(fault))
        return fault

    def unused(self) -> tuple[Fault, ...]:
        """The armed faults that no request has got yet."""
        with self._lock:
            return tuple(armed.fault for armed in self._armed if not armed.injected)

    def clear(self) -> None:
        """Disarm all faults and lift the ban."""
        with self._lock:
            self._armed.clear()
            self._banned, self._too_fast = False, 0

    def reset_ban(self) -> None:
        """Lift the ban, as an administrator would."""
        with self._lock:
            self._banned = False

    def ban(self) -> None:
        """Ban the client until `reset_ban`."""
        with self._lock:
            self._banned = True

    def slow_down(self) -> None:
        """Answer the next request with a 429."""
        with self._lock:
            self._too_fast += 1

    def fault_for(self, project: str, content: str, action: str) -> Fault | None:
        """The fault that this request gets, if any; a fault whose `times` are used up is skipped."""
        with self._lock:
            if self._banned:
                return Fault("ban", times=None)
            if self._too_fast:
                self._too_fast -= 1
                return Fault("429")
            for armed in self._armed:
                if _matches(armed.fault, project, content, action) and self._is_due(armed):
                    self._banned = self._banned or armed.fault.kind == "ban"
                    return armed.fault
        return None

    def _is_due(self, armed: _Armed) -> bool:
        armed.seen += 1
        fault = armed.fault
        if fault.nth is not None and armed.seen < fault.nth:
            return False
        if fault.times is not None and armed.injected >= fault.times:
            return False
        if fault.probability is not None and self._chance() >= fault.probability:
            return False
        armed.injected += 1
        return True


def _matches(fault: Fault, project: str, content: str, action: str) -> bool:
    return fault.content in (None, content) and fault.action in (None, action) and fault.project in (None, project)
