"""The REDCap server without a socket: its projects, tokens and clock, and the answer to one request at a time.

Not here: HTTP (server/), the address and the `with` block (simulator.py), commands of other processes (control.py).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from redcap_source.simulator.api import router
from redcap_source.simulator.api.call import Answer, ApiRequest
from redcap_source.simulator.edits.handle import ProjectHandle
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.faults import Fault, Faults
from redcap_source.simulator.state.clock import utc_now
from redcap_source.simulator.state.history import choose_owner, write_history
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.save_load import read_state, save_state
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.wire.damage import BYTE_ORDER_MARK, PHP_WARNING, pieces_of, with_half_characters
from redcap_source.simulator.wire.parameters import Parameters


class Request(NamedTuple):
    """One request that was answered; never its parameters, which hold tokens and values."""

    time: datetime
    project: str
    content: str
    action: str
    status: int
    bytes: int


class PendingEdit(NamedTuple):
    """An edit to make just before a request that is still to be received."""

    # 1 is the next request of this content; content None counts every request.
    nth: int
    content: str | None
    edit: Callable[[], object]


class PendingEdits:
    """The edits that are waiting for their request."""

    def __init__(self) -> None:
        self._waiting: list[PendingEdit] = []
        self._lock = threading.Lock()

    def add(self, pending: PendingEdit) -> None:
        """Keep an edit until its request is received."""
        with self._lock:
            self._waiting.append(pending)

    def clear(self) -> None:
        """Forget the edits whose request was not received."""
        with self._lock:
            self._waiting.clear()

    def run_before(self, content: str) -> None:
        """Make the edits that were waiting for this request, which has that content."""
        due: list[PendingEdit] = []
        with self._lock:
            waiting: list[PendingEdit] = []
            for pending in self._waiting:
                matches = pending.content in (None, content)
                if matches and pending.nth <= 1:
                    due.append(pending)
                else:
                    waiting.append(pending._replace(nth=pending.nth - matches))
            self._waiting = waiting
        for pending in due:
            pending.edit()


@dataclass
class Engine:
    """The projects of one server, and the answers to requests on them."""

    site: Site
    faults: Faults = field(default_factory=Faults)
    # Every project by its name.
    projects: dict[str, ProjectHandle] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    # Exceptions of the simulator's own, recorded so that they do not pass for REDCap's behaviour.
    failures: list[Exception] = field(default_factory=list)
    # Seconds a request, and microseconds a cell of its answer.
    latency: tuple[float, float] = (0.0, 0.0)
    # Whether answers are compressed for clients that accept it.
    gzip: bool = False
    pending_edits: PendingEdits = field(default_factory=PendingEdits)
    # When the requests of the last minute were received, for `Behaviour.rate_limit`.
    _recent: deque[datetime] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.site.new_project = self._add_created

    def add_project(
        self, project: Project, name: str | None = None, token: str | None = None, *, owner: str | None = None
    ) -> ProjectHandle:
        """Put a project on the server, with a token for one of its users: see `Simulator.add_project`."""
        name = name or project.title or f"project_{len(self.projects) + 1}"
        if name in self.projects:
            raise SimulatorError(f"There is already a project named '{name}'; choose another name.")
        project.name = name
        if project.project_id in (0, *(known.project_id for known in self.site.projects.values())):
            project.settings["project_id"] = self.site.next_project_id()
        project.settings["project_title"] = project.title or name
        project.api_user = choose_owner(project, owner)
        project.refresh()
        if not project.log.rows:
            write_history(project, self.site.clock)
        self.site.projects[name] = project
        handle = ProjectHandle(self.site, project, self.site.add_token(name, project.api_user, token))
        self.projects[name] = handle
        return handle

    def _add_created(self, project: Project) -> str:
        """Add a project that a client created with the super token; return its token."""
        # Titles need not be unique on a server; names are.
        name, number = project.title, 2
        while name in self.projects:
            name, number = f"{project.title} ({number})", number + 1
        return self.add_project(project, name=name).token

    def save_state(self, path: Path) -> None:
        """Write projects, records, people, log and tokens to a file."""
        save_state(self.site, path)

    def load_state(self, path: Path) -> None:
        """Replace the projects and tokens by those of a saved state, without the edits that wait for the old ones."""
        state, projects = read_state(path)
        self.pending_edits.clear()
        self.site.projects.clear()
        self.site.tokens.clear()
        self.projects.clear()
        self.site.version, self.site.super_token = state["version"], state["super_token"]
        self.site.tokens.update({token: (name, user) for token, (name, user) in state["tokens"].items()})
        for project in projects:
            self.site.projects[project.name] = project
            owner = (project.name, project.api_user)
            token = next(token for token, known in self.site.tokens.items() if known == owner)
            self.projects[project.name] = ProjectHandle(self.site, project, token)

    def begin(self, parameters: Parameters) -> ApiRequest:
        """The request that a client's parameters make; edits that were waiting for it are made first."""
        self._limit_rate()
        owner = self.site.tokens.get(parameters.text("token"))
        request = ApiRequest.of(parameters, project=owner[0] if owner else "")
        self.pending_edits.run_before(request.content)
        return request

    def answer(self, request: ApiRequest, fault: Fault | None = None) -> Answer:
        """Carry out a request; a fault that concerns what an answer says is in the answer."""
        answer = router.answer(self.site, request.parameters)
        if fault is not None and fault.kind == "php_warning":
            return replace(answer, body=_prefixed(PHP_WARNING, answer))
        if fault is not None and fault.kind == "bom":
            return replace(answer, body=_prefixed(BYTE_ORDER_MARK, answer))
        if fault is not None and fault.kind == "half_character":
            return replace(answer, body=with_half_characters(b"".join(pieces_of(answer.body))))
        if fault is not None and fault.kind == "drop_records":
            return self._answer_without_some(request, fault)
        return answer

    def _answer_without_some(self, request: ApiRequest, fault: Fault) -> Answer:
        # As if the server had lost records on the way: the same request for fewer of them.
        asked = request.parameters.items("records") or self.projects[request.project].records()
        kept = [record for number, record in enumerate(asked, start=1) if number % fault.every]
        return router.answer(self.site, request.parameters.replaced("records", kept))

    def record(self, request: ApiRequest, status: int, size: int) -> None:
        """Record a request whose answer of `size` bytes is about to be complete; status 0 is a lost connection."""
        now = self.site.clock.now()
        self.requests.append(Request(now, request.project, request.content, request.action, status, size))

    def seconds_for(self, cells: int) -> float:
        """The minimum time that an answer of this many cells should take."""
        return self.latency[0] + cells * self.latency[1] / 1e6

    def _limit_rate(self) -> None:
        behaviour = self.site.behaviour
        if not behaviour.rate_limit:
            return
        now = utc_now()
        self._recent.append(now)
        while (now - self._recent[0]).total_seconds() > 60:
            self._recent.popleft()
        if len(self._recent) > behaviour.rate_limit:
            self.faults.ban() if behaviour.rate_limit_answer == "ban" else self.faults.slow_down()


def _prefixed(prefix: bytes, answer: Answer) -> Iterator[bytes]:
    yield prefix
    yield from pieces_of(answer.body)
