"""The initial history of a loaded project: a user for its token, and a log in which its records are created."""

from __future__ import annotations

from datetime import timedelta

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.clock import Clock
from redcap_source.simulator.state.log import LogRow
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.site import DEFAULT_USER
from redcap_source.simulator.state.users import FULL_EXPORT, User

DATA_MANAGER = "data_manager"
# Records are logged as created during this time, which ends a day ago, so that a first load finds no recent changes.
SPAN = timedelta(days=90)
LAST = timedelta(days=1)
_NEEDED = ("api_export", "api_import", "logging", "user_rights", "data_access_groups", "record_delete", "record_rename")


def choose_owner(project: Project, named: str | None = None) -> str:
    """The user who gets the project's token: the one named, a loaded one with every right, or else a new one."""
    if named is not None:
        if named not in project.users:
            raise SimulatorError(f"There is no user '{named}' in project '{project.name}' to own the token.")
        return named
    for username in project.users:
        rights = project.rights_of(username)
        full = all(rights.export_level(form) == FULL_EXPORT for form in project.dictionary.forms)
        if full and all(rights.may(right) for right in _NEEDED) and not project.users[username].group:
            return username
    project.users[DEFAULT_USER] = User(DEFAULT_USER, f"{DEFAULT_USER}@example.org", "API", "User", everything=True)
    return DEFAULT_USER


def write_history(project: Project, clock: Clock) -> None:
    """Log the creation of every record, spread over the past."""
    now = clock.now()
    first = now - LAST - SPAN
    if not project.settings["creation_time"]:
        project.settings["creation_time"] = clock.local(first - timedelta(days=1))
    ids = project.records.ids()
    step = SPAN / max(len(ids), 1)
    name = project.dictionary.record_id
    for number, record in enumerate(ids):
        action = f"Create record {record}{project.event_suffix(project.first_event().event_id)}"
        at = clock.local(first + step * number)
        project.log.add(LogRow(at, DATA_MANAGER, "record_add", action, f"{name} = '{record}'", record, "data"))
