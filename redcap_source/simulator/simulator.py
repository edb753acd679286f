"""The simulator as its users meet it: a server to start, projects to add, faults to arm, a clock to move."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from redcap_source.simulator.api import router as api
from redcap_source.simulator.api.call import Answer, return_format_of
from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.control import control
from redcap_source.simulator.control_access import new_secret
from redcap_source.simulator.edits import ProjectHandle
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.faults import Fault, Faults, with_half_characters
from redcap_source.simulator.server import Back, Inquiry, listen
from redcap_source.simulator.state.clock import Clock, utc_now
from redcap_source.simulator.state.history import give_owner, write_history
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.save_load import read_state, save_state
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.versions import DEFAULT_VERSION, checked_version
from redcap_source.simulator.wire.parameters import Parameters

TIME_ZONE = "America/Chicago"


class Request(NamedTuple):
    """One request that was answered; never what it carried."""

    time: datetime
    project: str
    content: str
    action: str
    status: int
    bytes: int


class Simulator:
    """A REDCap server on this computer, for tests, rehearsals and demonstrations."""

    def __init__(
        self,
        port: int = 0,
        time_zone: str = TIME_ZONE,
        super_token: str | None = None,
        version: str = DEFAULT_VERSION,
        *,
        clock: Callable[[], datetime] = utc_now,
        behaviour: Behaviour | None = None,
        gzip: bool = False,
        latency: tuple[float, float] = (0.0, 0.0),
        faults: Iterable[Fault] = (),
        state_folder: Path | None = None,
    ) -> None:
        """`version` decides what is answered, `latency` is seconds a request and microseconds a cell, as a real pace.

        `faults` are armed from the first request on. `state_folder` is where the control endpoint may save and load
        states; without one it may not.
        """
        if super_token is not None and len(super_token) != 64:
            raise SimulatorError("A super token has 64 characters.")
        self.clock = Clock(time_zone, clock)
        self.faults = Faults()
        for fault in faults:
            self.faults.add(fault)
        self.requests: list[Request] = []
        # Mistakes of the simulator's own; leaving the `with` block raises them.
        self.failures: list[Exception] = []
        self.latency = latency
        self.state_folder = state_folder
        # What a request to the control endpoint must carry; control_access.py says how.
        self.control_secret = new_secret()
        self._port = port
        self._gzip = gzip
        self._site = Site(
            clock=self.clock,
            behaviour=behaviour or Behaviour(),
            version=checked_version(version),
            super_token=super_token,
        )
        self._site.new_project = self._created
        self._handles: dict[str, ProjectHandle] = {}
        self._listener: ThreadingHTTPServer | None = None
        self._recent: deque[datetime] = deque()
        # Edits to make before coming requests: (how many matching requests still go first, content, edit).
        self._coming: list[tuple[int, str | None, Callable[[], object]]] = []
        self._coming_lock = threading.Lock()

    @property
    def behaviour(self) -> Behaviour:
        """Which variants of REDCap are played; set it to change them."""
        return self._site.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._site.behaviour = behaviour

    @property
    def version(self) -> str:
        """The version of REDCap that is played; set it to rehearse an upgrade."""
        return self._site.version

    @version.setter
    def version(self, version: str) -> None:
        self._site.version = checked_version(version)

    @property
    def url(self) -> str:
        """The API's address."""
        if self._listener is None:
            raise SimulatorError("The simulator has no address until it is started.")
        return f"http://127.0.0.1:{self._listener.server_address[1]}/api/"

    @property
    def super_token(self) -> str | None:
        """The token that creates projects."""
        return self._site.super_token

    @property
    def projects(self) -> dict[str, ProjectHandle]:
        """The projects by name."""
        return self._handles

    def add_project(
        self, project: Project, name: str | None = None, token: str | None = None, *, owner: str | None = None
    ) -> ProjectHandle:
        """Put a project on the server and give a token to one of its users: `owner`, or one who may do everything."""
        name = name or project.title or f"project_{len(self._handles) + 1}"
        if name in self._handles:
            raise SimulatorError(f"There is a project named '{name}' already; choose another name.")
        project.name = name
        if project.project_id in (0, *(known.project_id for known in self._site.projects.values())):
            project.settings["project_id"] = self._site.next_project_id()
        project.settings["project_title"] = project.title or name
        project.api_user = give_owner(project, owner)
        project.refresh()
        if not project.log.rows:
            write_history(project, self.clock)
        self._site.projects[name] = project
        handle = ProjectHandle(self._site, project, self._site.add_token(name, project.api_user, token))
        self._handles[name] = handle
        return handle

    def _created(self, project: Project) -> str:
        # Titles need not be unique on a server; names are.
        name, number = project.title, 2
        while name in self._handles:
            name, number = f"{project.title} ({number})", number + 1
        return self.add_project(project, name=name).token

    def before_request(self, edit: Callable[[], object], *, nth: int = 1, content: str | None = None) -> None:
        """Do something just before the nth coming request, to rehearse a change in the middle of things."""
        with self._coming_lock:
            self._coming.append((nth, content, edit))

    def save_state(self, path: Path) -> None:
        """Write projects, records, people, log and tokens to a file."""
        save_state(self._site, path)

    def load_state(self, path: Path) -> None:
        """Take up a saved state in place of the present one; faults, clock and address stay."""
        state, projects = read_state(path)
        self._site.projects.clear()
        self._site.tokens.clear()
        self._handles.clear()
        self._site.version, self._site.super_token = state["version"], state["super_token"]
        self._site.tokens.update({token: (name, user) for token, (name, user) in state["tokens"].items()})
        for project in projects:
            self._site.projects[project.name] = project
            owner = (project.name, project.api_user)
            token = next(token for token, known in self._site.tokens.items() if known == owner)
            self._handles[project.name] = ProjectHandle(self._site, project, token)

    def start(self) -> Simulator:
        """Begin to serve."""
        if self._listener is not None:
            return self
        self._listener = listen(self._port, self._back())
        self._site.url = self.url
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving; the projects stay as they are."""
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener = None

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.failures and error is None:
            raise SimulatorError("The simulator itself failed while answering; please report this.") from self.failures[
                0
            ]

    # --- what the HTTP side calls ---

    def _back(self) -> Back:
        return Back(
            inquire=self._inquire,
            answer=self._answer,
            control=lambda path, headers, body: control(self, path, headers, body),
            http_date=self.clock.http_date,
            done=self._done,
            faults=self.faults,
            failed=self.failures.append,
            latency=lambda cells: self.latency[0] + cells * self.latency[1] / 1e6,
            gzip=self._gzip,
            max_body=lambda: self.behaviour.max_body_bytes,
        )

    def _inquire(self, parameters: Parameters) -> Inquiry:
        self._count_for_ban()
        owner = self._site.tokens.get(parameters.text("token"))
        inquiry = Inquiry(
            owner[0] if owner else "",
            parameters.text("content"),
            api.action_of(parameters),
            parameters,
            return_format_of(parameters),
        )
        self._do_coming_edits(inquiry)
        return inquiry

    def _answer(self, inquiry: Inquiry, fault: Fault | None) -> Answer:
        answer = api.answer(self._site, inquiry.parameters)
        if fault is not None and fault.kind == "php_warning":
            return replace(answer, body=_prefixed(b"<br />\n<b>Warning</b>:  Undefined variable $x<br />\n", answer))
        if fault is not None and fault.kind == "bom":
            return replace(answer, body=_prefixed(b"\xef\xbb\xbf", answer))
        if fault is not None and fault.kind == "half_character":
            return replace(answer, body=with_half_characters(b"".join(_prefixed(b"", answer))))
        if fault is not None and fault.kind == "drop_records":
            return self._without_some(inquiry, fault)
        return answer

    def _without_some(self, inquiry: Inquiry, fault: Fault) -> Answer:
        # As if the server had lost records on the way: the same request for fewer of them.
        asked = inquiry.parameters.items("records") or self._handles[inquiry.project].records()
        kept = [record for number, record in enumerate(asked, start=1) if number % fault.every]
        return api.answer(self._site, inquiry.parameters.replaced("records", kept))

    def _done(self, inquiry: Inquiry, status: int, size: int) -> None:
        now = self.clock.now()
        self.requests.append(Request(now, inquiry.project, inquiry.content, inquiry.action, status, size))

    def _do_coming_edits(self, inquiry: Inquiry) -> None:
        due: list[Callable[[], object]] = []
        with self._coming_lock:
            left: list[tuple[int, str | None, Callable[[], object]]] = []
            for count, content, edit in self._coming:
                matching = content in (None, inquiry.content)
                if matching and count <= 1:
                    due.append(edit)
                else:
                    left.append((count - matching, content, edit))
            self._coming = left
        for edit in due:
            edit()

    def _count_for_ban(self) -> None:
        limit = self.behaviour.rate_limit
        if not limit:
            return
        now = utc_now()
        self._recent.append(now)
        while (now - self._recent[0]).total_seconds() > 60:
            self._recent.popleft()
        if len(self._recent) > limit:
            self.faults.ban() if self.behaviour.rate_limit_answer == "ban" else self.faults.slow_down()


def _prefixed(prefix: bytes, answer: Answer) -> Iterator[bytes]:
    yield prefix
    yield from (answer.body,) if isinstance(answer.body, bytes) else answer.body
