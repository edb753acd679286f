"""Serve projects from the command line until interrupted."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

from redcap_source.simulator.contents import Added, Contents, UserToken, add_contents
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.faults import parse_fault
from redcap_source.simulator.simulator import TIME_ZONE, Simulator
from redcap_source.simulator.versions import DEFAULT_VERSION


def serve(
    loads: list[tuple[str, Path]],
    studies: list[tuple[str, str, int]],
    tokens: dict[str, str],
    super_token: str | None,
    port: int,
    as_json: bool,
    out: TextIO,
    faults: Iterable[str] = (),
    version: str = DEFAULT_VERSION,
    state_folder: Path | None = None,
    lenient: bool = False,
    users: Sequence[UserToken] = (),
    reports: Sequence[tuple[str, Path]] = (),
    time_zone: str = TIME_ZONE,
) -> None:
    """Serve files (name, path) and made-up studies (name, kind, records) until a signal; write the address to `out`.

    `tokens` are by project, or by `project:user`. `faults` are armed from the start, each as `parse_fault` reads it.
    `version` is the version of REDCap to simulate, `time_zone` the server's, in which REDCap writes all its times.
    `state_folder` is the folder in which the control endpoint may save and load states. With `lenient`, dictionary
    rows that REDCap would refuse are left out and listed.
    """
    if state_folder is not None and not state_folder.is_dir():
        raise SimulatorError(f"There is no folder {state_folder} for states; create it first.")
    if not (loads or studies or super_token):
        raise SimulatorError("There is nothing to serve; load a project, choose a study or give a super token.")
    simulator = Simulator(
        port=port,
        version=version,
        time_zone=time_zone,
        super_token=super_token or secrets.token_hex(32).upper(),
        faults=[parse_fault(text) for text in faults],
        state_folder=state_folder,
    )
    added = add_contents(simulator, Contents(loads, studies, reports, users, tokens, lenient))
    with _stop_signal() as stopped, simulator:
        out.write(_as_json(simulator, added) if as_json else _as_text(simulator, added))
        out.flush()
        # In steps, because a signal that another thread receives does not end a wait without a limit.
        while not stopped.wait(0.2):
            pass


@contextlib.contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; their handlers are restored afterwards."""
    stopped = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        stopped.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _as_json(simulator: Simulator, added: Added) -> str:
    projects: dict[str, dict[str, object]] = {
        name: {"token": handle.token, "project_id": handle.project_id} for name, handle in simulator.projects.items()
    }
    for name, tokens in added.users.items():
        projects[name]["users"] = tokens
    facts: dict[str, object] = {
        "url": simulator.url,
        "super_token": simulator.super_token,
        "control_secret": simulator.control_secret,
        "projects": projects,
    }
    if added.left_out:
        facts["left_out"] = added.left_out
    return json.dumps(facts) + "\n"


def _as_text(simulator: Simulator, added: Added) -> str:
    tokens_of = {name: handle.token for name, handle in simulator.projects.items()}
    tokens_of |= {f"{name}, {user}": token for name, users in added.users.items() for user, token in users.items()}
    width = max(map(len, tokens_of), default=0)
    lines = [f"REDCap simulator at {simulator.url}", ""]
    lines += [f"  {name:<{width}}  token {token}" for name, token in tokens_of.items()]
    lines += [f"\nLeft out of {name}: {reason}" for name, reasons in added.left_out.items() for reason in reasons]
    lines += ["", f"  super token {simulator.super_token}"]
    lines += [f"  secret of the control endpoint {simulator.control_secret}", "", "Press Ctrl-C to stop."]
    return "\n".join(lines) + "\n"
