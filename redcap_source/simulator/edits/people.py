"""Edits of the people of a project: users, roles, rights, tokens, data access groups; and the pages they open.

The texts of the log are those that the public test suite redcap_rsvc and public R packages list.
"""

from __future__ import annotations

from dataclasses import replace

from redcap_source.simulator.edits.base import DESIGNER, NURSE, HandleBase
from redcap_source.simulator.state.log import PAGE_VIEW
from redcap_source.simulator.state.users import ALL_RIGHTS, FULL_EXPORT, Role, User


class PeopleEdits(HandleBase):
    """Edits of users, tokens and groups. Rights are keywords under the names of the user export."""

    def add_dag(self, name: str, *, user: str = DESIGNER) -> None:
        """Add a data access group, if it is new."""
        if name not in self.project.groups:
            self.project.add_group(name)
            self._log(user, "manage", "Manage/Design", f"Create data access group group = '{name}'")

    def add_role(self, label: str, *, user: str = DESIGNER, **rights: int) -> str:
        """Add a user role with every right but those given otherwise; return its unique name."""
        name = f"U-{len(self.project.roles):010}"
        forms = dict.fromkeys(self.project.dictionary.forms, 1)
        self.project.roles[name] = Role(name, label, ALL_RIGHTS | rights, forms, forms)
        self._log(user, "user", "Create user role", f"role = '{label}'")
        return name

    def change_role(self, name: str, label: str | None = None, *, user: str = DESIGNER, **rights: int) -> None:
        """Change the label and rights of a role, and with them the rights of its users."""
        role = self.project.roles[name]
        self.project.roles[name] = replace(role, label=label or role.label, rights=role.rights | rights)
        self._log(user, "user", "Edit user role", f"role = '{label or role.label}'")

    def assign_role(self, username: str, role: str, *, user: str = DESIGNER) -> None:
        """Give a user a role, by its unique name; a blank takes it away."""
        self.project.users[username] = replace(self.project.users[username], role=role)
        action = f"User assigned to role {role}" if role else "User removed from user role"
        self._log(user, "user", action, f"user = '{username}'")

    def remove_user(self, username: str, *, user: str = DESIGNER) -> None:
        """Remove a user from the project."""
        del self.project.users[username]
        self._log(user, "user", f"Delete user {username}", f"user = '{username}'")

    def change_profile(self, username: str, *, email: str) -> None:
        """The user changes the address of the account, outside of all projects: no project's log shows it."""
        self.project.users[username] = replace(self.project.users[username], email=email)

    def add_user(
        self, username: str, *, token: str | None = None, dag: str = "", forms_export: int = FULL_EXPORT, **rights: int
    ) -> str:
        """Add a user with every right but those given otherwise; return the user's token."""
        if dag:
            self.add_dag(dag)
        forms = dict.fromkeys(self.project.dictionary.forms, 1)
        exports = dict.fromkeys(self.project.dictionary.forms, forms_export)
        self.project.users[username] = User(
            username, group=dag, rights=ALL_RIGHTS | rights, forms=forms, forms_export=exports
        )
        self._log(DESIGNER, "user", f"Add user {username}", f"user = '{username}'")
        return self.site.add_token(self.project.name, username, token)

    def set_rights(
        self, username: str | None = None, *, dag: str | None = None, forms_export: int | None = None, **rights: int
    ) -> None:
        """Change what a user may do; without a name, the user of the handle's token."""
        user = self.project.users[username or self.project.api_user]
        forms = self.project.dictionary.forms
        if user.everything:
            everything = dict.fromkeys(forms, 1)
            user = replace(user, everything=False, rights=dict(ALL_RIGHTS), forms=everything, forms_export=everything)
        if forms_export is not None:
            user = replace(user, forms_export=dict.fromkeys(forms, forms_export))
        if dag is not None and dag != user.group:
            details = f"user = '{user.username}', group = '{dag or user.group}'"
            action = "Assign user to data access group" if dag else "Remove user from data access group"
            self._log(DESIGNER, "manage", "Manage/Design", f"{action} {details}")
            user = replace(user, group=dag)
        self.project.users[user.username] = replace(user, rights=user.rights | rights)
        if rights or forms_export is not None:
            self._log(DESIGNER, "user", f"Edit user {user.username}", f"user = '{user.username}'")

    def open_page(self, page: str, user: str = NURSE) -> None:
        """Open a page of the project; the log keeps page views apart from everything else."""
        address = f"{self.site.url.removesuffix('api/')}{page.lstrip('/')}"
        self._log(user, "page_view", PAGE_VIEW, address)
