"""Requests that change people: users, roles, data access groups and their members."""

from __future__ import annotations

import secrets
import string
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from redcap_source.simulator.api.call import WITHOUT_RIGHT, Answer, Call
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.rules.renaming import relabel_group
from redcap_source.simulator.state.names import unique_group_name
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.users import OPTIONAL_RIGHTS, RIGHTS, Role, User
from redcap_source.simulator.whole_numbers import whole_number
from redcap_source.simulator.wire.import_data import Row, mapping_of, require_keys, rows_of, texts

NO_USERS = "The following users do not exist in the project"
NO_ROLES = "Invalid Unique Role Names"
NO_GROUPS = "The following data access groups do not exist"
_ALL = (*RIGHTS, *OPTIONAL_RIGHTS)


def _require_users(call: Call) -> None:
    call.require("api_import", "user_rights")


def _require_groups(call: Call) -> None:
    call.require("api_import")
    refuse_grouped(call)
    call.require("data_access_groups")


def refuse_grouped(call: Call) -> None:
    """Refuse users in a data access group, unless they are administrators, who may do everything.

    PHPCap's suite moves the first user listed, an administrator, into a group and then asks about groups.
    """
    user = call.project.user(call.username)
    if user.group and not user.everything:
        raise Refusal(WITHOUT_RIGHT["data_access_groups"], 403)


def import_users(call: Call) -> Answer:
    """content=user with data: change users or add them; rights not mentioned stay, and new users have none."""
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
        call.log("user", f"{verb} user {name}", f"user = '{name}'")
    return call.text(len(rows))


def _text(row: Row, key: str) -> str:
    cell = row.get(key, "")
    return cell.strip() if isinstance(cell, str) else ""


def _user_with(project: Project, user: User, row: Row) -> User:
    group = _known_group(project, _text(row, "data_access_group"))
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
    # A list of rights replaces the old one: an instrument that is left out, or blank, gets no access.
    kept = {} if key in row else old
    return {**others, **kept, **{form: int(right) for form, right in given.items() if whole_number(right) is not None}}


def delete_users(call: Call) -> Answer:
    """content=user&action=delete: remove users from the project."""
    _require_users(call)
    names = call.named("users")
    _refuse_unknown(names, call.project.users, NO_USERS)
    for name in names:
        del call.project.users[name]
        call.log("user", f"Delete user {name}", f"user = '{name}'")
    return call.text(len(names))


def import_roles(call: Call) -> Answer:
    """content=userRole with data: change the roles whose unique name is given, add the others."""
    _require_users(call)
    rows = rows_of(call.parameters)
    _refuse_unknown(filter(None, (_text(row, "unique_role_name") for row in rows)), call.project.roles, NO_ROLES)
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
        call.log("user", "Edit user role", f"role = '{call.project.roles[name].label}'")
    return call.text(len(rows))


def _new_role_name() -> str:
    return "U-" + "".join(secrets.choice(string.digits + string.ascii_uppercase) for _ in range(10))


def delete_roles(call: Call) -> Answer:
    """content=userRole&action=delete; their users have their own rights again."""
    _require_users(call)
    names = call.named("roles")
    _refuse_unknown(names, call.project.roles, NO_ROLES)
    for name in names:
        del call.project.roles[name]
        for user in [user for user in call.project.users.values() if user.role == name]:
            call.project.users[user.username] = replace(user, role="")
        call.log("user", "Delete user role", f"role = '{name}'")
    return call.text(len(names))


def import_role_mapping(call: Call) -> Answer:
    """content=userRoleMapping&action=import: assign roles; a blank one removes the user from theirs."""
    _require_users(call)
    rows = texts(rows_of(call.parameters))
    require_keys(rows, "unique_role_name")
    for row in rows:
        user = _known_user(call.project, row)
        role = row.get("unique_role_name", "").strip()
        _refuse_unknown(filter(None, (role,)), call.project.roles, NO_ROLES)
        group = _known_group(call.project, row.get("data_access_group", "").strip())
        group = group if "data_access_group" in row else user.group
        call.project.users[user.username] = replace(user, role=role, group=group)
    call.log("manage", "Manage/Design ", "Import user role assignments (API)")
    return call.text(len(rows))


def _known_user(project: Project, row: Mapping[str, str]) -> User:
    name = row.get("username", "").strip()
    _refuse_unknown((name,), project.users, NO_USERS)
    return project.users[name]


def _known_group(project: Project, name: str) -> str:
    """The unique name of a group, or a blank for none; an unknown name is refused."""
    if name and name not in project.groups:
        raise Refusal(f"The data access group '{name}' does not exist")
    return name


def _refuse_unknown(names: Iterable[str], known: Container[str], text: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refusal(f"{text}: {', '.join(unknown)}")


def import_groups(call: Call) -> Answer:
    """content=dag&action=import: a blank unique name adds a group, a new label changes a group's unique name."""
    _require_groups(call)
    rows, project = texts(rows_of(call.parameters)), call.project
    pairs = [(row.get("data_access_group_name", "").strip(), row.get("unique_group_name", "").strip()) for row in rows]
    for _, name in pairs:
        _known_group(project, name)
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
    call.log("manage", "Manage/Design ", "Import DAGs (API)")
    return call.text(len(rows))


def delete_groups(call: Call) -> Answer:
    """content=dag&action=delete; their users and records are then in no group."""
    _require_groups(call)
    names = call.named("dags")
    _refuse_unknown(names, call.project.groups, NO_GROUPS)
    for name in names:
        del call.project.groups[name]
    for user in [user for user in call.project.users.values() if user.group in names]:
        call.project.users[user.username] = replace(user, group="")
    for record in [record for record in call.project.records if record.group in names]:
        call.project.records.put(replace(record, group=""))
    call.log("manage", "Manage/Design ", "Delete DAGs (API)")
    return call.text(len(names))


def switch_group(call: Call) -> Answer:
    """content=dag&action=switch: move the token's user to another group, whose records they see from then on."""
    name = _known_group(call.project, call.parameters.text("dag").strip())
    user = call.project.user(call.username)
    call.project.users[call.username] = replace(user, group=name)
    call.log("manage", "Manage/Design ", "Switch DAG (API)")
    return call.text(1)


def import_group_mapping(call: Call) -> Answer:
    """content=userDagMapping&action=import: assign groups; a blank one removes the user from theirs."""
    _require_groups(call)
    rows = texts(rows_of(call.parameters))
    require_keys(rows, "redcap_data_access_group")
    for row in rows:
        user = _known_user(call.project, row)
        group = _known_group(call.project, row.get("redcap_data_access_group", "").strip())
        call.project.users[user.username] = replace(user, group=group)
    call.log("manage", "Manage/Design ", "Import User-DAG assignments (API)")
    return call.text(len(rows))
