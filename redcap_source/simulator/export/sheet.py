"""The columns of a flat export, and the cells that are the same for every row of a kind."""

from __future__ import annotations

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.export.cell_values import CellValues
from redcap_source.simulator.export.selection import Selection
from redcap_source.simulator.export.style import Style
from redcap_source.simulator.rules.rights import hashed_id
from redcap_source.simulator.state.dictionary import Column
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot

INSTANCE = "redcap_repeat_instance"


class Sheet:
    """The columns of an export: first the keys of a row, then its data."""

    def __init__(self, project: Project, selection: Selection, style: Style, behaviour: Behaviour) -> None:
        self.project = project
        self.style = style
        self.with_groups = style.groups and bool(project.groups) and not selection.group
        self.with_surveys = style.survey_fields and bool(project.surveys)
        self.hides_record_id = selection.hides_record_id
        self._values = CellValues(project, style, behaviour)
        self.keys = self._keys(selection)
        self.columns = self._data_columns(selection.columns)
        self.names = [*self.keys, *(column.name for column in self.columns)]
        self.position = {column.name: at for at, column in enumerate(self.columns, start=len(self.keys))}
        if "redcap_survey_identifier" in self.keys:
            self.position["redcap_survey_identifier"] = self.keys.index("redcap_survey_identifier")
        # By position, for those columns that do not show the stored value.
        self.changes = {
            at: change
            for at, column in enumerate(self.columns, start=len(self.keys))
            if (change := self._values.change(column)) is not None
        }
        self._events = {event.event_id: event for event in project.events}
        self._groups = {name: group.label for name, group in project.groups.items()}

    def _keys(self, selection: Selection) -> list[str]:
        keys: list[str] = []
        if selection.with_record_id:
            keys.append(self.project.dictionary.record_id)
            if self.project.is_longitudinal:
                keys.append("redcap_event_name")
            if self.project.has_repeats:
                keys += ["redcap_repeat_instrument", INSTANCE]
        if self.with_groups:
            keys.append("redcap_data_access_group")
        if self.with_surveys and selection.with_record_id:
            keys.append("redcap_survey_identifier")
        return keys

    def _data_columns(self, chosen: tuple[Column, ...]) -> list[Column]:
        columns: list[Column] = []
        form = ""
        for column in chosen:
            if column.form != form:
                form = column.form
                if self.with_surveys and form in self.project.surveys:
                    columns.append(Column(f"{form}_timestamp", f"{form}_timestamp", form, "timestamp"))
            if self.style.combine_checkboxes and column.kind == "checkbox":
                if columns and columns[-1].field == column.field:
                    continue
                column = Column(column.field, column.field, column.form, "value")
            columns.append(column)
        return columns

    def headers(self) -> list[str]:
        """The first row of a CSV, as names or as labels."""
        if not self.style.label_headers:
            return self.names
        labels = {
            self.project.dictionary.record_id: self.project.dictionary.fields[0].field_label,
            "redcap_event_name": "Event Name",
            "redcap_repeat_instrument": "Repeat Instrument",
            INSTANCE: "Repeat Instance",
            "redcap_data_access_group": "Data Access Group",
            "redcap_survey_identifier": "Survey Identifier",
        }
        return [labels[key] for key in self.keys] + [self._label(column) for column in self.columns]

    def _label(self, column: Column) -> str:
        if column.kind == "status":
            return "Complete?"
        if column.kind == "timestamp":
            return "Survey Timestamp"
        field = self.project.dictionary.by_name[column.field]
        if column.kind == "checkbox":
            return f"{field.field_label} (choice={self.project.dictionary.options(field)[column.code]})"
        return field.field_label

    def defaults(self, slot: Slot) -> list[str]:
        """The cells of an empty row of this kind: blank, or 0 where an option or a status applies."""
        applicable = frozenset(self.project.forms_in(slot))
        blank = [""] * len(self.keys)
        return blank + [self._values.default(column) if column.form in applicable else "" for column in self.columns]

    def key_cells(self, record: Record, slot: Slot) -> list[str]:
        """The cells before the data, except the survey identifier."""
        event_id, instrument, instance = slot
        cells: list[str] = []
        for key in self.keys:
            if key == "redcap_event_name":
                event = self._events[event_id]
                cells.append(event.name if self.style.label else event.unique_name)
            elif key == "redcap_repeat_instrument":
                labels = self.project.dictionary.form_labels
                cells.append(labels.get(instrument, instrument) if self.style.label else instrument)
            elif key == INSTANCE:
                cells.append(str(instance) if instance else "")
            elif key == "redcap_data_access_group":
                cells.append(self._groups.get(record.group, "") if self.style.label else record.group)
            elif key == "redcap_survey_identifier":
                cells.append("")
            else:
                cells.append(hashed_id(record.id) if self.hides_record_id else record.id)
        return cells
