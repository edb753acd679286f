"""Requests that change people: users, roles, data access groups and who is in them."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import replace

from redcap_source.simulator.api.call import Answer, Call
from redcap_source.simulator.api.records_import import NO_IMPORT
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.rules.renaming import relabel_group
from redcap_source.simulator.state.names import unique_group_name
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.users import OPTIONAL_RIGHTS, RIGHTS, Role, User
from redcap_source.simulator.whole_numbers import whole_number
from redcap_source.simulator.wire.import_data import Row, mapping_of, require_keys, rows_of, texts

NO_USER_RIGHTS = "You do not have User Rights privileges"
NO_GROUPS = "You do not have permission to use Data Access Groups"
_ALL = (*RIGHTS, *OPTIONAL_RIGHTS)


def _require_users(call: Call) -> None:
    call.require("api_import", NO_IMPORT)
    call.require("user_rights", NO_USER_RIGHTS)


def _require_groups(call: Call) -> None:
    call.require("api_import", NO_IMPORT)
    refuse_grouped(call)
    call.require("data_access_groups", NO_GROUPS)


def refuse_grouped(call: Call) -> None:
    """Refuse users who are in a data access group, unless they are administrators, who may do everything.

    PHPCap's suite moves the first user listed, an administrator, into a group and goes on asking about groups.
    """
    user = call.project.user(call.username)
    if user.group and not user.everything:
        raise Refusal(NO_GROUPS, 403)


def import_users(call: Call) -> Answer:
    """content=user with data: rights that are not mentioned stay; new users begin with none."""
    _require_users(call)
    rows = rows_of(call.parameters)
    for row in rows:
        name = _text(row, "username")
        if not name:
            raise Refusal("Each user must have a username")
        is_new = name not in call.project.users
        user = call.project.users.get(name) or User(name)
        call.project.users[name] = _user_with(call.project, user, row)
        verb = "Add" if is_new else "Edit"
        call.note("user", f"{verb} user {name}", f"user = '{name}'")
    return call.text(len(rows))


def _text(row: Row, key: str) -> str:
    cell = row.get(key, "")
    return cell.strip() if isinstance(cell, str) else ""


def _user_with(project: Project, user: User, row: Row) -> User:
    group = _text(row, "data_access_group")
    if group and group not in project.groups:
        raise Refusal(f"The data access group '{group}' does not exist")
    return replace(
        user,
        everything=False,
        expiration=_text(row, "expiration") if "expiration" in row else user.expiration,
        group=group if "data_access_group" in row else user.group,
        email=_text(row, "email") or user.email,
        firstname=_text(row, "firstname") or user.firstname,
        lastname=_text(row, "lastname") or user.lastname,
        rights=_rights(project.rights_of(user.username).rights if user.username in project.users else {}, row),
        forms=_form_rights(project, user.forms, row, "forms", f'user "{user.username}"'),
        forms_export=_form_rights(project, user.forms_export, row, "forms_export", f'user "{user.username}"'),
    )


def _rights(old: Mapping[str, int], row: Row) -> dict[str, int]:
    given = {right: whole_number(_text(row, right)) for right in _ALL if right in row}
    return {**old, **{right: number for right, number in given.items() if number is not None}}


def _form_rights(project: Project, old: Mapping[str, int], row: Row, key: str, whose: str) -> dict[str, int]:
    given = mapping_of(row.get(key, ""))
    for form in given:
        if form not in project.dictionary.forms:
            raise Refusal(
                f'The form named "{form}" is incorrect for the {whose} The form does not exist in this project.'
            )
    others = dict.fromkeys(project.dictionary.forms, 0)
    # Rights that are sent are sent whole: an instrument that is left out, or blank, gets no access.
    kept = {} if key in row else old
    return {**others, **kept, **{form: int(right) for form, right in given.items() if whole_number(right) is not None}}


def delete_users(call: Call) -> Answer:
    """content=user&action=delete."""
    _require_users(call)
    names = call.named("users")
    unknown = [name for name in names if name not in call.project.users]
    if unknown:
        raise Refusal(f"The following users do not exist in the project: {', '.join(unknown)}")
    for name in names:
        del call.project.users[name]
        call.note("user", f"Delete user {name}", f"user = '{name}'")
    return call.text(len(names))


def import_roles(call: Call) -> Answer:
    """content=userRole with data: roles with a unique name are changed, the others made."""
    _require_users(call)
    rows = rows_of(call.parameters)
    unknown = [name for row in rows if (name := _text(row, "unique_role_name")) and name not in call.project.roles]
    if unknown:
        raise Refusal(f"Invalid Unique Role Names: {', '.join(unknown)}")
    if any(not _text(row, "unique_role_name") and not _text(row, "role_label") for row in rows):
        raise Refusal("Each new user role must have a role_label")
    for row in rows:
        name = _text(row, "unique_role_name") or _new_role_name()
        role = call.project.roles.get(name) or Role(name, "")
        whose = f'user role "{name}"'
        call.project.roles[name] = replace(
            role,
            label=_text(row, "role_label") or role.label,
            rights=_rights(role.rights, row),
            forms=_form_rights(call.project, role.forms, row, "forms", whose),
            forms_export=_form_rights(call.project, role.forms_export, row, "forms_export", whose),
        )
        call.note("user", "Edit user role", f"role = '{call.project.roles[name].label}'")
    return call.text(len(rows))


def _new_role_name() -> str:
    return "U-" + "".join(secrets.choice(string.digits + string.ascii_uppercase) for _ in range(10))


def delete_roles(call: Call) -> Answer:
    """content=userRole&action=delete; their users fall back on rights of their own."""
    _require_users(call)
    names = call.named("roles")
    unknown = [name for name in names if name not in call.project.roles]
    if unknown:
        raise Refusal(f"Invalid Unique Role Names: {', '.join(unknown)}")
    for name in names:
        del call.project.roles[name]
        for user in [user for user in call.project.users.values() if user.role == name]:
            call.project.users[user.username] = replace(user, role="")
        call.note("user", "Delete user role", f"role = '{name}'")
    return call.text(len(names))


def import_role_mapping(call: Call) -> Answer:
    """content=userRoleMapping&action=import; a blank role takes the user out of theirs."""
    _require_users(call)
    rows = texts(rows_of(call.parameters))
    require_keys(rows, "unique_role_name")
    for row in rows:
        user = _known_user(call.project, row)
        role = row.get("unique_role_name", "").strip()
        if role and role not in call.project.roles:
            raise Refusal(f"Invalid Unique Role Names: {role}")
        group = row.get("data_access_group", "").strip()
        if group and group not in call.project.groups:
            raise Refusal(f"The data access group '{group}' does not exist")
        group = group if "data_access_group" in row else user.group
        call.project.users[user.username] = replace(user, role=role, group=group)
    call.note("manage", "Manage/Design ", "Import user role assignments (API)")
    return call.text(len(rows))


def _known_user(project: Project, row: Mapping[str, str]) -> User:
    name = row.get("username", "").strip()
    if name not in project.users:
        raise Refusal(f"The following users do not exist in the project: {name}")
    return project.users[name]


def import_groups(call: Call) -> Answer:
    """content=dag&action=import; a blank unique name makes a group, a new label gives a group another unique name."""
    _require_groups(call)
    rows, project = texts(rows_of(call.parameters)), call.project
    pairs = [(row.get("data_access_group_name", "").strip(), row.get("unique_group_name", "").strip()) for row in rows]
    unknown = [name for _, name in pairs if name and name not in project.groups]
    if unknown:
        raise Refusal(f"The data access group '{unknown[0]}' does not exist")
    if not all(label for label, _ in pairs):
        raise Refusal("Each data access group must have a data_access_group_name")
    ids = {name: group.group_id for name, group in project.groups.items()}
    for label, name in pairs:
        if name:
            # Found by its id: an earlier row may have given the group another name.
            known = next(group.unique_name for group in project.groups.values() if group.group_id == ids[name])
            relabel_group(project, known, label)
        else:
            made = unique_group_name(label, project.groups)
            project.add_group(made, label)
    call.note("manage", "Manage/Design ", "Import DAGs (API)")
    return call.text(len(rows))


def delete_groups(call: Call) -> Answer:
    """content=dag&action=delete; users and records in them are left without."""
    _require_groups(call)
    names = call.named("dags")
    unknown = [name for name in names if name not in call.project.groups]
    if unknown:
        raise Refusal(f"The following data access groups do not exist: {', '.join(unknown)}")
    for name in names:
        del call.project.groups[name]
    for user in [user for user in call.project.users.values() if user.group in names]:
        call.project.users[user.username] = replace(user, group="")
    for record in [record for record in call.project.records if record.group in names]:
        call.project.records.put(replace(record, group=""))
    call.note("manage", "Manage/Design ", "Delete DAGs (API)")
    return call.text(len(names))


def switch_group(call: Call) -> Answer:
    """content=dag&action=switch: the token's user moves, and what they see from now on with them."""
    name = call.parameters.text("dag").strip()
    if name and name not in call.project.groups:
        raise Refusal(f"The data access group '{name}' does not exist")
    user = call.project.user(call.username)
    call.project.users[call.username] = replace(user, group=name)
    call.note("manage", "Manage/Design ", "Switch DAG (API)")
    return call.text(1)


def import_group_mapping(call: Call) -> Answer:
    """content=userDagMapping&action=import; a blank group takes the user out of theirs."""
    _require_groups(call)
    rows = texts(rows_of(call.parameters))
    require_keys(rows, "redcap_data_access_group")
    for row in rows:
        user, group = _known_user(call.project, row), row.get("redcap_data_access_group", "").strip()
        if group and group not in call.project.groups:
            raise Refusal(f"The data access group '{group}' does not exist")
        call.project.users[user.username] = replace(user, group=group)
    call.note("manage", "Manage/Design ", "Import User-DAG assignments (API)")
    return call.text(len(rows))
