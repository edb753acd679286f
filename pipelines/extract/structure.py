"""Reads a project's structure: everything about it that is not a record.

What the token may not read is noted and does not fail the load. A part of it is read in every load, the rest only where
it may have changed (sync/known_structure.py). Not here: what each thing means (redcap_source/model), and how it is
stored (warehouse/mirror/schema/catalog.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipelines.interrupts import workers
from pipelines.warehouse.tables.structure import DATA_ACCESS_GROUPS, REPEATING_SETUP, Structure
from redcap_source import RedcapClient, errors, model

T = TypeVar("T")


# Each answer is small, so most of the time is network latency; the server's rate limit may allow fewer at a time.
IN_FLIGHT = 2

# What needs a right of its own, which a token for loading often lacks: the attribute of Structure, its name in
# `not_readable`, and the request.
WITH_RIGHTS: tuple[tuple[str, str, Callable[[RedcapClient], tuple[Any, ...]]], ...] = (
    ("repeating", REPEATING_SETUP, RedcapClient.repeating_forms_events),
    ("users", "users", RedcapClient.users),
    ("user_roles", "user roles", RedcapClient.user_roles),
    ("user_role_assignments", "user role assignments", RedcapClient.user_role_assignments),
    ("data_access_groups", DATA_ACCESS_GROUPS, RedcapClient.data_access_groups),
    ("data_access_group_assignments", "data access group assignments", RedcapClient.data_access_group_assignments),
)


@dataclass(frozen=True, slots=True)
class Basics:
    """What every load reads of the structure, because REDCap's log does not show every change of it.

    The project's settings and the users also change outside the project, for which it has no log. The dictionary is
    read because most depends on it: should its log ever lack a change, no load goes by an outdated dictionary.
    """

    project: model.ProjectInfo
    fields: tuple[model.Field, ...]
    people: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict, repr=False)
    """The users or the data access groups, by the attribute of Structure; None if the token may not read them."""


def read_basics(client: RedcapClient, known: Structure) -> Basics:
    """What every load reads, in three requests; `known` is the structure that it will be compared with."""
    wanted = people_to_read(known)
    with workers(IN_FLIGHT) as pool:
        project = pool.submit(client.project_info)
        fields = pool.submit(client.data_dictionary)
        people = {
            attribute: pool.submit(_unless_refused, client, call)
            for attribute, _, call in WITH_RIGHTS
            if attribute in wanted
        }
        return Basics(
            project.result(),
            _not_empty(fields.result(), client.project),
            {attribute: answer.result() for attribute, answer in people.items()},
        )


def people_to_read(known: Structure) -> tuple[str, ...]:
    """Which people every load reads, by the attribute of Structure: the users, or else the data access groups.

    REDCap lists the groups only for users outside of all groups, and a user in a group sees only a part of the log.
    """
    readable = [attribute for attribute, name, _ in WITH_RIGHTS if name not in known.not_readable]
    return tuple(attribute for attribute in ("users", "data_access_groups") if attribute in readable)[:1]


def read_structure(client: RedcapClient, version: str, basics: Basics | None = None) -> Structure:
    """The project's structure as REDCap has it now, apart from what `basics` has; `version` is the server's.

    Dictionary, instruments and events are needed to load at all: their errors are raised. The repeating setup, users,
    roles and data access groups need rights of their own, which a token for loading often lacks.
    """
    have = {} if basics is None else basics.people
    # After an error no further request is sent.
    with workers(IN_FLIGHT) as pool:
        project = pool.submit(client.project_info if basics is None else lambda: basics.project)
        fields = pool.submit(client.data_dictionary if basics is None else lambda: basics.fields)
        export_field_names = pool.submit(client.export_field_names)
        instruments = pool.submit(client.instruments)
        arms = pool.submit(client.arms)
        events = pool.submit(client.events)
        form_event_mapping = pool.submit(client.form_event_mapping)
        asked: dict[str, Future[Any]] = {
            attribute: pool.submit(_unless_refused, client, call)
            for attribute, _, call in WITH_RIGHTS
            if attribute not in have
        }
        return Structure(
            version=version,
            project=project.result(),
            fields=_not_empty(fields.result(), client.project),
            export_field_names=export_field_names.result(),
            instruments=instruments.result(),
            arms=arms.result(),
            events=events.result(),
            form_event_mapping=form_event_mapping.result(),
            **_with_rights({**have, **{attribute: answer.result() for attribute, answer in asked.items()}}),
        )


def _with_rights(found: Mapping[str, tuple[Any, ...] | None]) -> dict[str, Any]:
    """The attributes of a structure for what needs rights, and for what could not be read."""
    not_readable = tuple(name for attribute, name, _ in WITH_RIGHTS if found[attribute] is None)
    return {"not_readable": not_readable, **{attribute: rows or () for attribute, rows in found.items()}}


def _unless_refused(client: RedcapClient, call: Callable[[RedcapClient], tuple[T, ...]]) -> tuple[T, ...] | None:
    """What a call returns, or None if the token lacks the right for it."""
    try:
        return call(client)
    except (errors.MissingRight, errors.RequestRefused):
        # Servers older than the method answer 400 instead of 403; both mean that this token cannot read it here.
        return None


def _not_empty(fields: tuple[model.Field, ...], project: str) -> tuple[model.Field, ...]:
    if not fields:
        asked = errors.RequestContext(content="metadata", project=project)
        raise errors.UnexpectedAnswer(asked, detail="The data dictionary holds no field.")
    return fields
