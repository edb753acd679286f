"""Which projects wait to be published, what was published of each, and the key that identifiers are hashed with."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.coordination.sql import statements
from pipelines.coordination.versions import UsesSession, as_json


class Marks(UsesSession):
    """Reads and writes marks, and the key."""

    def mark_loaded(self, project: str, run: str) -> None:
        """Mark the project as waiting to be published."""
        self._project_id(project)
        self._run(statements("marks")["mark_loaded"], {"project": project, "run": run})

    def unmark(self, project: str) -> None:
        """Remove the mark: the project is being changed and cannot be published before its next good load."""
        self._run(statements("marks")["unmark"], {"project": project})

    def mark_published(self, project: str, run: str, version: int, published: Mapping[str, object] | None) -> None:
        """Remove the mark of a load that has been published, and keep what was published; a later load's mark stays."""
        self._project_id(project)
        values = {"project": project, "run": run, "version": version, "published": as_json(published)}
        self._run(statements("marks")["mark_published"], values)

    def unpublished(self) -> dict[str, str]:
        """Projects loaded since the last publish, with the run that loaded them."""
        return dict(self._run(statements("marks")["unpublished"]))

    def hash_key(self) -> str | None:
        """The key that identifiers are hashed with, or None if none was made."""
        found = self._run(statements("marks")["hash_key"])
        return str(found[0][0]) if found else None

    def make_hash_key(self, key: str) -> str:
        """Keep the key if there is none, and return the one that holds: the first."""
        self._run(statements("marks")["make_hash_key"], {"key": key})
        return str(self._run(statements("marks")["hash_key"])[0][0])
