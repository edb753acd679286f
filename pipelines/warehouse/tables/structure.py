"""A project's structure as one value: everything about it but its records. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from redcap_source import model

DATA_ACCESS_GROUPS = "data access groups"


# Exporting it requires the right to design the project, which a token for loading seldom has.
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
        """The field that names the records: the first of the dictionary."""
        return self.fields[0].field_name

    @property
    def repeating_unknown(self) -> bool:
        """Whether something may repeat that the token may not read."""
        return REPEATING_SETUP in self.not_readable and self.project.has_repeating_instruments_or_events is not False

    @property
    def may_have_groups(self) -> bool:
        """Whether the project has data access groups, or may have some that the token cannot read."""
        return bool(self.data_access_groups) or DATA_ACCESS_GROUPS in self.not_readable

    @property
    def longitudinal(self) -> bool:
        """Whether rows carry an event."""
        return bool(self.project.is_longitudinal)
