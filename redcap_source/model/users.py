"""Users, roles and data access groups."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redcap_source.model.rows import ApiRow, Row, from_key, number_or_text, per_form, rest, whole

# Keys of the user and role exports that are levels of rights, in all versions recorded so far (REDCap API, Users).
RIGHTS = (
    "design",
    "alerts",
    "user_rights",
    "data_access_groups",
    "reports",
    "stats_and_charts",
    "manage_survey_participants",
    "calendar",
    "data_import_tool",
    "data_comparison_tool",
    "logging",
    "email_logging",
    "file_repository",
    "data_quality_create",
    "data_quality_execute",
    "data_quality_resolution",
    "data_export",
    "api_export",
    "api_import",
    "api_modules",
    "mobile_app",
    "mobile_app_download_data",
    "mycap_participants",
    "record_create",
    "record_rename",
    "record_delete",
    "lock_records_all_forms",
    "lock_records",
    "lock_records_customization",
    "random_setup",
    "random_dashboard",
    "random_perform",
)


@dataclass(frozen=True, slots=True)
class _WithRights(ApiRow):
    """A row with rights: these differ by version, so they are a mapping and not attributes."""

    @classmethod
    def _of_the_rest(cls, left: dict[str, Any]) -> dict[str, Any]:
        rights = {name: number_or_text(left.pop(name)) for name in RIGHTS if name in left}
        return {"rights": rights, "extra": left}


@dataclass(frozen=True, slots=True)
class User(_WithRights):
    """A user of the project. `rights` has the levels that the server sent, by REDCap's names.

    `forms` and `forms_export` are levels by instrument; before about 11 there is one `data_export` right instead.
    Levels of `forms` are 0 to 3, since 15.6 also 128 and above.
    """

    username: str = from_key(required=True)
    email: str | None = from_key()
    firstname: str | None = from_key()
    lastname: str | None = from_key()
    expiration: str | None = from_key()
    data_access_group: str | None = from_key()
    data_access_group_id: int | None = from_key(whole)
    data_access_group_label: str | None = from_key()
    forms: Mapping[str, int | str] | None = from_key(per_form)
    forms_export: Mapping[str, int | str] | None = from_key(per_form)
    rights: Mapping[str, int | str] = dataclasses.field(default_factory=dict, hash=False)
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class UserRole(_WithRights):
    """A user role; `unique_role_name` is `U-` and ten characters."""

    unique_role_name: str = from_key(required=True)
    role_label: str | None = from_key()
    forms: Mapping[str, int | str] | None = from_key(per_form)
    forms_export: Mapping[str, int | str] | None = from_key(per_form)
    rights: Mapping[str, int | str] = dataclasses.field(default_factory=dict, hash=False)
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class RoleAssignment(ApiRow):
    """A user's role; blank for a user without one."""

    username: str = from_key(required=True)
    unique_role_name: str | None = from_key()
    data_access_group: str | None = from_key()
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class DataAccessGroup(ApiRow):
    """A data access group; records carry its unique name."""

    unique_group_name: str = from_key(required=True)
    data_access_group_name: str | None = from_key()
    data_access_group_id: int | None = from_key(whole)
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class DataAccessGroupAssignment(ApiRow):
    """A user's data access group; blank for a user outside all groups, who sees every record."""

    username: str = from_key(required=True)
    redcap_data_access_group: str | None = from_key()
    extra: Row = rest()
