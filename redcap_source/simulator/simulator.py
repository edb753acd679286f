"""The simulator as its users see it: start a server, add projects, inject faults, set the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.control import Control
from redcap_source.simulator.control_access import new_secret
from redcap_source.simulator.edits.handle import ProjectHandle
from redcap_source.simulator.engine import Engine, PendingEdit
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.faults import Fault, Faults
from redcap_source.simulator.server.handler import listen
from redcap_source.simulator.server.listener import Listener
from redcap_source.simulator.state.clock import Clock, utc_now
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.versions import DEFAULT_VERSION, checked_version

TIME_ZONE = "America/Chicago"


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
        """Make a server that does not listen yet.

        `version` is the version of REDCap to simulate. `latency` is seconds a request and microseconds a cell of its
        answer. `faults` are armed from the first request on. `state_folder` is the folder in which the control
        endpoint may save and load states; without one it may not.
        """
        if super_token is not None and len(super_token) != 64:
            raise SimulatorError("A super token has 64 characters.")
        site = Site(
            clock=Clock(time_zone, clock),
            behaviour=behaviour or Behaviour(),
            version=checked_version(version),
            super_token=super_token,
        )
        self._site = site
        self._engine = Engine(site, Faults(faults), latency=latency, gzip=gzip)
        self._control = Control(self._engine, new_secret(), state_folder)
        self._port = port
        self._listener: Listener | None = None
        self.clock = site.clock
        self.faults = self._engine.faults
        # Every request that was answered, in order.
        self.requests = self._engine.requests
        # Exceptions of the simulator's own; leaving the `with` block raises the first.
        self.failures = self._engine.failures

    @property
    def behaviour(self) -> Behaviour:
        """Which variants of REDCap are simulated; set it to change them."""
        return self._site.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._site.behaviour = behaviour

    @property
    def version(self) -> str:
        """The version of REDCap that is simulated; set it to rehearse an upgrade."""
        return self._site.version

    @version.setter
    def version(self, version: str) -> None:
        self._site.version = checked_version(version)

    @property
    def latency(self) -> tuple[float, float]:
        """The least time an answer takes: seconds a request, microseconds a cell."""
        return self._engine.latency

    @latency.setter
    def latency(self, latency: tuple[float, float]) -> None:
        self._engine.latency = latency

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
    def control_secret(self) -> str:
        """What a request to the control endpoint must carry (control_access.py)."""
        return self._control.secret

    @property
    def projects(self) -> dict[str, ProjectHandle]:
        """The projects by name."""
        return self._engine.projects

    def add_project(
        self, project: Project, name: str | None = None, token: str | None = None, *, owner: str | None = None
    ) -> ProjectHandle:
        """Put a project on the server and return a handle on it, which holds a token for one of its users.

        `name` is the project's title unless given. The token's user is `owner`, or one who has every right. A project
        without a log gets one in which each record was created. Raises SimulatorError for a name or token in use.
        """
        return self._engine.add_project(project, name, token, owner=owner)

    def before_request(self, edit: Callable[[], object], *, nth: int = 1, content: str | None = None) -> None:
        """Call `edit` just before the nth request from now (of that content), to rehearse a change during a load."""
        self._engine.pending_edits.add(PendingEdit(nth, content, edit))

    def save_state(self, path: Path) -> None:
        """Write projects, records, people, log and tokens to a file that only its owner may read."""
        self._engine.save_state(path)

    def load_state(self, path: Path) -> None:
        """Replace the projects and tokens by those of a saved state; faults, clock and address are unchanged.

        Edits that wait for their request (`before_request`) are forgotten with the projects that they would change.
        """
        self._engine.load_state(path)

    def start(self) -> Simulator:
        """Listen on 127.0.0.1 and answer requests in a thread of its own."""
        if self._listener is not None:
            return self
        self._listener = listen(self._port, self._engine, self._control.answer)
        self._site.url = self.url
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening; the projects are unchanged."""
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
            message = "The simulator itself failed while it answered a request; please report this."
            raise SimulatorError(message) from self.failures[0]
