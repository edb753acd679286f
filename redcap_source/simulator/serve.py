"""Serve projects from the command line until interrupted."""

from __future__ import annotations

import json
import secrets
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import TextIO

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.faults import parse_fault
from redcap_source.simulator.load import load_project
from redcap_source.simulator.simulator import Simulator
from redcap_source.simulator.versions import DEFAULT_VERSION
from redcap_source.simulator.studies import make_study


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
) -> None:
    """Serve files (name, path) and made-up studies (name, kind, records); say where, then wait for the end.

    `faults` are armed from the start, each as `parse_fault` reads it. `version` is the version of REDCap to play,
    `state_folder` where the control endpoint may save and load states. `lenient` loads of a dictionary what REDCap would take, and tells what was left out.
    """
    armed = [parse_fault(text) for text in faults]
    if state_folder is not None and not state_folder.is_dir():
        raise SimulatorError(f"There is no folder {state_folder} to keep states in; make it first.")
    simulator = Simulator(
        port=port,
        version=version,
        super_token=super_token or secrets.token_hex(32).upper(),
        faults=armed,
        state_folder=state_folder,
    )
    left_out = _add_all(simulator, loads, studies, tokens, lenient=lenient)
    done = threading.Event()
    previous = {number: signal.signal(number, _setter(done)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with simulator:
            out.write(_announcement(simulator, left_out, as_json=as_json))
            out.flush()
            # A signal that another thread took does not wake a wait without end.
            while not done.wait(0.2):
                pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _add_all(
    simulator: Simulator,
    loads: list[tuple[str, Path]],
    studies: list[tuple[str, str, int]],
    tokens: dict[str, str],
    *,
    lenient: bool,
) -> dict[str, list[str]]:
    """Add the projects; what was left out of each, in words."""
    names = [name for name, *_ in (*loads, *studies)]
    unknown = [name for name in tokens if name not in names]
    if unknown:
        raise SimulatorError(f"A token was given for '{unknown[0]}', but no project of that name is loaded.")
    left_out: dict[str, list[str]] = {}
    for name, path in loads:
        problems: list[str] = []
        project = load_project(path, left_out=problems if lenient else None)
        if problems:
            left_out[name] = problems
        simulator.add_project(project, name=name, token=tokens.get(name))
    for name, kind, records in studies:
        simulator.add_project(make_study(kind, records=records), name=name, token=tokens.get(name))
    if not names:
        raise SimulatorError("There is nothing to serve; load a project or choose a study.")
    return left_out


def _setter(done: threading.Event) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        done.set()

    return handle


def _announcement(simulator: Simulator, left_out: dict[str, list[str]], *, as_json: bool) -> str:
    projects = {
        name: {"token": handle.token, "project_id": handle.project_id} for name, handle in simulator.projects.items()
    }
    if as_json:
        facts: dict[str, object] = {
            "url": simulator.url,
            "super_token": simulator.super_token,
            "control_secret": simulator.control_secret,
            "projects": projects,
        }
        if left_out:
            facts["left_out"] = left_out
        return json.dumps(facts) + "\n"
    width = max(map(len, projects))
    lines = [f"REDCap simulator at {simulator.url}", ""]
    lines += [f"  {name:<{width}}  token {facts['token']}" for name, facts in projects.items()]
    lines += [f"\nLeft out of {name}: {reason}" for name, reasons in left_out.items() for reason in reasons]
    lines += ["", f"  super token {simulator.super_token}"]
    lines += [f"  secret of the control endpoint {simulator.control_secret}", "", "Press Ctrl-C to stop."]
    return "\n".join(lines) + "\n"
