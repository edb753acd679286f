"""The handle through which tests and scripts use a project of the simulator."""

from __future__ import annotations

from redcap_source.simulator.edits.design import DesignEdits
from redcap_source.simulator.edits.people import PeopleEdits
from redcap_source.simulator.edits.records import RecordEdits


class ProjectHandle(RecordEdits, DesignEdits, PeopleEdits):
    """A project on the simulator: its token and number for clients, and everything that people can do to it."""

    @property
    def name(self) -> str:
        """The name under which the simulator keeps it."""
        return self.project.name

    @property
    def project_id(self) -> int:
        """Its number on the server."""
        return self.project.project_id

    @property
    def title(self) -> str:
        """Its title."""
        return self.project.title
