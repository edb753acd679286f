"""Methods about users, user roles and data access groups."""

from collections.abc import Sequence

from redcap_source import model
from redcap_source.methods.caller import Caller
from redcap_source.protocol.import_data import Rows
from redcap_source.protocol.request import Request, change


class UserMethods(Caller):
    """users, user_roles, user_role_assignments, data_access_groups, data_access_group_assignments, their imports and
    deletes, and switch_data_access_group.
    """

    # --- Users ---

    def users(self) -> tuple[model.User, ...]:
        """The project's users and their rights; the token's user needs the User Rights right."""
        return self._items(model.User, Request("user"))

    def import_users(self, users: Rows, *, format: str = "json") -> int:
        """Add users or change their rights; what is not mentioned is unchanged."""
        return self._import("user", "", users, format)

    def delete_users(self, users: Sequence[str]) -> int:
        """Remove users from the project."""
        return self._delete("user", "users", users)

    # --- Roles ---

    def user_roles(self) -> tuple[model.UserRole, ...]:
        """The project's user roles and their rights."""
        return self._items(model.UserRole, Request("userRole"))

    def import_user_roles(self, roles: Rows, *, format: str = "json") -> int:
        """Add roles, or change those whose unique names are given."""
        return self._import("userRole", "", roles, format)

    def delete_user_roles(self, roles: Sequence[str]) -> int:
        """Delete roles, by their unique names."""
        return self._delete("userRole", "roles", roles)

    def user_role_assignments(self) -> tuple[model.RoleAssignment, ...]:
        """Each user's role; users without one are listed with a blank."""
        return self._items(model.RoleAssignment, Request("userRoleMapping"))

    def import_user_role_assignments(self, rows: Rows, *, format: str = "json") -> int:
        """Assign roles to users; a blank role removes the assignment."""
        return self._import("userRoleMapping", "import", rows, format)

    # --- Data access groups ---

    def data_access_groups(self) -> tuple[model.DataAccessGroup, ...]:
        """The project's data access groups."""
        return self._items(model.DataAccessGroup, Request("dag"))

    def import_data_access_groups(self, groups: Rows, *, format: str = "json") -> int:
        """Add data access groups, or rename those whose unique names are given."""
        return self._import("dag", "import", groups, format)

    def delete_data_access_groups(self, groups: Sequence[str]) -> int:
        """Delete data access groups, by their unique names."""
        return self._delete("dag", "dags", groups)

    def data_access_group_assignments(self) -> tuple[model.DataAccessGroupAssignment, ...]:
        """Each user's data access group; blank for users who see every record."""
        return self._items(model.DataAccessGroupAssignment, Request("userDagMapping"))

    def import_data_access_group_assignments(self, rows: Rows, *, format: str = "json") -> int:
        """Assign users to data access groups; a blank group removes the assignment."""
        return self._import("userDagMapping", "import", rows, format)

    def switch_data_access_group(self, group: str) -> None:
        """Move the token's own user to another group, for good: later exports return that group's records."""
        self._count(change("dag", "switch", {"dag": group}))
