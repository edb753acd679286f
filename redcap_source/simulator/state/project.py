"""One project as a REDCap server knows it: its setup, its people, its records, its log.

Changing records is saving.py's business, answering requests is api.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import RLock

from redcap_source.simulator.state.dictionary import Dictionary, parse_missing_codes
from redcap_source.simulator.state.log import Log
from redcap_source.simulator.state.records import RecordStore, Slot
from redcap_source.simulator.state.users import Rights, Role, User

# In the order of the project export (16.0 and later), with the values of a new project.
NEW_SETTINGS: dict[str, str | int] = {
    "project_id": 0, "project_title": "", "creation_time": "", "production_time": "", "in_production": 0,
    "project_language": "English", "purpose": 0, "purpose_other": "", "project_notes": "",
    "custom_record_label": "", "secondary_unique_field": "", "is_longitudinal": 0,
    "has_repeating_instruments_or_events": 0, "surveys_enabled": 0, "scheduling_enabled": 0,
    "record_autonumbering_enabled": 1, "randomization_enabled": 0, "ddp_enabled": 0, "project_irb_number": "",
    "project_grant_number": "", "project_pi_firstname": "", "project_pi_lastname": "", "project_pi_email": "",
    "display_today_now_button": 1, "missing_data_codes": "", "external_modules": "",
    "bypass_branching_erase_field_prompt": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One event of one arm."""

    event_id: int
    name: str
    arm: int
    unique_name: str
    custom_label: str = ""
    day_offset: int = 0
    offset_min: int = 0
    offset_max: int = 0


@dataclass(frozen=True)
class Group:
    """A data access group."""

    group_id: int
    label: str
    unique_name: str


@dataclass(frozen=True)
class StoredFile:
    """A file kept in a field or in the file repository."""

    name: str
    content: bytes = field(repr=False)
    mime_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Folder:
    """A folder of the file repository; parent 0 is the top. Its group and its role keep others out."""

    name: str
    parent: int = 0
    group: str = ""
    role: str = ""


@dataclass(frozen=True)
class RepositoryFile:
    """A file of the file repository and the folder it lies in."""

    file: StoredFile
    folder: int = 0


@dataclass(frozen=True)
class Report:
    """A saved report: what it shows, what limits it, and how it is ordered."""

    title: str
    fields: tuple[str, ...]
    logic: str = ""
    # Whether one row that fits brings all rows of its record.
    whole_records: bool = False
    # Only these events and data access groups; none are all.
    events: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    # Fields and whether they fall, most important first; rows that tie keep REDCap's order.
    order: tuple[tuple[str, bool], ...] = ()
    shows_groups: bool = False
    shows_survey_fields: bool = False
    combines_checkboxes: bool = False
    folds_lines: bool = True


@dataclass(frozen=True)
class Allocation:
    """One line of an allocation table."""

    group: str
    # The randomization number where all may see the group, the group itself where it is concealed.
    alternative: str = ""
    # The values of the strata it is meant for.
    stratum: tuple[str, ...] = ()


@dataclass(frozen=True)
class Randomization:
    """A randomization: the field it fills, what must be known before, and what is left to hand out."""

    target_field: str
    target_event: int = 0
    allocations: tuple[Allocation, ...] = ()
    # Fields whose values choose the part of the table.
    strata: tuple[str, ...] = ()
    is_concealed: bool = False


