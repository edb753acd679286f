"""Where the warehouse is: in this store, on its way into it or out of it, or moved out.

While it is not wholly in this store, only the folder that moves it may hold projects. Not here: moving it
(pipelines.warehouse.moving).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from pipelines.coordination.sql import statements
from pipelines.coordination.versions import UsesSession
from pipelines.errors import MovedAway

MOVING_IN, MOVING_OUT, MOVED_OUT = "moving in", "moving out", "moved out"


@dataclass(frozen=True, slots=True)
class Location:
    """That the warehouse is not wholly in this store."""

    state: str
    """MOVING_IN, MOVING_OUT or MOVED_OUT."""
    folder_id: str
    """The id of the warehouse folder that moves it, or to which it was moved."""
    place: str
    """The host and path of that folder, for messages."""
    since: datetime


class Locations(UsesSession):
    """Reads and changes the location."""

    _mover: str | None = None

    def location(self) -> Location | None:
        """Where the warehouse is; None if it is in this store."""
        found = self._run(statements("location")["read"])
        return Location(*found[0]) if found else None

    def set_location(self, state: str, folder_id: str, place: str) -> None:
        """Say where the warehouse is; MovedAway if another folder moves it or has it."""
        values = {"state": state, "folder_id": folder_id, "place": place}
        self._run(statements("location")["save"], values)
        found = self.location()
        if found is not None and found.folder_id != folder_id:
            raise moved_away(found)

    def clear_location(self, folder_id: str) -> None:
        """Say that the warehouse is in this store."""
        self._run(statements("location")["remove"], {"folder_id": folder_id})

    @contextmanager
    def moving(self, folder_id: str) -> Iterator[None]:
        """Inside, this process may hold projects while the folder of this id moves the warehouse."""
        before, self._mover = self._mover, folder_id
        try:
            yield
        finally:
            self._mover = before

    def check_location(self) -> None:
        """MovedAway if the warehouse is not in this store, and this process does not move it."""
        found = self.location()
        if found is not None and found.folder_id != self._mover:
            raise moved_away(found)


def moved_away(location: Location) -> MovedAway:
    """The error for what needs the warehouse in this store."""
    return MovedAway(
        what="the store of projects.yaml",
        done=location.state,
        place=location.place,
        since=location.since,
        remedy="Load in that folder, with a projects.yaml without `store:`.",
    )
