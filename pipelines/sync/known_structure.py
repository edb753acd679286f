"""When a load may go by the structure that the last load read, instead of reading it again.

A load reads what REDCap's log may not show (the version, the settings, the dictionary, the users), and goes by the rest
as the last load read it, if the log proves that nothing changed it since. Whatever is in doubt is read: see
docs/decisions/0020-when-the-structure-is-read.md. Not here: reading it (extract/structure.py) and keeping it
(warehouse/mirror/known_structure.py).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import redcap_source
from pipelines.config.settings import ProjectConfig
from pipelines.extract.change_detection import DetectedChanges
from pipelines.extract.structure import Basics, people_to_read
from pipelines.sync.findings import Findings
from pipelines.sync.load_clock import LoadClock
from pipelines.warehouse.mirror.known_structure import KnownStructure, digest_of_dictionary
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.tables.layout import Layout
from pipelines.warehouse.tables.structure import DATA_ACCESS_GROUPS, REPEATING_SETUP, Structure
from pipelines.wording import counted
from redcap_source import RedcapClient

# A load's first requests follow its beginning within this time, even where the server allows few requests a minute.
FIRST_REQUESTS = timedelta(minutes=15)


def structure_key(project: ProjectConfig, client: RedcapClient, mirror: Mirror) -> str:
    """Another key for each mirror, server, token, version of this program, and part of the project that is loaded."""
    identity = mirror.state.identity()
    parts = (
        identity,
        project.server.url,
        client.token_fingerprint(identity),
        _program(),
        project.identifiers,
        None if project.include is None else sorted(project.include.instruments),
        None if project.exclude is None else sorted(project.exclude.instruments),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@cache
def _program() -> str:
    """Another text for each state of this program's files: a version number is not raised with every change."""
    folders = (Path(__file__).parents[1], Path(redcap_source.__file__).parent)
    found = sorted(file for folder in folders for file in _files(folder))
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path))
        elif entry.name.endswith((".py", ".sql")):
            facts = entry.stat()
            yield entry.path, facts.st_size, facts.st_mtime_ns


def unchanged(known: KnownStructure, version: str, basics: Basics) -> Structure | None:
    """The known structure, if what was read of it now is the same; else None."""
    structure = known.structure
    same = (
        structure.version == version
        and structure.project == basics.project
        and known.dictionary_digest == digest_of_dictionary(basics.fields)
        and all(rows == getattr(structure, attribute) for attribute, rows in basics.people.items())
    )
    return replace(structure, fields=basics.fields) if same else None


def why_not_proven(known: KnownStructure, basics: Basics, clock: LoadClock, findings: Findings) -> str | None:
    """Why what was found does not prove that the structure is the known one; None if it does."""
    if findings.layout.answer_columns != known.columns:
        return "the columns of its answers are others than in the last load"
    events = {event.unique_event_name for event in known.structure.events}
    if not events.issuperset(findings.census.rows):
        return "records have rows in an event that the last load did not know"
    if not _outside_of_groups(findings.layout, basics.people):
        return "the token's user may be in a data access group, and so see only a part of REDCap's log"
    return _why_log_does_not_prove_it(clock, findings.detected)


def is_worth_keeping(structure: Structure, findings: Findings, refused_before: Collection[str]) -> bool:
    """Whether later loads may go by the structure, if their log proves that it did not change.

    A server that fails may answer with a refusal or an empty list. So what was refused is believed to be out of the
    token's sight once it was refused in two loads, and lists that contradict each other are not believed at all.
    """
    believed = set(structure.not_readable) <= set(refused_before) and _lists_agree(structure, findings.layout)
    return believed and _may_ever_be_proven(structure, findings)


def _lists_agree(structure: Structure, layout: Layout) -> bool:
    """Whether no list of the structure is empty, or lacks something, although another one says otherwise."""
    users, missing = structure.users, structure.not_readable
    roles = {role.unique_role_name for role in structure.user_roles}
    groups = {group.unique_group_name for group in structure.data_access_groups}
    in_roles = {assigned.unique_role_name for assigned in structure.user_role_assignments}
    in_groups = {assigned.redcap_data_access_group for assigned in structure.data_access_group_assignments}
    in_groups |= {user.data_access_group for user in users}
    repeats = structure.project.has_repeating_instruments_or_events
    return (
        bool(structure.export_field_names)
        and {instrument.instrument_name for instrument in structure.instruments}
        >= {f.form_name for f in structure.fields}
        and all(map(bool, (structure.arms, structure.events, structure.form_event_mapping))) == structure.longitudinal
        and (REPEATING_SETUP in missing or repeats in (None, bool(structure.repeating)))
        and ("users" in missing or bool(users))
        and ("user role assignments" in missing or bool(structure.user_role_assignments) or not users)
        and ("data access group assignments" in missing or bool(structure.data_access_group_assignments) or not users)
        and ("user roles" in missing or roles >= in_roles - {None, ""})
        and (DATA_ACCESS_GROUPS in missing or groups >= in_groups - {None, ""})
        and (DATA_ACCESS_GROUPS in missing or bool(groups) or not layout.data_access_groups)
    )


def _may_ever_be_proven(structure: Structure, findings: Findings) -> bool:
    """Whether a later load's log could prove anything: this one's could, too.

    Otherwise each night would first try to do without reading the structure, and read it all the same.
    """
    read = None if findings.detected is None else findings.detected.log
    people = {attribute: getattr(structure, attribute) for attribute in people_to_read(structure)}
    shows_setup = read is not None and read.oldest_setup_read is not None
    return shows_setup and _outside_of_groups(findings.layout, people)


def _outside_of_groups(layout: Layout, people: Mapping[str, Sequence[Any] | None]) -> bool:
    """Whether the token's user is certainly in no data access group.

    Only users outside of all groups get the column with the groups, and the list of groups.
    """
    users = people.get("users")
    return (
        layout.data_access_groups
        or people.get("data_access_groups") is not None
        or (users is not None and not any(user.data_access_group for user in users))
    )


def _why_log_does_not_prove_it(clock: LoadClock, detected: DetectedChanges | None) -> str | None:
    if detected is None or detected.log is None or detected.changed is None:
        return "REDCap's log could not be read or understood as a whole"
    if detected.log.setup_changes:
        rows = counted(detected.log.setup_changes, "row")
        return f"{rows} of REDCap's log may be about a change of its design, users, groups or settings"
    since = clock.since(None)
    if since.offset is None or detected.clock.offset_now != since.offset or detected.remark:
        return "its clock cannot be read from its log, or was set"
    oldest = detected.log.oldest_setup_read
    if oldest is None or since.wall is None or oldest > since.wall + FIRST_REQUESTS:
        return "REDCap's log does not show the requests of the last load, so it may lack other rows too"
    return None
