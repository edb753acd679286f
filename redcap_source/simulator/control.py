"""The control endpoint at /_simulator/, which no REDCap has: JSON in, JSON out.

It does from another process what a test does with the `Simulator` object. Each command is one POST with the header
`Authorization: Bearer SECRET`, the secret being the simulator's `control_secret`, which `redcap-warehouse simulate`
prints at start. Requests of web pages are refused (control_access.py).

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
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any

from redcap_source.simulator.control_access import state_path, why_refused
from redcap_source.simulator.edits.handle import ProjectHandle
from redcap_source.simulator.engine import Engine, PendingEdit
from redcap_source.simulator.errors import Refusal, SimulatorError

Json = dict[str, Any]
# The methods of a project's handle that the command `edit` may call.
EDITS = frozenset(
    (
        "save", "delete", "rename", "wipe", "assign_dag", "add_field", "remove_field", "change_field", "add_dag",
        "add_user", "lock_record", "unlock_record", "respond", "open_page", "rename_event", "rename_instrument",
        "relabel_instrument", "relabel_arm", "designate", "set_missing_codes", "set_survey", "change_settings",
        "add_role", "change_role", "assign_role", "remove_user", "change_profile",
    )
)  # fmt: skip
# What a command with unusable arguments raises, besides SimulatorError and Refusal, whose messages are for users.
UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, OSError)


@dataclass(frozen=True)
class Control:
    """The control endpoint of one engine: who may use it, and where it may save states."""

    engine: Engine
    secret: str = field(repr=False)
    state_folder: Path | None = None

    def answer(self, path: str, headers: Message, body: bytes) -> tuple[int, bytes]:
        """Carry out the command at `path`, if the request may; return a status and the answer's JSON."""
        if refused := why_refused(headers, self.secret):
            return 403, _json({"error": refused})
        command = COMMANDS.get(path.strip("/"))
        if command is None:
            return 404, _json({"error": f"There is no command '{path}'; known are {', '.join(COMMANDS)}."})
        try:
            arguments = json.loads(body or b"{}")
            if not isinstance(arguments, dict):
                raise SimulatorError("A command takes a JSON object.")
            return 200, _json(command(self, arguments))
        except (SimulatorError, Refusal, *UNUSABLE) as error:
            return 400, _json({"error": f"{path}: {error}"})

    def handle(self, name: str) -> ProjectHandle:
        """The project of that name."""
        if name not in self.engine.projects:
            raise SimulatorError(f"There is no project '{name}'.")
        return self.engine.projects[name]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _done() -> Json:
    return {"done": True}


def _add_fault(control: Control, arguments: Json) -> Json:
    if isinstance(arguments.get("body"), str):
        arguments["body"] = arguments["body"].encode()
    control.engine.faults.add(arguments.pop("kind"), **arguments)
    return _done()


def _clear_faults(control: Control, arguments: Json) -> Json:
    control.engine.faults.clear()
    return _done()


def _set_clock(control: Control, arguments: Json) -> Json:
    clock = control.engine.site.clock
    clock.set(datetime.fromisoformat(arguments["now"]))
    return {"local": clock.local()}


def _advance_clock(control: Control, arguments: Json) -> Json:
    clock = control.engine.site.clock
    clock.advance(**arguments)
    return {"local": clock.local()}


def _edit(control: Control, arguments: Json) -> Json:
    handle = control.handle(arguments.pop("project"))
    name, before, content = arguments.pop("do"), arguments.pop("before", None), arguments.pop("content", None)
    if name not in EDITS:
        raise SimulatorError(f"There is no edit '{name}'; known are {', '.join(sorted(EDITS))}.")
    edit = _edit_of(handle, name, arguments)
    if before is not None:
        control.engine.pending_edits.add(PendingEdit(int(before), content, edit))
        return _done()
    return {"done": True, "answer": edit()}


def _edit_of(handle: ProjectHandle, name: str, arguments: Mapping[str, Any]) -> Callable[[], object]:
    if name == "add_field":
        return partial(handle.add_field, arguments["row"])
    return partial(getattr(handle, name), **arguments)


def _set_rights(control: Control, arguments: Json) -> Json:
    handle = control.handle(arguments.pop("project"))
    handle.set_rights(arguments.pop("user", None), **arguments)
    return _done()


def _set_latency(control: Control, arguments: Json) -> Json:
    seconds, microseconds = arguments.get("seconds", 0), arguments.get("microseconds_a_cell", 0)
    control.engine.latency = (float(seconds), float(microseconds))
    return _done()


def _save_state(control: Control, arguments: Json) -> Json:
    control.engine.save_state(state_path(control.state_folder, arguments["path"]))
    return _done()


def _load_state(control: Control, arguments: Json) -> Json:
    control.engine.load_state(state_path(control.state_folder, arguments["path"]))
    return _projects(control, {})


def _projects(control: Control, arguments: Json) -> Json:
    return {
        name: {"token": handle.token, "project_id": handle.project_id, "records": len(handle.project.records)}
        for name, handle in control.engine.projects.items()
    }


def _requests(control: Control, arguments: Json) -> list[Json]:
    return [{**request._asdict(), "time": request.time.isoformat()} for request in control.engine.requests]


COMMANDS: Mapping[str, Callable[[Control, Json], Any]] = {
    "faults/add": _add_fault,
    "faults/clear": _clear_faults,
    "clock/set": _set_clock,
    "clock/advance": _advance_clock,
    "edit": _edit,
    "rights": _set_rights,
    "latency": _set_latency,
    "state/save": _save_state,
    "state/load": _load_state,
    "projects": _projects,
    "requests": _requests,
}
