"""Users, roles and data access groups as tables, with the types of values that were recorded."""

from __future__ import annotations

from redcap_source.simulator.api.call import Call
from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.users import ORDER, RANDOMIZATION_RIGHTS, Rights, User
from redcap_source.simulator.versions import EXPORT_RIGHTS_BY_INSTRUMENT, RIGHTS_SINCE, is_from, is_known, keys_known
from redcap_source.simulator.wire.formats import Row, Table

# Levels of the right to export, the narrowest first.
_FROM_NARROW = (0, 2, 3, 1)
# Rights to view an instrument as servers since 15.6 write them.
_FORM_CODES = {0: 128, 1: 130, 2: 129, 3: 138}


def users(call: Call) -> Table:
    """The users with their effective rights."""
    project, version = call.project, call.site.version
    people = ["username", "email", "firstname", "lastname", "expiration"]
    groups = ["data_access_group", "data_access_group_id", "data_access_group_label"]
    names = [*people, *groups, *_right_names(project, version), *_instrument_keys(version)]
    keys = keys_known("user", names, version)
    rows = [_user_row(project, user, call.behaviour, version) for user in project.users.values()]
    return Table(keys, [{key: row[key] for key in keys} for row in rows], root="users", csv_end="")


def _instrument_keys(version: str) -> tuple[str, str]:
    return ("forms", "forms_export") if is_from(version, EXPORT_RIGHTS_BY_INSTRUMENT) else ("data_export", "forms")


def _right_names(project: Project, version: str) -> list[str]:
    """The rights that a server lists: those of its version; some only where the project uses what they are about."""
    left_out: set[str] = set()
    if not project.mycap_enabled:
        left_out.add("mycap_participants")
    if not project.data_resolution_enabled:
        left_out.add("data_quality_resolution")
    if not project.settings["randomization_enabled"]:
        left_out.update(RANDOMIZATION_RIGHTS)
    return [right for right in ORDER if right not in left_out and is_known(RIGHTS_SINCE, right, version)]


def _user_row(project: Project, user: User, behaviour: Behaviour, version: str) -> Row:
    rights = project.rights_of(user.username)
    group = project.groups.get(user.group)
    return {
        "username": user.username,
        "email": user.email,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "expiration": user.expiration,
        "data_access_group": user.group,
        "data_access_group_id": group.group_id if group else "",
        "data_access_group_label": group.label if group else "",
        **{right: _value(rights, right) for right in _right_names(project, version)},
        **_form_rights(project, rights, behaviour),
    }


def _value(rights: Rights, right: str) -> int:
    return rights.rights.get(right, 1 if rights.everything else 0)


def _form_rights(project: Project, rights: Rights, behaviour: Behaviour) -> dict[str, dict[str, int] | int]:
    """Rights to view and to export by instrument, and the one right to export that older servers have."""
    # In the order in which they were given, also of instruments that no longer exist.
    everywhere = dict.fromkeys(project.dictionary.forms, 1) if rights.everything else {}
    views = {**everywhere, **rights.forms}
    if behaviour.form_right_codes == "since_15_6":
        views = {form: _FORM_CODES.get(right, right) for form, right in views.items()}
    exports = {**everywhere, **rights.forms_export}
    # Older servers have one right for all instruments; this is the narrowest.
    narrowest = min(exports.values(), key=_FROM_NARROW.index, default=0)
    return {"forms": views, "forms_export": exports, "data_export": narrowest}


def roles(call: Call) -> Table:
    """The user roles and their rights."""
    project, behaviour, version = call.project, call.behaviour, call.site.version
    names = _right_names(project, version)
    keys = ["unique_role_name", "role_label", *names, *_instrument_keys(version)]
    rows: list[Row] = []
    for role in project.roles.values():
        rights = Rights(role.rights, role.forms, role.forms_export)
        shown = str if behaviour.role_values == "text" else int
        values = {right: shown(role.rights.get(right, 0)) for right in names}
        row: dict[str, object] = {"unique_role_name": role.unique_name, "role_label": role.label, **values}
        rows.append({**row, **_form_rights(project, rights, behaviour)})  # type: ignore[dict-item]
    return Table(keys, [{key: row[key] for key in keys} for row in rows], root="userRoles", csv_end="")


def role_mapping(call: Call) -> Table:
    """The role of each user."""
    keys = keys_known("userRoleMapping", ("username", "unique_role_name", "data_access_group"), call.site.version)
    rows: list[Row] = [
        {"username": user.username, "unique_role_name": user.role, "data_access_group": user.group}
        for user in call.project.users.values()
    ]
    return Table(keys, [{key: row[key] for key in keys} for row in rows], root="items")


def groups(call: Call) -> Table:
    """The data access groups."""
    names = ("data_access_group_name", "unique_group_name", "data_access_group_id")
    keys = keys_known("dag", names, call.site.version)
    rows: list[Row] = [
        {
            "data_access_group_name": group.label,
            "unique_group_name": group.unique_name,
            "data_access_group_id": group.group_id,
        }
        for group in call.project.groups.values()
    ]
    return Table(keys, [{key: row[key] for key in keys} for row in rows], root="dags")


def group_mapping(call: Call) -> Table:
    """The data access group of each user."""
    rows: list[Row] = [
        {"username": user.username, "redcap_data_access_group": user.group} for user in call.project.users.values()
    ]
    return Table(("username", "redcap_data_access_group"), rows, root="items")
