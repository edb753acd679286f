"""Reading a project's structure: everything about it that is not a record.

What the token may not read is an answer too: it is noted, and does not fail the night. What each thing means
is redcap_source.model's business; how it is stored, warehouse.catalog's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from redcap_source import RedcapClient, errors, model

T = TypeVar("T")

DATA_ACCESS_GROUPS = "data access groups"
# Exporting it takes the right to design the project, which a token for loading seldom has.
REPEATING_SETUP = "repeating setup"


@dataclass(frozen=True, slots=True)
class Structure:
    """One project as REDCap described it at one time."""

    version: str
    project: model.ProjectInfo
    fields: tuple[model.Field, ...]
    export_field_names: tuple[model.ExportFieldName, ...]
    instruments: tuple[model.Instrument, ...]
    arms: tuple[model.Arm, ...]
    events: tuple[model.Event, ...]
    form_event_mapping: tuple[model.FormEvent, ...]
    repeating: tuple[model.RepeatingForm, ...]
    users: tuple[model.User, ...] = field(repr=False, default=())
    user_roles: tuple[model.UserRole, ...] = field(repr=False, default=())
    user_role_assignments: tuple[model.RoleAssignment, ...] = field(repr=False, default=())
    data_access_groups: tuple[model.DataAccessGroup, ...] = ()
    data_access_group_assignments: tuple[model.DataAccessGroupAssignment, ...] = field(repr=False, default=())
    not_readable: tuple[str, ...] = ()

    @property
    def record_id_field(self) -> str:
        """The first field of the dictionary names the records."""
        return self.fields[0].field_name

    @property
    def repeating_unknown(self) -> bool:
        """Whether something may repeat, and the token may not read what."""
        return REPEATING_SETUP in self.not_readable and self.project.has_repeating_instruments_or_events is not False

    @property
    def may_have_groups(self) -> bool:
        """Whether the project has data access groups, or the token may not read whether it has."""
        return bool(self.data_access_groups) or DATA_ACCESS_GROUPS in self.not_readable

    @property
    def longitudinal(self) -> bool:
        """Whether rows carry an event."""
        return bool(self.project.is_longitudinal)


def read_structure(client: RedcapClient, version: str) -> Structure:
    """The project's structure as REDCap has it now; `version` is what the server said it is.

    Dictionary, instruments and events are needed to load at all: their errors are raised. The repeating setup, users,
    roles and data access groups need rights of their own, which a token for loading often lacks.
    """
    optional = _Optional()
    return Structure(
        version=version,
        project=client.project_info(),
        fields=_sane(client.data_dictionary(), client.project),
        export_field_names=client.export_field_names(),
        instruments=client.instruments(),
        arms=client.arms(),
        events=client.events(),
        form_event_mapping=client.form_event_mapping(),
        repeating=optional.read(REPEATING_SETUP, client.repeating_forms_events),
        users=optional.read("users", client.users),
        user_roles=optional.read("user roles", client.user_roles),
        user_role_assignments=optional.read("user role assignments", client.user_role_assignments),
        data_access_groups=optional.read(DATA_ACCESS_GROUPS, client.data_access_groups),
        data_access_group_assignments=optional.read(
            "data access group assignments", client.data_access_group_assignments
        ),
        not_readable=tuple(optional.refused),
    )


class _Optional:
    """Calls that a token may lack the right for, and those it did lack."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def read(self, what: str, call: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
        try:
            return call()
        except (errors.MissingRight, errors.RequestRefused):
            # Servers older than the method answer 400 instead of 403; both mean "not for this token, here".
            self.refused.append(what)
            return ()


def _sane(fields: tuple[model.Field, ...], project: str) -> tuple[model.Field, ...]:
    if not fields:
        asked = errors.Asked(content="metadata", project=project)
        raise errors.UnexpectedAnswer(asked, detail="The data dictionary holds no field.")
    return fields
