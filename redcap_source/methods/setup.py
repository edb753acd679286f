"""Methods about a project's structure: data dictionary, instruments, arms, events, repeating setup."""

from collections.abc import Sequence

from redcap_source import model
from redcap_source.methods.options import as_list
from redcap_source.methods.outline import Outline
from redcap_source.methods.projects import ProjectMethods
from redcap_source.protocol.import_data import Rows
from redcap_source.protocol.request import Request


class SetupMethods(ProjectMethods):
    """data_dictionary, export_field_names, instruments, arms, events, form_event_mapping, repeating_forms_events,
    their imports and deletes, and outline.
    """

    def data_dictionary(self, fields: Sequence[str] = (), forms: Sequence[str] = ()) -> tuple[model.Field, ...]:
        """The data dictionary (REDCap's `metadata`), of all fields or of those named and those of the forms."""
        parameters = {"fields": as_list("fields", fields), "forms": as_list("forms", forms)}
        return self._items(model.Field, Request("metadata", parameters=parameters))

    def import_data_dictionary(self, fields: Rows, *, format: str = "json") -> int:
        """Replace the whole data dictionary; fields that are not in it are lost with their data. Development only."""
        return self._import("metadata", "", fields, format)

    def export_field_names(self, field: str | None = None) -> tuple[model.ExportFieldName, ...]:
        """The columns of a record export, which differ from the fields for checkboxes; file fields are not listed."""
        return self._items(model.ExportFieldName, Request("exportFieldNames", parameters={"field": field}))

    def instruments(self) -> tuple[model.Instrument, ...]:
        """The instruments, in the project's order."""
        return self._items(model.Instrument, Request("instrument"))

    def arms(self, arms: Sequence[str | int] = ()) -> tuple[model.Arm, ...]:
        """The arms that have events; none in a classic project."""
        return self._items_or_none(model.Arm, Request("arm", parameters={"arms": arms}))

    def import_arms(self, arms: Rows, *, override: bool = False, format: str = "json") -> int:
        """Add or rename arms; with `override` delete all that are not given."""
        return self._import("arm", "import", arms, format, override=int(override))

    def delete_arms(self, arms: Sequence[int | str]) -> int:
        """Delete arms with their events and data."""
        return self._delete("arm", "arms", arms)

    def events(self, arms: Sequence[str | int] = ()) -> tuple[model.Event, ...]:
        """The events of all arms or of those given; none in a classic project."""
        return self._items_or_none(model.Event, Request("event", parameters={"arms": arms}))

    def import_events(self, events: Rows, *, override: bool = False, format: str = "json") -> int:
        """Add or change events; with `override` delete all that are not given."""
        return self._import("event", "import", events, format, override=int(override))

    def delete_events(self, events: Sequence[str]) -> int:
        """Delete events, by their unique names, with their data."""
        return self._delete("event", "events", events)

    def form_event_mapping(self, arms: Sequence[str | int] = ()) -> tuple[model.FormEvent, ...]:
        """Which instruments are designated for which events; none in a classic project."""
        return self._items_or_none(model.FormEvent, Request("formEventMapping", parameters={"arms": arms}))

    def import_form_event_mapping(self, mapping: Rows, *, format: str = "json") -> int:
        """Replace the designation of instruments for events."""
        return self._import("formEventMapping", "import", mapping, format)

    def repeating_forms_events(self) -> tuple[model.RepeatingForm, ...]:
        """The repeating instruments and events; none if nothing repeats."""
        return self._items_or_none(model.RepeatingForm, Request("repeatingFormsEvents"))

    def import_repeating_forms_events(self, rows: Rows, *, format: str = "json") -> int:
        """Replace the repeating setup; a blank form name makes the whole event repeat."""
        return self._import("repeatingFormsEvents", "", rows, format)

    def outline(self) -> Outline:
        """The structure as one value that answers short questions; two requests, or four if longitudinal."""
        info = self.project_info()
        longitudinal = bool(info.is_longitudinal)
        arms, events = (self.arms(), self.events()) if longitudinal else ((), ())
        return Outline(self.data_dictionary(), arms, events, longitudinal)
