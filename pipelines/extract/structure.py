"""Reads a project's structure: everything about it that is not a record.

What the token may not read is noted and does not fail the load. Not here: what each thing means (redcap_source/model),
and how it is stored (warehouse/mirror/schema/catalog.py).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from pipelines.interrupts import workers
from pipelines.warehouse.tables.structure import DATA_ACCESS_GROUPS, REPEATING_SETUP, Structure
from redcap_source import RedcapClient, errors, model

T = TypeVar("T")


# Each answer is small, so most of the time is network latency; the server's rate limit may allow fewer at a time.
IN_FLIGHT = 2


def read_structure(client: RedcapClient, version: str) -> Structure:
    """The project's structure as REDCap has it now; `version` is the server's.

    Dictionary, instruments and events are needed to load at all: their errors are raised. The repeating setup, users,
    roles and data access groups need rights of their own, which a token for loading often lacks.
    """
    # After an error no further request is sent.
    with workers(IN_FLIGHT) as pool:
        project = pool.submit(client.project_info)
        fields = pool.submit(client.data_dictionary)
        export_field_names = pool.submit(client.export_field_names)
        instruments = pool.submit(client.instruments)
        arms = pool.submit(client.arms)
        events = pool.submit(client.events)
        form_event_mapping = pool.submit(client.form_event_mapping)
        repeating = pool.submit(_unless_refused, client.repeating_forms_events)
        users = pool.submit(_unless_refused, client.users)
        user_roles = pool.submit(_unless_refused, client.user_roles)
        user_role_assignments = pool.submit(_unless_refused, client.user_role_assignments)
        data_access_groups = pool.submit(_unless_refused, client.data_access_groups)
        group_assignments = pool.submit(_unless_refused, client.data_access_group_assignments)
        asked: dict[str, Future[Any]] = {
            REPEATING_SETUP: repeating,
            "users": users,
            "user roles": user_roles,
            "user role assignments": user_role_assignments,
            DATA_ACCESS_GROUPS: data_access_groups,
            "data access group assignments": group_assignments,
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
            repeating=repeating.result() or (),
            users=users.result() or (),
            user_roles=user_roles.result() or (),
            user_role_assignments=user_role_assignments.result() or (),
            data_access_groups=data_access_groups.result() or (),
            data_access_group_assignments=group_assignments.result() or (),
            not_readable=tuple(what for what, answer in asked.items() if answer.result() is None),
        )


def _unless_refused(call: Callable[[], tuple[T, ...]]) -> tuple[T, ...] | None:
    """What a call returns, or None if the token lacks the right for it."""
    try:
        return call()
    except (errors.MissingRight, errors.RequestRefused):
        # Servers older than the method answer 400 instead of 403; both mean that this token cannot read it here.
        return None


def _not_empty(fields: tuple[model.Field, ...], project: str) -> tuple[model.Field, ...]:
    if not fields:
        asked = errors.RequestContext(content="metadata", project=project)
        raise errors.UnexpectedAnswer(asked, detail="The data dictionary holds no field.")
    return fields
