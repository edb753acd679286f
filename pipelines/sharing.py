"""Who may read the published file: a mode and a group, as projects.yaml gives them. Pure.

Not here: how a mode is written in the file (config/values.py), and how a file is given its mode and group
(warehouse/publishing/sharing.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sharing:
    """The mode of the published file and the name of its group; by default only its owner reads it."""

    mode: int = 0o600
    group: str = ""
    """Empty for the group that the system gives to new files."""

    @property
    def with_group(self) -> bool:
        """Whether the group may read the file."""
        return bool(self.mode & 0o040)

    @property
    def with_all(self) -> bool:
        """Whether every user of the machine may read the file."""
        return bool(self.mode & 0o004)


PRIVATE = Sharing()
