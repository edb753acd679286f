"""The control endpoint at /_simulator/, which no REDCap has: JSON in, JSON out.

It does from another process what a test does with the `Simulator` object. Each command is one POST with the header
`Authorization: Bearer SECRET`, the secret being the simulator's `control_secret`, which `redcap-warehouse simulate`
prints at start; requests of web pages are refused (control_access.py):

    faults/add      {"kind": "502", "content": "record", "times": 2 …}
    faults/clear    {}
    clock/set       {"now": "2024-11-03T06:30:00+00:00"}
    clock/advance   {"seconds": 60}
    edit            {"project": "study", "do": "save", "record": "1", "values": {…} …}
    edit            the same with {"before": 3, "content": "record"}: just before the third such request from now
    rights          {"project": "study", "user": "api_user", "logging": 0, "dag": "site_a", "forms_export": 2}
    latency         {"seconds": 0.2, "microseconds_a_cell": 0.1}
    state/save      {"path": "…"}          state/load      {"path": "…"}        in the folder for states only
    projects        {}                     requests        {}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from email.message import Message
from functools import partial
from typing import TYPE_CHECKING, Any

from redcap_source.simulator.control_access import state_path, why_refused
from redcap_source.simulator.edits import ProjectHandle
from redcap_source.simulator.errors import Refusal, SimulatorError

if TYPE_CHECKING:
    from redcap_source.simulator.simulator import Simulator

Asked = dict[str, Any]
Command = Callable[["Simulator", Asked], Any]
EDITS = frozenset(
    (
        "save", "delete", "rename", "wipe", "assign_dag", "add_field", "remove_field", "change_field", "add_dag",
        "add_user", "lock_record", "unlock_record", "respond", "open_page", "rename_event", "rename_instrument",
    )
)  # fmt: skip


# What a command with unusable arguments raises, besides the errors that are meant for people.
UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, OSError)


def control(simulator: Simulator, path: str, headers: Message, body: bytes) -> tuple[int, bytes]:
    """Carry out one command for whoever may ask; a status and what to answer."""
    if refused := why_refused(headers, simulator.control_secret):
        return 403, _json({"error": refused})
    command = COMMANDS.get(path.strip("/"))
    if command is None:
        return 404, _json({"error": f"There is no command '{path}'; known are {', '.join(COMMANDS)}."})
    try:
        asked = json.loads(body or b"{}")
        if not isinstance(asked, dict):
            raise SimulatorError("A command takes a JSON object.")
        return 200, _json(command(simulator, asked))
    except (SimulatorError, Refusal, *UNUSABLE) as error:
        return 400, _json({"error": f"{path}: {error}"})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _done() -> Asked:
    return {"done": True}


def _add_fault(simulator: Simulator, asked: Asked) -> Asked:
    if isinstance(asked.get("body"), str):
        asked["body"] = asked["body"].encode()
    simulator.faults.add(asked.pop("kind"), **asked)
    return _done()


def _clear_faults(simulator: Simulator, asked: Asked) -> Asked:
    simulator.faults.clear()
    return _done()


def _set_clock(simulator: Simulator, asked: Asked) -> Asked:
    simulator.clock.set(datetime.fromisoformat(asked["now"]))
    return {"local": simulator.clock.local()}


def _advance_clock(simulator: Simulator, asked: Asked) -> Asked:
    simulator.clock.advance(**asked)
    return {"local": simulator.clock.local()}


def _edit(simulator: Simulator, asked: Asked) -> Asked:
    handle = _handle(simulator, asked.pop("project"))
    name, before, content = asked.pop("do"), asked.pop("before", None), asked.pop("content", None)
    if name not in EDITS:
        raise SimulatorError(f"There is no edit '{name}'; known are {', '.join(sorted(EDITS))}.")
    edit = _call(handle, name, asked)
    if before is not None:
        simulator.before_request(edit, nth=int(before), content=content)
        return _done()
    return {"done": True, "answer": edit()}


def _call(handle: ProjectHandle, name: str, asked: Mapping[str, Any]) -> Callable[[], object]:
    if name == "add_field":
        return partial(handle.add_field, asked["row"])
    return partial(getattr(handle, name), **asked)


def _handle(simulator: Simulator, name: str) -> ProjectHandle:
    if name not in simulator.projects:
        raise SimulatorError(f"There is no project '{name}'.")
    return simulator.projects[name]


def _rights(simulator: Simulator, asked: Asked) -> Asked:
    handle = _handle(simulator, asked.pop("project"))
    handle.set_rights(asked.pop("user", None), **asked)
    return _done()


def _latency(simulator: Simulator, asked: Asked) -> Asked:
    simulator.latency = (float(asked.get("seconds", 0)), float(asked.get("microseconds_a_cell", 0)))
    return _done()


def _save(simulator: Simulator, asked: Asked) -> Asked:
    simulator.save_state(state_path(simulator.state_folder, asked["path"]))
    return _done()


def _load(simulator: Simulator, asked: Asked) -> Asked:
    simulator.load_state(state_path(simulator.state_folder, asked["path"]))
    return _projects(simulator, {})


def _projects(simulator: Simulator, asked: Asked) -> Asked:
    return {
        name: {"token": handle.token, "project_id": handle.project_id, "records": len(handle.project.records)}
        for name, handle in simulator.projects.items()
    }


def _requests(simulator: Simulator, asked: Asked) -> list[Asked]:
    return [{**request._asdict(), "time": request.time.isoformat()} for request in simulator.requests]


COMMANDS: Mapping[str, Command] = {
    "faults/add": _add_fault,
    "faults/clear": _clear_faults,
    "clock/set": _set_clock,
    "clock/advance": _advance_clock,
    "edit": _edit,
    "rights": _rights,
    "latency": _latency,
    "state/save": _save,
    "state/load": _load,
    "projects": _projects,
    "requests": _requests,
}
