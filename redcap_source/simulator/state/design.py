"""The design of a project: its dictionary, its events, and where the data of each instrument are stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from redcap_source.simulator.state.dictionary import Dictionary
from redcap_source.simulator.state.records import Slot

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


@dataclass
class Design:
    """What a project's designers set up, and what is derived from it."""

    dictionary: Dictionary
    settings: dict[str, str | int] = field(default_factory=lambda: dict(NEW_SETTINGS))
    arms: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    # The highest event id that any event ever had: REDCap does not use one twice.
    last_event_id: int = 0
    # The designated instruments by event id.
    mapping: dict[int, tuple[str, ...]] = field(default_factory=dict)
    repeating_events: set[int] = field(default_factory=set)
    # (event id, form) and the custom label of its instances.
    repeating_forms: dict[tuple[int, str], str] = field(default_factory=dict)

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

    def first_event(self) -> Event:
        """The first event, which is the only one of a classic project; a new one where all were deleted."""
        if not self.events:
            self.arms = self.arms or {1: "Arm 1"}
            arm = min(self.arms)
            self.events.append(Event(self.next_event_id(), "Event 1", arm, f"event_1_arm_{arm}"))
            self.mapping[self.events[0].event_id] = self.dictionary.forms
        return self.events_in_order()[0]

    def shown_events(self) -> list[Event]:
        """The events that answers show, in order: all, or only the first in a classic project."""
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

    def event_suffix(self, event_id: int) -> str:
        """How an action of the log ends: with the event, except in a classic project."""
        return f" ({self.event_label(self.event(event_id))})" if self.is_longitudinal else ""

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
        """Where an instrument's data are stored."""
        if event_id in self.repeating_events:
            return (event_id, "", max(instance, 1))
        if (event_id, form) in self.repeating_forms:
            return (event_id, form, max(instance, 1))
        return (event_id, "", 0)

    def slots_in_order(self, slots: Iterable[Slot]) -> list[Slot]:
        """Slots by event, base rows first, then instruments in order, then instances."""
        event_rank = {event.event_id: rank for rank, event in enumerate(self.events_in_order())}
        form_rank = {form: rank for rank, form in enumerate(("", *self.dictionary.forms))}
        known = [slot for slot in slots if slot[0] in event_rank]
        return sorted(known, key=lambda slot: (event_rank[slot[0]], form_rank.get(slot[1], -1), slot[2]))

    def next_event_id(self) -> int:
        """An event id that no event of the project ever had."""
        self.last_event_id = max([self.last_event_id, *(event.event_id for event in self.events)]) + 1
        return self.last_event_id
