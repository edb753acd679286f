"""Places after their first nights, which are made once: a test begins with a copy of the folder, on the same server."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from redcap_source.simulator import Simulator
from tests.support.edits import People, small_study
from tests.support.place import NAME, Clocks, Place

# A Tuesday.
BEGIN = datetime(2025, 6, 10, 3, tzinfo=UTC)


@dataclass
class BegunPlace:
    """A place with a past, and the people who work on its project."""

    place: Place
    people: People
    nights: Callable[[Place], None]
    """What makes the past."""
    moment: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.moment = self.place.clocks.moment
        self.place.simulator.save_state(self.place.folder / "state")

    def again(self, folder: Path, store_settings: str = "") -> Place:
        """The place as it was then, in a folder of its own; what was done to it since is undone on the server.

        With another store, its past is made again.
        """
        simulator, clocks = self.place.simulator, self.place.clocks
        simulator.load_state(self.place.folder / ("before" if store_settings else "state"))
        simulator.faults.clear()
        simulator.requests.clear()
        if store_settings:
            clocks.moment, clocks.client_off = BEGIN, timedelta(0)
            return _with_a_past(
                Place(folder, simulator, clocks, store_settings=store_settings), self.people.token, self.nights
            )
        clocks.moment, clocks.client_off = self.moment, timedelta(0)
        shutil.copytree(self.place.warehouse.path, folder / "warehouse")
        place = replace(self.place, folder=folder, nights=list(self.place.nights))
        known = dict(self.people.now_known)
        place.people = replace(
            self.people, handle=place.handle, now_known=known, numbers=count(1), field_numbers=count(1)
        )
        return place


@contextmanager
def begun_place(folder: Path, kind: str, nights: Callable[[Place], None]) -> Iterator[BegunPlace]:
    """A place in a folder, with the people who work on it in `place.people`, and the nights that it has behind it."""
    clocks = Clocks(BEGIN)
    with Simulator(clock=clocks.server) as simulator:
        handle = simulator.add_project(small_study(kind), name=NAME)
        token = handle.add_user("importer")
        simulator.save_state(folder / "before")
        place = _with_a_past(Place(folder, simulator, clocks), token, nights)
        yield BegunPlace(place, place.people, nights)


def _with_a_past(place: Place, token: str, nights: Callable[[Place], None]) -> Place:
    place.people = People(place.handle, place.simulator.url, token)
    nights(place)
    return place
