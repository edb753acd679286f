"""Edits of the people of a project: users, their rights and tokens, data access groups; and the pages they open."""

from __future__ import annotations

from dataclasses import replace

from redcap_source.simulator.edits.base import NURSE, HandleBase
from redcap_source.simulator.state.log import PAGE_VIEW
from redcap_source.simulator.state.users import ALL_RIGHTS, FULL_EXPORT, User


class PeopleEdits(HandleBase):
    """Edits of users, tokens and groups. Rights are keywords under the names of the user export."""

    def add_dag(self, name: str) -> None:
        """Add a data access group, if it is new."""
        self.project.add_group(name)

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
        if dag is not None:
            user = replace(user, group=dag)
        self.project.users[user.username] = replace(user, rights=user.rights | rights)

    def open_page(self, page: str, user: str = NURSE) -> None:
        """Open a page of the project; the log keeps page views apart from everything else."""
        address = f"{self.site.url.removesuffix('api/')}{page.lstrip('/')}"
        self._log(user, "page_view", PAGE_VIEW, address)
