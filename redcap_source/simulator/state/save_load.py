"""Saves the state of a simulator to a file and reads it again.

The file is gzipped lines of JSON, which can be read without this program: first everything but the records, then one
record per line. Records that are made when they are read are written too, one at a time. When a large project is read
again, its records stay text until they are asked for.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import Dictionary, Field
from redcap_source.simulator.state.log import LogRow
from redcap_source.simulator.state.project import (
    Allocation,
    Folder,
    Group,
    Project,
    Randomization,
    Report,
    RepositoryFile,
    StoredFile,
)
from redcap_source.simulator.state.records import Record, RecordStore, Slot
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.state.users import Role, User

FORMAT = "redcap-simulator-2"
# A project with more records is kept as lines of text, which need a tenth of the memory.
MANY = 10_000


def save_state(site: Site, path: Path) -> None:
    """Write a server's state; the file holds tokens, so only its owner may read it."""
    state = {
        "format": FORMAT,
        "version": site.version,
        "super_token": site.super_token,
        "tokens": {token: list(owner) for token, owner in site.tokens.items()},
        "projects": [project_state(project) for project in site.projects.values()],
    }
    # Written beside the file and moved into place: an older file may be readable for others, and one that is half
    # written must not replace a whole one.
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with gzip.open(part, "wt", compresslevel=3, encoding="utf-8", newline="\n") as file:
        file.write(_line(state))
        for number, project in enumerate(site.projects.values()):
            file.writelines(_line([number, _record_state(record)]) for record in project.records)
    part.replace(path)


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def read_state(path: Path) -> tuple[dict[str, Any], list[Project]]:
    """Read a state that was saved; returns what the server itself knows, and its projects.

    Raises SimulatorError if the file is not a state of this version of the simulator.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            state = json.loads(file.readline())
            if not isinstance(state, dict) or state.get("format") != FORMAT:
                raise SimulatorError(f"{path} holds the state of another version of the simulator; save it again.")
            found: list[dict[str, str]] = [{} for _ in state["projects"]]
            for line in file:
                # [number of the project, record]; the record's id comes first, and the line itself is kept.
                number, _, record = line[1:-2].partition(",")
                found[int(number)][json.JSONDecoder().raw_decode(record, len('{"id":'))[0]] = record
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SimulatorError(f"{path} is not a saved state of a simulator ({error}).") from error
    return state, [project_from_state(saved, lines) for saved, lines in zip(state.pop("projects"), found, strict=True)]


def _store(lines: Mapping[str, str]) -> RecordStore:
    if len(lines) <= MANY:
        return RecordStore(_record(json.loads(line)) for line in lines.values())
    return RecordStore(makes=lambda record: _record(json.loads(lines[record])), makeable=lines)


def project_state(project: Project) -> dict[str, Any]:
    """A project as plain lists and objects."""
    dictionary = project.dictionary
    return {
        "name": project.name,
        "api_user": project.api_user,
        "settings": project.settings,
        "mycap_enabled": project.mycap_enabled,
        "data_resolution_enabled": project.data_resolution_enabled,
        "fields": [asdict(field) for field in dictionary.fields],
        "form_labels": dictionary.form_labels,
        "missing_codes": dictionary.missing_codes,
        "arms": list(project.arms.items()),
        "events": [asdict(event) for event in project.events],
        "last_event_id": project.last_event_id,
        "mapping": list(project.mapping.items()),
        "repeating_events": sorted(project.repeating_events),
        "repeating_forms": [[*key, label] for key, label in project.repeating_forms.items()],
        "groups": [asdict(group) for group in project.groups.values()],
        "users": [asdict(user) for user in project.users.values()],
        "roles": [asdict(role) for role in project.roles.values()],
        "surveys": sorted(project.surveys),
        "reports": [[number, asdict(report)] for number, report in project.reports.items()],
        "randomizations": [[number, asdict(setup)] for number, setup in project.randomizations.items()],
        "files": [[number, *_file_state(stored)] for number, stored in project.files.items()],
        "folders": [[number, asdict(folder)] for number, folder in project.folders.items()],
        "repository": [[n, document.folder, *_file_state(document.file)] for n, document in project.repository.items()],
        "log": [[getattr(row, field.name) for field in fields(LogRow)] for row in project.log],
    }


def _file_state(stored: StoredFile) -> tuple[str, str, str]:
    return stored.name, stored.mime_type, base64.b64encode(stored.content).decode()


def _file(name: str, mime_type: str, content: str) -> StoredFile:
    return StoredFile(name, base64.b64decode(content), mime_type)


def _record_state(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "group": record.group,
        "slots": [[*slot, dict(values)] for slot, values in record.slots.items()],
        "locks": [[*slot, form] for slot, form in sorted(record.locks)],
    }


def _record(state: Mapping[str, Any]) -> Record:
    slots: dict[Slot, Mapping[str, str]] = {(e, form, n): values for e, form, n, values in state["slots"]}
    locks = frozenset(((e, form, n), locked) for e, form, n, locked in state["locks"])
    return Record(state["id"], slots, state["group"], locks)


def _report(state: Mapping[str, Any]) -> Report:
    lists = {name: tuple(state[name]) for name in ("fields", "events", "groups")}
    return Report(**{**state, **lists, "order": tuple((name, is_descending) for name, is_descending in state["order"])})


def _randomization(state: Mapping[str, Any]) -> Randomization:
    table = tuple(Allocation(**{**line, "stratum": tuple(line["stratum"])}) for line in state["allocations"])
    return Randomization(**{**state, "strata": tuple(state["strata"]), "allocations": table})


def project_from_state(state: Mapping[str, Any], lines: Mapping[str, str]) -> Project:
    """The project of a saved state; `lines` are its records as JSON, by id."""
    dictionary = Dictionary(
        [Field(**row) for row in state["fields"]],
        form_labels=state["form_labels"],
        missing_codes=state["missing_codes"],
    )
    project = Project(
        dictionary=dictionary,
        settings=dict(state["settings"]),
        arms=dict(state["arms"]),
        events=[Event(**event) for event in state["events"]],
        last_event_id=state.get("last_event_id", 0),
        mapping={event_id: tuple(forms) for event_id, forms in state["mapping"]},
        repeating_events=set(state["repeating_events"]),
        repeating_forms={(event_id, form): label for event_id, form, label in state["repeating_forms"]},
        groups={group["unique_name"]: Group(**group) for group in state["groups"]},
        users={user["username"]: User(**user) for user in state["users"]},
        roles={role["unique_name"]: Role(**role) for role in state["roles"]},
        surveys=set(state["surveys"]),
        records=_store(lines),
        files={number: _file(*stored) for number, *stored in state["files"]},
        folders={number: Folder(**folder) for number, folder in state["folders"]},
        repository={n: RepositoryFile(_file(*stored), folder) for n, folder, *stored in state["repository"]},
        mycap_enabled=state.get("mycap_enabled", False),
        data_resolution_enabled=state.get("data_resolution_enabled", False),
        name=state["name"],
        api_user=state["api_user"],
    )
    if not state["events"]:
        # A project whose events were all deleted does not get the one that new projects have.
        project.events, project.arms, project.mapping = [], dict(state["arms"]), {}
    project.reports = {number: _report(report) for number, report in state["reports"]}
    project.randomizations = {number: _randomization(setup) for number, setup in state["randomizations"]}
    project.log.rows = [LogRow(*row) for row in state["log"]]
    return project
