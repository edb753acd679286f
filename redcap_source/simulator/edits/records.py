"""Edits of records: enter, erase, rename, lock, answer a survey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from redcap_source.simulator.edits.base import NURSE, HandleBase
from redcap_source.simulator.errors import Refusal, SimulatorError
from redcap_source.simulator.rules import saving
from redcap_source.simulator.rules.import_plan import ImportOptions
from redcap_source.simulator.rules.imports import apply_plan, key_cells, plan_import
from redcap_source.simulator.rules.saving import By
from redcap_source.simulator.state.users import User


class RecordEdits(HandleBase):
    """Edits of records; `event` is a unique name, and None is the first event."""

    def records(self) -> list[str]:
        """All record ids, in order."""
        return list(self.project.records.ids())

    def value(self, record: str, field: str, *, event: str | None = None, instance: int | None = None) -> str:
        """The stored value of one export column; blank if there is none."""
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
        """Enter values on a form and save it: a blank erases, a new record or instance is created.

        Raises SimulatorError with REDCap's own words where it would refuse a value.
        """
        project = self.project
        with project.lock:
            slot = self._slot(event, instrument, instance, tuple(values))
            row = {project.dictionary.record_id: record, **values, **key_cells(project, slot)}
            self._admit(user)
            try:
                plan = plan_import(project, [row], user, ImportOptions(overwrite=True))
                apply_plan(project, plan, self._by(user))
            except Refusal as refusal:
                raise SimulatorError(refusal.text) from refusal

    def _admit(self, user: str) -> None:
        # People at the screen need not be set up as users; they may do everything.
        if user not in self.project.users:
            self.project.guests[user] = User(user, everything=True)

    def delete(self, record: str, *, user: str = NURSE) -> None:
        """Delete a record."""
        with self.project.lock:
            saving.delete(self.project, self._record(record).id, None, self._by(user))

    def rename(self, old: str, new: str, *, user: str = NURSE) -> None:
        """Give a record another id."""
        with self.project.lock:
            self._record(old)
            # Without blanks, as through the API: no client could request an id with blanks around it.
            new = new.strip()
            if not new:
                raise SimulatorError("A record needs an id that is not blank.")
            if new in self.project.records:
                raise SimulatorError(f"Record '{new}' already exists in project '{self.project.name}'.")
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
            found = self._record(record)
            if instrument is None:
                event_id = self._event(event).event_id
                slots = [slot for slot in found.slots if slot[0] == event_id and instance in (None, slot[2])]
                saving.wipe(self.project, record, slots, None, self._by(user))
            else:
                slot = self._slot(event, instrument, instance, ())
                saving.wipe(self.project, record, [slot], frozenset({instrument}), self._by(user))

    def assign_dag(self, record: str, dag: str, *, user: str = NURSE) -> None:
        """Put a record into a data access group, which is added if it is new; a blank removes it from its group."""
        with self.project.lock:
            self._record(record)
            if dag:
                self.project.add_group(dag)
            saving.assign_group(self.project, record, dag, self._by(user))

    def lock_record(
        self,
        record: str,
        *,
        instrument: str | None = None,
        event: str | None = None,
        instance: int | None = None,
        user: str = NURSE,
    ) -> None:
        """Lock one form of a record, or the whole record."""
        with self.project.lock:
            found = self._record(record)
            slot = (0, "", 0) if instrument is None else self._slot(event, instrument, instance, ())
            self.project.records.put(replace(found, locks=found.locks | {(slot, instrument or "")}))
            label = self.project.dictionary.form_labels.get(instrument or "", "")
            form = f"instrument Record: {record} Form: {label}"
            what = "entire record" if instrument is None else form
            self._log(user, "lock_record", f"Lock/Unlock Record {record}", f"Action: Lock {what}", record)

    def unlock_record(self, record: str, *, user: str = NURSE) -> None:
        """Remove every lock from a record."""
        with self.project.lock:
            self.project.records.put(replace(self._record(record), locks=frozenset()))
            self._log(user, "lock_record", f"Lock/Unlock Record {record}", "Action: Unlock entire record", record)

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
            is_logged = saving.save(self.project, record, [(slot, {**values, **status})], by)
            is_stamped = saving.stamp_survey(self.project, record, slot, instrument, stamp)
            if is_stamped and not is_logged:
                # The same values were stored already, but no participant had entered them.
                saving.log_answers(self.project, record, slot, status, by)
