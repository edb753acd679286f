"""Edits of a project's design: fields, events, instruments, settings, reports, randomizations.

The texts of the log are those that the public test suite redcap_rsvc and public R packages list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from redcap_source.simulator.edits.base import DESIGNER, HandleBase
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.rules.renaming import relabelled, rename_instrument
from redcap_source.simulator.state.dictionary import Dictionary, Field, fields_from_rows
from redcap_source.simulator.state.project import Allocation, Randomization, Report


class DesignEdits(HandleBase):
    """Edits of a project's design."""

    def add_field(self, row: Mapping[str, str], *, user: str = DESIGNER) -> None:
        """Add a field, given as a dictionary row, at the end of its form."""
        with self.project.lock:
            [field] = fields_from_rows([row], source="add_field")
            fields = list(self.project.dictionary.fields)
            if field.field_name in self.project.dictionary.by_name:
                raise SimulatorError(f"Field '{field.field_name}' already exists in project '{self.project.name}'.")
            last = [at for at, known in enumerate(fields) if known.form_name == field.form_name]
            fields.insert(last[-1] + 1 if last else len(fields), field)
            self._redesign(fields, "Create project field", field.field_name, user)

    def remove_field(self, name: str, *, user: str = DESIGNER) -> None:
        """Remove a field from the dictionary; its stored values stay, but no export shows them."""
        with self.project.lock:
            fields = [field for field in self.project.dictionary.fields if field.field_name != name]
            if len(fields) == len(self.project.dictionary.fields):
                raise SimulatorError(f"There is no field '{name}' in project '{self.project.name}'.")
            self._redesign(fields, "Delete project field", name, user)

    def change_field(self, name: str, *, user: str = DESIGNER, **changes: str) -> None:
        """Change a field's label, choices, type …; the keywords are the dictionary's column names."""
        with self.project.lock:
            fields = [replace(f, **changes) if f.field_name == name else f for f in self.project.dictionary.fields]
            self._redesign(fields, "Edit project field", name, user)

    def _redesign(self, fields: list[Field], action: str, name: str, user: str) -> None:
        dictionary = self.project.dictionary
        self.project.dictionary = dictionary.with_fields(fields)
        self.project.follow_dictionary(dictionary.forms)
        self._log(user, "manage", "Manage/Design", f"{action} field_name = '{name}'")

    def rename_event(self, event: str, label: str, *, user: str = DESIGNER) -> str:
        """Give an event, named by its unique name, another label; return its new unique name."""
        with self.project.lock:
            known = self._event(event)
            changed = relabelled(self.project, known, label)
            self.project.events[self.project.events.index(known)] = changed
            self._log(user, "manage", "Manage/Design", "Edit event")
            return changed.unique_name

    def rename_instrument(self, old: str, new: str, label: str | None = None, *, user: str = DESIGNER) -> None:
        """Give an instrument another name; its data are kept under the new one."""
        with self.project.lock:
            dictionary = self.project.dictionary
            if old not in dictionary.forms or new in dictionary.forms:
                project = self.project.name
                raise SimulatorError(f"Instrument '{old}' of project '{project}' cannot be renamed to '{new}'.")
            rename_instrument(self.project, old, new, label or dictionary.form_labels[old])
            self._log(user, "manage", "Manage/Design", "Rename data collection instrument")

    def relabel_instrument(self, name: str, label: str, *, user: str = DESIGNER) -> None:
        """Give an instrument another label; its name, by which everything refers to it, stays."""
        with self.project.lock:
            known = self.project.dictionary
            if name not in known.forms:
                raise SimulatorError(f"There is no instrument '{name}' in project '{self.project.name}'.")
            labels = known.form_labels | {name: label}
            self.project.dictionary = Dictionary(known.fields, form_labels=labels, missing_codes=known.missing_codes)
            self._log(user, "manage", "Manage/Design", "Rename data collection instrument")

    def relabel_arm(self, number: int, name: str, *, user: str = DESIGNER) -> None:
        """Give an arm another name."""
        with self.project.lock:
            self.project.arms[number] = name
            self._log(user, "manage", "Manage/Design", "Edit arm name/number")

    def designate(self, event: str, instruments: Sequence[str], *, user: str = DESIGNER) -> None:
        """Designate these instruments, and no others, for an event."""
        with self.project.lock:
            self.project.mapping[self._event(event).event_id] = tuple(instruments)
            self._log(user, "manage", "Manage/Design", "Perform instrument-event mappings")

    def set_missing_codes(self, text: str, *, user: str = DESIGNER) -> None:
        """Set the project's missing data codes, given as `code, label | code, label`."""
        with self.project.lock:
            self.project.set_missing_codes(text)
            self._log(user, "manage", "Manage/Design", "Make project customizations")

    def set_survey(self, instrument: str, *, enabled: bool = True, user: str = DESIGNER) -> None:
        """Make an instrument a survey, or no longer one."""
        with self.project.lock:
            (self.project.surveys.add if enabled else self.project.surveys.discard)(instrument)
            self._log(user, "manage", "Manage/Design", "Set up survey" if enabled else "Delete survey")

    def change_settings(self, *, user: str = DESIGNER, **settings: str | int) -> None:
        """Change settings of the project, under the names that the project's information has."""
        with self.project.lock:
            self.project.settings |= settings
            self._log(user, "manage", "Manage/Design", "Modify project settings")

    def add_report(
        self,
        number: int,
        title: str,
        fields: Sequence[str],
        logic: str = "",
        *,
        events: Sequence[str] = (),
        groups: Sequence[str] = (),
        order: Sequence[str] = (),
        **options: bool,
    ) -> None:
        """Save a report of these fields, limited by logic, events and groups.

        `order` names the fields to sort by, with a minus before those that are descending; the options are the
        switches of `Report`.
        """
        ways = tuple((name.removeprefix("-"), name.startswith("-")) for name in order)
        limits = {"events": tuple(events), "groups": tuple(groups), "order": ways}
        self.project.reports[number] = Report(title, tuple(fields), logic, **limits, **options)  # type: ignore[arg-type]

    def add_randomization(
        self,
        number: int,
        target_field: str,
        allocations: Sequence[str | Allocation],
        event: str | None = None,
        *,
        strata: Sequence[str] = (),
        is_concealed: bool = False,
    ) -> None:
        """Set up a randomization that assigns these allocations in their order, within each stratum."""
        self.project.settings["randomization_enabled"] = 1
        event_id = self._event(event).event_id
        table = tuple(Allocation(line) if isinstance(line, str) else line for line in allocations)
        self.project.randomizations[number] = Randomization(target_field, event_id, table, tuple(strata), is_concealed)
