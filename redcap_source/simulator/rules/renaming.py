"""New names for events, instruments and groups, and for everything that refers to the old ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import Dictionary
from redcap_source.simulator.state.names import unique_event_name, unique_group_name
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot
from redcap_source.simulator.state.users import User


def relabelled(project: Project, event: Event, label: str, arm: int | None = None) -> Event:
    """The event with another label, and so another unique name, which contains the arm; its id is the same."""
    taken = {other.unique_name for other in project.events if other is not event}
    name = event.unique_name if event.name == label else unique_event_name(label, arm or event.arm, taken)
    return replace(event, name=label, unique_name=name)


def rename_instrument(project: Project, old: str, new: str, label: str) -> None:
    """Give an instrument another name, as the Online Designer does, and use it in data, events, repeats and rights."""
    columns = {f"{old}{ending}": f"{new}{ending}" for ending in ("_complete", "_timestamp")}
    project.dictionary = _dictionary(project.dictionary, old, new, label)
    project.mapping = {event: _named(forms, old, new) for event, forms in project.mapping.items()}
    project.repeating_forms = {
        (event, new if form == old else form): text for (event, form), text in project.repeating_forms.items()
    }
    project.surveys = set(_named(tuple(project.surveys), old, new))
    project.users = {name: _user(user, old, new) for name, user in project.users.items()}
    for record in list(project.records):
        project.records.put(_record(record, old, new, columns))


def relabel_group(project: Project, name: str, label: str) -> None:
    """Give a data access group another label, and so another unique name; its id, users and records are the same."""
    old = project.groups[name]
    if old.label == label:
        return
    new = unique_group_name(label, project.groups.keys() - {name})
    project.groups = {
        new if known == name else known: replace(group, label=label, unique_name=new) if known == name else group
        for known, group in project.groups.items()
    }
    if new == name:
        return
    project.users = _regrouped(project.users, name, new)
    project.guests = _regrouped(project.guests, name, new)
    project.folders = {
        number: replace(folder, group=new) if folder.group == name else folder
        for number, folder in project.folders.items()
    }
    project.reports = {
        number: replace(report, groups=_named(report.groups, name, new)) for number, report in project.reports.items()
    }
    for record in [record for record in project.records if record.group == name]:
        project.records.put(replace(record, group=new))


def _regrouped(users: Mapping[str, User], old: str, new: str) -> dict[str, User]:
    return {name: replace(user, group=new) if user.group == old else user for name, user in users.items()}


def _named(forms: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    return tuple(new if form == old else form for form in forms)


def _dictionary(dictionary: Dictionary, old: str, new: str, label: str) -> Dictionary:
    fields = [replace(field, form_name=new) if field.form_name == old else field for field in dictionary.fields]
    labels = {new if form == old else form: text for form, text in dictionary.form_labels.items()}
    return Dictionary(fields, form_labels=labels | {new: label}, missing_codes=dictionary.missing_codes)


def _user(user: User, old: str, new: str) -> User:
    forms, exports = (
        {new if form == old else form: right for form, right in rights.items()}
        for rights in (user.forms, user.forms_export)
    )
    return replace(user, forms=forms, forms_export=exports)


def _record(record: Record, old: str, new: str, columns: Mapping[str, str]) -> Record:
    def moved(slot: Slot) -> Slot:
        return (slot[0], new, slot[2]) if slot[1] == old else slot

    slots = {
        moved(slot): {columns.get(name, name): value for name, value in values.items()}
        for slot, values in record.slots.items()
    }
    locks = frozenset((moved(slot), new if form == old else form) for slot, form in record.locks)
    return replace(record, slots=slots, locks=locks)
