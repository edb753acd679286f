"""Users, roles and data access groups from the tables in a project's folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from redcap_source.simulator.state.names import unique_group_name
from redcap_source.simulator.state.project import Group, Project
from redcap_source.simulator.state.users import OPTIONAL_RIGHTS, RIGHTS, Role, User
from redcap_source.simulator.whole_numbers import number_or, whole_number
from redcap_source.simulator.wire.import_data import mapping_of

Rows = list[dict[str, str]]
Tables = Callable[[str], Rows | None]
_ALL_RIGHTS = (*RIGHTS, *OPTIONAL_RIGHTS)


def read_people(project: Project, table: Tables) -> None:
    """Add the people of a folder's tables to a project; `table` returns the rows of a name."""
    for row in table("dags") or []:
        _read_group(project, row)
    for row in table("user_roles") or []:
        role = Role(
            unique_name=row.get("unique_role_name", ""),
            label=row.get("role_label", ""),
            rights=_rights(row),
            forms=_form_rights(row.get("forms", "")),
            forms_export=_form_rights(row.get("forms_export", "")),
        )
        project.roles[role.unique_name] = role
    for row in table("users") or []:
        user = _user(row)
        project.users[user.username] = user
    _read_enabled_features(project, table("users") or table("user_roles") or [])
    _assign(project, table("user_role_assignments") or [], table("user_dag_mapping") or [])


def _read_enabled_features(project: Project, rows: Rows) -> None:
    # A server lists these rights only where the project uses the feature.
    project.mycap_enabled |= any("mycap_participants" in row for row in rows)
    project.data_resolution_enabled |= any("data_quality_resolution" in row for row in rows)


def _read_group(project: Project, row: dict[str, str]) -> None:
    label = row.get("data_access_group_name", "")
    name = row.get("unique_group_name") or unique_group_name(label, project.groups)
    number = row.get("data_access_group_id", "")
    project.groups[name] = Group(number_or(number, len(project.groups) + 1), label, name)


def _user(row: dict[str, str]) -> User:
    return User(
        username=row.get("username", ""),
        email=row.get("email", ""),
        firstname=row.get("firstname", ""),
        lastname=row.get("lastname", ""),
        expiration=row.get("expiration", ""),
        group=row.get("data_access_group", ""),
        rights=_rights(row),
        forms=_form_rights(row.get("forms", "")),
        forms_export=_form_rights(row.get("forms_export", "")),
    )


def _rights(row: dict[str, str]) -> dict[str, int]:
    return {right: _right(row[right]) for right in _ALL_RIGHTS if right in row}


def _right(text: str) -> int:
    # Numbers from the API, words from R packages.
    number = whole_number(text)
    if number is not None:
        return number
    return 0 if text.strip().lower() in ("", "no access", "none", "false", "na") else 1


def _form_rights(text: str) -> dict[str, int]:
    numbers = {form: whole_number(right) for form, right in mapping_of(text).items()}
    return {form: right for form, right in numbers.items() if right is not None}


def _assign(project: Project, roles: Rows, groups: Rows) -> None:
    for row in roles:
        user = project.users.get(row.get("username", ""))
        if user is not None and row.get("unique_role_name") in project.roles:
            project.users[user.username] = replace(user, role=row["unique_role_name"])
    for row in groups:
        user = project.users.get(row.get("username", ""))
        if user is not None and row.get("redcap_data_access_group") in project.groups:
            project.users[user.username] = replace(user, group=row["redcap_data_access_group"])
