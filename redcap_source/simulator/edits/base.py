"""The base class of all edits: the project, and look-ups of its parts by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.rules.saving import By
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.log import Kind
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot
from redcap_source.simulator.state.site import Site

# Who edits records and who changes the design, unless a user is named.
NURSE = "nurse1"
DESIGNER = "designer1"


@dataclass(frozen=True)
class HandleBase:
    """A project of a server, and a token for it."""

    site: Site
    project: Project
    token: str = field(repr=False)

    def _by(self, user: str) -> By:
        return By(user, self.site.clock)

    def _log(self, user: str, kind: Kind, action: str, details: str = "", record: str = "") -> None:
        self.project.log.add(self._by(user).row(kind, action, details, record))

    def _record(self, record: str) -> Record:
        found = self.project.records.get(record)
        if found is None:
            raise SimulatorError(f"There is no record '{record}' in project '{self.project.name}'.")
        return found

    def _event(self, name: str | None) -> Event:
        if name is None:
            return self.project.first_event()
        event = self.project.event_named(name)
        if event is None:
            raise SimulatorError(f"There is no event '{name}' in project '{self.project.name}'.")
        return event

    def _slot(self, event: str | None, instrument: str | None, instance: int | None, columns: tuple[str, ...]) -> Slot:
        """Where the data of an instrument are stored; without one, of the first of these columns that is known."""
        event_id = self._event(event).event_id
        named = self.project.dictionary.column_named
        form = instrument or next((named[name].form for name in columns if name in named), "")
        return self.project.slot_of(event_id, form, instance or 1)
