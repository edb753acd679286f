"""Serve projects from the command line until interrupted."""

from __future__ import annotations

import json
import secrets
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.faults import parse_fault
from redcap_source.simulator.offer import Offer, Served, UserToken, put_on
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
    """Serve files (name, path) and made-up studies (name, kind, records); say where, then wait for the end.

    `faults` are armed from the start, each as `parse_fault` reads it. `version` is the version of REDCap to play.
    `state_folder` is where the control endpoint may save and load states. `lenient` loads of a dictionary what REDCap
    would take, and tells what was left out. `tokens` are by project, or by `project:user`. `time_zone` is the server's,
    in which REDCap writes all its times.
    """
    armed = [parse_fault(text) for text in faults]
    if state_folder is not None and not state_folder.is_dir():
        raise SimulatorError(f"There is no folder {state_folder} to keep states in; make it first.")
    if not (loads or studies or super_token):
        raise SimulatorError("There is nothing to serve; load a project, choose a study or give a super token.")
    simulator = Simulator(
        port=port,
        version=version,
        time_zone=time_zone,
        super_token=super_token or secrets.token_hex(32).upper(),
        faults=armed,
        state_folder=state_folder,
    )
    served = put_on(simulator, Offer(loads, studies, reports, users, tokens, lenient))
    done = threading.Event()
    previous = {number: signal.signal(number, _setter(done)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with simulator:
            out.write(_announcement(simulator, served, as_json=as_json))
            out.flush()
            # A signal that another thread took does not wake a wait without end.
            while not done.wait(0.2):
                pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _setter(done: threading.Event) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        done.set()

    return handle


def _announcement(simulator: Simulator, served: Served, *, as_json: bool) -> str:
    projects: dict[str, dict[str, object]] = {
        name: {"token": handle.token, "project_id": handle.project_id} for name, handle in simulator.projects.items()
    }
    for name, tokens in served.users.items():
        projects[name]["users"] = tokens
    if as_json:
        facts: dict[str, object] = {
            "url": simulator.url,
            "super_token": simulator.super_token,
            "control_secret": simulator.control_secret,
            "projects": projects,
        }
        if served.left_out:
            facts["left_out"] = served.left_out
        return json.dumps(facts) + "\n"
    tokens_of = {name: str(facts["token"]) for name, facts in projects.items()}
    tokens_of |= {f"{name}, {user}": token for name, users in served.users.items() for user, token in users.items()}
    width = max(map(len, tokens_of), default=0)
    lines = [f"REDCap simulator at {simulator.url}", ""]
    lines += [f"  {name:<{width}}  token {token}" for name, token in tokens_of.items()]
    lines += [f"\nLeft out of {name}: {reason}" for name, reasons in served.left_out.items() for reason in reasons]
    lines += ["", f"  super token {simulator.super_token}"]
    lines += [f"  secret of the control endpoint {simulator.control_secret}", "", "Press Ctrl-C to stop."]
    return "\n".join(lines) + "\n"
