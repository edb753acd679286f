"""What people do to a project at the screen: the same rules and the same log as the API, in their own name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from redcap_source.simulator.errors import Refusal, SimulatorError
from redcap_source.simulator.rules import saving
from redcap_source.simulator.rules.imports import ImportOptions, apply_plan, plan_import
from redcap_source.simulator.rules.renaming import relabelled, rename_instrument
from redcap_source.simulator.rules.saving import By
from redcap_source.simulator.state.dictionary import Field, fields_from_rows
from redcap_source.simulator.state.log import PAGE_VIEW
from redcap_source.simulator.state.project import Allocation, Event, Group, Project, Randomization, Report
from redcap_source.simulator.state.records import Record, Slot
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.state.users import ALL_RIGHTS, FULL_EXPORT, User

NURSE = "nurse1"


@dataclass(frozen=True)
class ProjectHandle:
    """A project on the simulator: who it is to clients, and what people can do to it."""

    site: Site
    project: Project
    token: str

    @property
    def name(self) -> str:
        """The name the simulator knows it by."""
        return self.project.name

    @property
    def project_id(self) -> int:
        """Its number on the server."""
        return self.project.project_id

    @property
    def title(self) -> str:
        """Its title."""
        return self.project.title

    def records(self) -> list[str]:
        """All record ids, in order."""
        return list(self.project.records.ids())

    def value(self, record: str, field: str, *, event: str | None = None, instance: int | None = None) -> str:
        """The stored value of one export column; blank when there is none."""
        slot = self._slot(event, None, instance, (field,))
        found = self.project.records.get(record)
        return found.slots.get(slot, {}).get(field, "") if found is not None else ""

    def save(
        self,
        record: str,
        values: Mapping[str, str],
        event: str | None = None,
        instrument: str | None = None,
        instance: int | None = None,
        user: str = NURSE,
    ) -> None:
        """Enter values on a form and save it; blank erases, a new record or instance is created."""
        project = self.project
        with project.lock:
            event_id, form, number = self._slot(event, instrument, instance, tuple(values))
            row = {project.dictionary.record_id: record, **values}
            if project.is_longitudinal:
                row["redcap_event_name"] = project.event(event_id).unique_name
            if number:
                row |= {"redcap_repeat_instrument": form, "redcap_repeat_instance": str(number)}
            self._known(user)
            try:
                plan = plan_import(project, [row], user, ImportOptions(overwrite=True))
                apply_plan(project, plan, By(user, self.site.clock))
            except Refusal as refusal:
                raise SimulatorError(refusal.text) from refusal

    def delete(self, record: str, *, user: str = NURSE) -> None:
        """Delete a record."""
        with self.project.lock:
            saving.delete(self.project, self._existing(record).id, None, self._by(user))

    def rename(self, old: str, new: str, *, user: str = NURSE) -> None:
        """Give a record another id."""
        with self.project.lock:
            self._existing(old)
            # As the API takes it: with blanks around it, nobody could ask for the record.
            new = new.strip()
            if not new:
                raise SimulatorError("A record needs an id that is not blank.")
            if new in self.project.records:
                raise SimulatorError(f"Record '{new}' exists already in project '{self.name}'.")
            saving.rename(self.project, old, new, self._by(user))

    def wipe(
        self,
        record: str,
        instrument: str | None = None,
        event: str | None = None,
        instance: int | None = None,
        user: str = NURSE,
    ) -> None:
        """Erase an instrument's data, one instance, or everything in an event; the record stays."""
        with self.project.lock:
            found = self._existing(record)
            if instrument is None:
                event_id = self._event(event).event_id
                slots = [slot for slot in found.slots if slot[0] == event_id and instance in (None, slot[2])]
                saving.wipe(self.project, record, slots, None, self._by(user))
            else:
                slot = self._slot(event, instrument, instance, ())
                saving.wipe(self.project, record, [slot], frozenset({instrument}), self._by(user))

    def assign_dag(self, record: str, dag: str, *, user: str = NURSE) -> None:
        """Put a record into a data access group, made if it is new; a blank takes it out."""
        with self.project.lock:
            self._existing(record)
            if dag:
                self.add_dag(dag)
            saving.assign_group(self.project, record, dag, self._by(user))

    def lock_record(self, record: str, *, instrument: str | None = None, event: str | None = None,
                    instance: int | None = None, user: str = NURSE) -> None:  # fmt: skip
        """Lock one form of a record, or the whole record."""
        with self.project.lock:
            found = self._existing(record)
            slot = (0, "", 0) if instrument is None else self._slot(event, instrument, instance, ())
            self.project.records.put(replace(found, locks=found.locks | {(slot, instrument or "")}))
            label = self.project.dictionary.form_labels.get(instrument or "", "")
            what = (
                "Action: Lock entire record"
                if instrument is None
                else f"Action: Lock instrument Record: {record} Form: {label}"
            )
            row = self._by(user).row("lock_record", f"Lock/Unlock Record {record}", what, record)
            self.project.log.add(row)

    def unlock_record(self, record: str, *, user: str = NURSE) -> None:
        """Take every lock off a record."""
        with self.project.lock:
            self.project.records.put(replace(self._existing(record), locks=frozenset()))
            action = f"Lock/Unlock Record {record}"
            self.project.log.add(self._by(user).row("lock_record", action, "Action: Unlock entire record", record))

    def respond(
        self,
        record: str,
        instrument: str,
        values: Mapping[str, str],
        event: str | None = None,
        instance: int | None = None,
        *,
        complete: bool = True,
    ) -> None:
        """Answer a survey as a participant; an incomplete response has a time stamp of [not completed]."""
        with self.project.lock:
            self.project.surveys.add(instrument)
            slot = self._slot(event, instrument, instance, ())
            stamp = self.site.clock.local() if complete else "[not completed]"
            status = {f"{instrument}_complete": "2" if complete else "0"}
            by = By("[survey respondent]", self.site.clock, noun="Response")
            is_told = saving.save(self.project, record, [(slot, {**values, **status})], by)
            is_stamped = saving.stamp_survey(self.project, record, slot, instrument, stamp)
            if is_stamped and not is_told:
                # The answers were there already, but nobody had given them as a participant.
                saving.log_answers(self.project, record, slot, status, by)

    def add_field(self, row: Mapping[str, str], *, user: str = "designer1") -> None:
        """Add a field given as a dictionary row; it goes to the end of its form."""
        with self.project.lock:
            [field] = fields_from_rows([row], source="add_field")
            fields = list(self.project.dictionary.fields)
            if field.field_name in self.project.dictionary.by_name:
                raise SimulatorError(f"Field '{field.field_name}' exists already in project '{self.name}'.")
            last = [at for at, known in enumerate(fields) if known.form_name == field.form_name]
            fields.insert(last[-1] + 1 if last else len(fields), field)
            self._redesign(fields, "Create project field", f"field_name = '{field.field_name}'", user)

    def remove_field(self, name: str, *, user: str = "designer1") -> None:
        """Take a field out of the dictionary; what was stored in it stays unseen."""
        with self.project.lock:
            fields = [field for field in self.project.dictionary.fields if field.field_name != name]
            if len(fields) == len(self.project.dictionary.fields):
                raise SimulatorError(f"There is no field '{name}' in project '{self.name}'.")
            self._redesign(fields, "Delete project field", f"field_name = '{name}'", user)

    def change_field(self, name: str, *, user: str = "designer1", **changes: str) -> None:
        """Change a field's label, choices, type …, by the dictionary's column names."""
        with self.project.lock:
            fields = [replace(f, **changes) if f.field_name == name else f for f in self.project.dictionary.fields]
            self._redesign(fields, "Edit project field", f"field_name = '{name}'", user)

    def rename_event(self, event: str, label: str, *, user: str = "designer1") -> str:
        """Give an event, named by its unique name, another label; returns the unique name that follows from it."""
        with self.project.lock:
            known = self._event(event)
            found = relabelled(self.project, known, label)
            self.project.events[self.project.events.index(known)] = found
            self.project.log.add(self._by(user).row("manage", "Manage/Design", "Edit event"))
            return found.unique_name

    def rename_instrument(self, old: str, new: str, label: str | None = None, *, user: str = "designer1") -> None:
        """Give an instrument another name; what is stored in it goes along."""
        with self.project.lock:
            forms = self.project.dictionary.forms
            if old not in forms or new in forms:
                raise SimulatorError(f"Instrument '{old}' of project '{self.name}' cannot be renamed to '{new}'.")
            rename_instrument(self.project, old, new, label or self.project.dictionary.form_labels[old])
            self.project.log.add(self._by(user).row("manage", "Manage/Design", "Rename data collection instrument"))

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

        `order` names fields, those that fall with a minus before them; the options are the switches of `Report`.
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
        """Set up a randomization that hands out these allocations one after the other, within each stratum."""
        self.project.settings["randomization_enabled"] = 1
        place = self._event(event).event_id
        table = tuple(Allocation(line) if isinstance(line, str) else line for line in allocations)
        self.project.randomizations[number] = Randomization(target_field, place, table, tuple(strata), is_concealed)

    def open_page(self, page: str, user: str = NURSE) -> None:
        """Look at a page of the project; the log keeps page views apart from everything else."""
        address = f"{self.site.url.removesuffix('api/')}{page.lstrip('/')}"
        self.project.log.add(self._by(user).row("page_view", PAGE_VIEW, address))

    def add_dag(self, name: str) -> None:
        """Make a data access group, if it is new."""
        if name not in self.project.groups:
            number = max((group.group_id for group in self.project.groups.values()), default=0) + 1
            self.project.groups[name] = Group(number, name, name)

    def add_user(
        self, username: str, *, token: str | None = None, dag: str = "", forms_export: int = FULL_EXPORT, **rights: int
    ) -> str:
        """Add a user with every right but those given otherwise, and hand out their token."""
        if dag:
            self.add_dag(dag)
        forms = dict.fromkeys(self.project.dictionary.forms, 1)
        exports = dict.fromkeys(self.project.dictionary.forms, forms_export)
        self.project.users[username] = User(
            username, group=dag, rights=ALL_RIGHTS | rights, forms=forms, forms_export=exports
        )
        return self.site.add_token(self.name, username, token)

    def set_rights(
        self, username: str | None = None, *, dag: str | None = None, forms_export: int | None = None, **rights: int
    ) -> None:
        """Change what a user may do; without a name the token's own user."""
        user = self.project.users[username or self.project.api_user]
        forms = self.project.dictionary.forms
        if user.everything:
            everything = dict.fromkeys(forms, 1)
            user = replace(user, everything=False, rights=dict(ALL_RIGHTS), forms=everything, forms_export=everything)
        if forms_export is not None:
            user = replace(user, forms_export=dict.fromkeys(forms, forms_export))
        if dag is not None:
            user = replace(user, group=dag)
        self.project.users[user.username] = replace(user, rights=user.rights | rights)

    # --- what the methods above share ---

    def _by(self, user: str) -> By:
        return By(user, self.site.clock)

    def _known(self, user: str) -> None:
        # People at the screen need no setting up; they may do everything.
        if user not in self.project.users:
            self.project.guests[user] = User(user, everything=True)

    def _existing(self, record: str) -> Record:
        found = self.project.records.get(record)
        if found is None:
            raise SimulatorError(f"There is no record '{record}' in project '{self.name}'.")
        return found

    def _event(self, name: str | None) -> Event:
        if name is None:
            return self.project.first_event()
        event = self.project.event_named(name)
        if event is None:
            raise SimulatorError(f"There is no event '{name}' in project '{self.name}'.")
        return event

    def _slot(self, event: str | None, instrument: str | None, instance: int | None, columns: tuple[str, ...]) -> Slot:
        event_id = self._event(event).event_id
        named = self.project.dictionary.column_named
        form = instrument or next((named[name].form for name in columns if name in named), "")
        return self.project.slot_of(event_id, form, instance or 1)

    def _redesign(self, fields: list[Field], action: str, details: str, user: str) -> None:
        dictionary = self.project.dictionary
        self.project.dictionary = dictionary.with_fields(fields)
        self.project.follow_dictionary(dictionary.forms)
        self.project.log.add(self._by(user).row("manage", "Manage/Design", f"{action} {details}"))
