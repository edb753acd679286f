"""Users, roles and their rights. Not here: answers with them (api/users_export.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

# In the order of the user export (16.0 and later).
RIGHTS = (
    "design", "alerts", "user_rights", "data_access_groups", "reports", "stats_and_charts",
    "manage_survey_participants", "calendar", "data_import_tool", "data_comparison_tool", "logging", "email_logging",
    "file_repository", "data_quality_create", "data_quality_execute", "api_export", "api_import", "api_modules",
    "mobile_app", "mobile_app_download_data", "record_create", "record_rename", "record_delete",
    "lock_records_all_forms", "lock_records", "lock_records_customization",
)  # fmt: skip
RANDOMIZATION_RIGHTS = ("random_setup", "random_dashboard", "random_perform")
OPTIONAL_RIGHTS = ("mycap_participants", "data_quality_resolution", *RANDOMIZATION_RIGHTS)
# All of them in the order of the user export.
ORDER = (
    *RIGHTS[: RIGHTS.index("data_quality_execute") + 1], "data_quality_resolution",
    *RIGHTS[RIGHTS.index("data_quality_execute") + 1 :], "mycap_participants", *RANDOMIZATION_RIGHTS,
)  # fmt: skip
ALL_RIGHTS = dict.fromkeys((*RIGHTS, *RANDOMIZATION_RIGHTS), 1)

NO_EXPORT, FULL_EXPORT, DEIDENTIFIED, NO_IDENTIFIERS = 0, 1, 2, 3


@dataclass(frozen=True)
class Role:
    """A user role: a name for rights."""

    unique_name: str
    label: str
    rights: dict[str, int] = field(default_factory=dict)
    forms: dict[str, int] = field(default_factory=dict)
    forms_export: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class User:
    """A user of one project; the user's own rights apply only without a role."""

    username: str
    email: str = ""
    firstname: str = ""
    lastname: str = ""
    expiration: str = ""
    group: str = ""
    role: str = ""
    rights: dict[str, int] = field(default_factory=dict)
    forms: dict[str, int] = field(default_factory=dict)
    forms_export: dict[str, int] = field(default_factory=dict)
    # An administrator, who may see and do everything, also on instruments that are added later.
    everything: bool = False


@dataclass(frozen=True)
class Rights:
    """What one user may do: the rights of the user's role, or else the user's own."""

    rights: dict[str, int]
    forms: dict[str, int]
    forms_export: dict[str, int]
    everything: bool = False

    def may(self, right: str) -> bool:
        """Whether the user has a right."""
        return self.everything or self.rights.get(right, 0) > 0

    def may_edit(self, form: str) -> bool:
        """Whether the user may change an instrument's data: codes 1 and 3, or since 15.6 those from 130 on."""
        right = self.forms.get(form, 1 if self.everything else 0)
        return right in (1, 3) or (right >= 128 and bool(right & 2))

    def export_level(self, form: str) -> int:
        """How much of an instrument the user may export."""
        return self.forms_export.get(form, FULL_EXPORT if self.everything else NO_EXPORT)