@dataclass
class Project:
    """The whole state of a project."""

    dictionary: Dictionary
    settings: dict[str, str | int] = field(default_factory=lambda: dict(NEW_SETTINGS))
    arms: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    # The highest event id that ever was: REDCap gives none twice.
    last_event_id: int = 0
    mapping: dict[int, tuple[str, ...]] = field(default_factory=dict)
    repeating_events: set[int] = field(default_factory=set)
    # (event id, form) and the custom label of its instances.
    repeating_forms: dict[tuple[int, str], str] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    # People who edit at the screen without being set up as users; exports never show them.
    guests: dict[str, User] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    surveys: set[str] = field(default_factory=set)
    reports: dict[int, Report] = field(default_factory=dict)
    randomizations: dict[int, Randomization] = field(default_factory=dict)
    records: RecordStore = field(default_factory=RecordStore)
    files: dict[int, StoredFile] = field(default_factory=dict)
    folders: dict[int, Folder] = field(default_factory=dict)
    repository: dict[int, RepositoryFile] = field(default_factory=dict)
    log: Log = field(default_factory=Log)
    # Two settings that no answer of project information shows, though the rights that come with them are listed.
    mycap_enabled: bool = False
    data_resolution_enabled: bool = False
    name: str = ""
    api_user: str = ""
    lock: RLock = field(default_factory=RLock)

    def __post_init__(self) -> None:
        if not self.events:
            event_id = int(self.settings["project_id"]) * 100 + 1 or 1
            self.arms = self.arms or {1: "Arm 1"}
            self.events = [Event(event_id, "Event 1", 1, "event_1_arm_1")]
            self.mapping = {event_id: self.dictionary.forms}

    @property
    def is_longitudinal(self) -> bool:
        """Whether records have events: the setting is on, and more than one event or arm is defined."""
        return bool(self.settings["is_longitudinal"] and self.events and (len(self.events) > 1 or len(self.arms) > 1))

    @property
    def has_repeats(self) -> bool:
        """Whether any instrument or event repeats."""
        if self.is_longitudinal or len(self.events) < 2:
            return bool(self.repeating_events or self.repeating_forms)
        only = self.events_in_order()[0].event_id
        return only in self.repeating_events or any(event_id == only for event_id, _ in self.repeating_forms)

    @property
    def title(self) -> str:
        """The title people see."""
        return str(self.settings["project_title"])

    @property
    def project_id(self) -> int:
        """The number of the project on its server."""
        return int(self.settings["project_id"])

    def first_event(self) -> Event:
        """The event that a classic project has; made where all were deleted, so that data have a place to go."""
        if not self.events:
            self.arms = self.arms or {1: "Arm 1"}
            arm = min(self.arms)
            self.events.append(Event(self.next_event_id(), "Event 1", arm, f"event_1_arm_{arm}"))
            self.mapping[self.events[0].event_id] = self.dictionary.forms
        return self.events_in_order()[0]

    def shown_events(self) -> list[Event]:
        """The events that answers know of, in order: all, or the one that a classic project has, if it has any."""
        events = self.events_in_order()
        return events if self.is_longitudinal else events[:1]

    def event(self, event_id: int) -> Event:
        """The event of that id."""
        return next(event for event in self.events if event.event_id == event_id)

    def event_named(self, name: str) -> Event | None:
        """The event of that unique name."""
        return next((event for event in self.events if event.unique_name == name), None)

    def events_in_order(self) -> list[Event]:
        """Events by arm, then as they were set up."""
        return sorted(self.events, key=lambda event: event.arm)

    def event_label(self, event: Event) -> str:
        """The event as the log and the error messages show it."""
        return f"{event.name} (Arm {event.arm}: {self.arms.get(event.arm, '')})"

    def forms_at(self, event_id: int) -> tuple[str, ...]:
        """The instruments designated to an event, in the dictionary's order."""
        if not self.is_longitudinal:
            return self.dictionary.forms
        designated = self.mapping.get(event_id, ())
        return tuple(form for form in self.dictionary.forms if form in designated)

    def forms_in(self, slot: Slot) -> tuple[str, ...]:
        """The instruments that may hold data in a slot."""
        event_id, instrument, _ = slot
        if instrument:
            return (instrument,)
        forms = self.forms_at(event_id)
        if event_id in self.repeating_events:
            return forms
        return tuple(form for form in forms if (event_id, form) not in self.repeating_forms)

    def slot_of(self, event_id: int, form: str, instance: int) -> Slot:
        """Where an instrument's data go."""
        if event_id in self.repeating_events:
            return (event_id, "", max(instance, 1))
        if (event_id, form) in self.repeating_forms:
            return (event_id, form, max(instance, 1))
        return (event_id, "", 0)

    def slots_in_order(self, slots: Iterator[Slot] | list[Slot]) -> list[Slot]:
        """Slots by event, base rows first, then instruments in order, then instances."""
        event_rank = {event.event_id: rank for rank, event in enumerate(self.events_in_order())}
        form_rank = {form: rank for rank, form in enumerate(("", *self.dictionary.forms))}
        known = [slot for slot in slots if slot[0] in event_rank]
        return sorted(known, key=lambda slot: (event_rank[slot[0]], form_rank.get(slot[1], -1), slot[2]))

    def user(self, username: str) -> User:
        """The user of that name, also one who only works at the screen."""
        return self.users.get(username) or self.guests[username]

    def rights_of(self, username: str) -> Rights:
        """What a user may do."""
        user = self.user(username)
        if user.role and user.role in self.roles:
            role = self.roles[user.role]
            return Rights(role.rights, role.forms, role.forms_export)
        return Rights(user.rights, user.forms, user.forms_export, user.everything)

    def set_missing_codes(self, text: str) -> None:
        """Take the project's missing data codes from their setting."""
        self.settings["missing_data_codes"] = text
        self.dictionary = Dictionary(
            self.dictionary.fields,
            form_labels=self.dictionary.form_labels,
            missing_codes=parse_missing_codes(text),
        )

    def follow_dictionary(self, forms_before: tuple[str, ...]) -> None:
        """Give instruments that are new a place: the first event, which in a classic project has them all."""
        new = tuple(form for form in self.dictionary.forms if form not in forms_before)
        if not self.is_longitudinal:
            self.mapping |= {event.event_id: self.dictionary.forms for event in self.shown_events()}
        elif new:
            first = self.first_event().event_id
            self.mapping[first] = (*self.mapping.get(first, ()), *new)

    def refresh(self) -> None:
        """Bring the settings that follow from others up to date."""
        self.settings["has_repeating_instruments_or_events"] = int(self.has_repeats)
        self.settings["surveys_enabled"] = int(bool(self.surveys) or bool(self.settings["surveys_enabled"]))

    def next_event_id(self) -> int:
        """An event id that no event of the project ever had."""
        self.last_event_id = max([self.last_event_id, *(event.event_id for event in self.events)]) + 1
        return self.last_event_id

    def next_file_id(self) -> int:
        """An unused document id."""
        return max(self.files, default=21) + 1

    def add_group(self, name: str, label: str = "") -> None:
        """Add a data access group under a unique name, if there is none of that name."""
        if name not in self.groups:
            number = max((group.group_id for group in self.groups.values()), default=0) + 1
            self.groups[name] = Group(number, label or name, name)
