"""Working versions: which object in the shared place is each project's newest mirror, and who may replace it.

Not here: the objects themselves, and copies on this machine.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pipelines.coordination.connection import Row, Values
from pipelines.coordination.sql import statements
from pipelines.errors import Superseded


@dataclass(frozen=True, slots=True)
class WorkingVersion:
    """The newest version of a project's mirror that was checked in."""

    project: str
    version: int
    object: str
    """The name of the object in the shared place that holds it."""
    sha256: str
    bytes: int
    run_id: str
    """The run whose load it ends with."""
    checked_in_at: datetime
    loader: str
    """Who checked it in: host and process."""
    status: Mapping[str, Any] | None
    """What the status of the project shows, as `check_in` was given it; times are texts."""
    waiting_run: str | None
    """The run that waits to be published, if one does."""
    published: Mapping[str, Any] | None
    """A copy of what the published warehouse says about the project."""
    published_version: int | None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """That a project was forgotten."""

    version: int
    """Every version before this one is of what was removed."""
    again: bool
    """Whether a project of that name was loaded since."""


class UsesSession(ABC):
    """What runs statements over a session whose schema was made."""

    loader: str
    """This process in messages and rows: host and process."""

    @abstractmethod
    def _run(self, statement: str, values: Values | None = None) -> list[Row]:
        """The rows of a statement that may be run twice."""

    def _project_id(self, project: str) -> int:
        """The number of the project's row, which is made if there is none."""
        sql, values = statements("versions"), {"project": project}
        found = self._run(sql["project_id"], values)
        if not found:
            self._run(sql["add_project"], values)
            found = self._run(sql["project_id"], values)
        return int(found[0][0])


class Versions(UsesSession):
    """Reads and replaces working versions."""

    _store_id = ""

    def working(self, project: str) -> WorkingVersion | None:
        """The project's newest version, or None if it has none."""
        found = self._run(statements("versions")["working"], {"project": project})
        return WorkingVersion(*found[0]) if found else None

    def all_working(self) -> dict[str, WorkingVersion]:
        """The newest version of every project that has one."""
        rows = self._run(statements("versions")["working"], {"project": None})
        return {row[0]: WorkingVersion(*row) for row in rows}

    def check_in(
        self,
        project: str,
        *,
        after: int,
        object: str,
        sha256: str,
        size: int,
        run_id: str,
        status: Mapping[str, object] | None,
    ) -> int:
        """Make an object the project's newest version, and return its number.

        `after` is the version that was checked out, 0 for none; Superseded if it is no longer the newest. The name of
        an object is never used twice: where it is the newest already, a check-in whose answer was lost is repeated,
        and its number returned. Without a `status` the last one stays.
        """
        self._project_id(project)
        sql = statements("versions")
        values = {
            "project": project, "after": after, "object": object, "sha256": sha256, "bytes": size,
            "run_id": run_id, "loader": self.loader, "status": as_json(status),
        }  # fmt: skip
        done = self._run(sql["check_in"], values)
        if done:
            return int(done[0][0])
        version, newest = self._run(sql["newest"], {"project": project})[0]
        if newest == object:
            return int(version)
        raise Superseded(project=project, after=after, newest=int(version))

    def forget(self, project: str) -> None:
        """Forget everything about the project but its name and that its old versions are no longer the newest."""
        self._run(statements("versions")["forget"], {"project": project})

    def forgotten(self) -> dict[str, Forgotten]:
        """The projects that were forgotten, those included that were loaded again since."""
        return {project: Forgotten(*found) for project, *found in self._run(statements("versions")["forgotten"])}

    def store_id(self) -> str:
        """Which store this is, whatever its URL; a copy of a mirror says which one it was made from."""
        if not self._store_id:
            self._store_id = str(self._run(statements("versions")["store"])[0][0])
        return self._store_id

    def is_signed(self) -> bool:
        """Whether the shared place got the sign of this store."""
        return bool(self._run(statements("versions")["is_signed"])[0][0])

    def sign(self) -> None:
        """Say that it has the sign."""
        self._run(statements("versions")["sign"])


def as_json(value: Mapping[str, object] | None) -> str | None:
    """The mapping as JSON; times in ISO form. What PostgreSQL cannot keep, NUL and half a character, becomes a mark."""
    if value is None:
        return None
    text = json.dumps(dict(value), default=_plain, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
    # An escaped backslash before u0000 is no NUL.
    return re.sub(r"(\\\\)|\\u0000", lambda found: found[1] or "\N{REPLACEMENT CHARACTER}", text)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be kept as JSON")
