"""What people do to a project between two nights, and in the middle of one: small acts, drawn at random.

An act is drawn from what is there now and returned as something to call, at once or just before some request. Each
leaves the trace that REDCap leaves: a row of its log, another census, or another structure.
"""

import contextlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import count
from random import Random

from redcap_source.simulator import Project, ProjectHandle, SimulatorError
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import Field
from redcap_source.simulator.studies.grid import dictionary_from
from tests.support.place import CANARY

GRID = """
# base ~ Base
record_id ~ text ~ ~ Study ID
word ~ text ~ ~ A word ~ ~ id
age ~ text ~ integer ~ Age
double ~ calc ~ ~ Twice the age ~ [age] * 2
sex ~ radio ~ ~ Sex ~ 1, Female | 2, Male

# visit ~ Visit
came_on ~ text ~ date_ymd ~ Came on
tags ~ checkbox ~ ~ Tags ~ 1, One | 2, Two | -3, Minus three
note ~ notes ~ ~ Note

# diary ~ Diary (survey)
mood ~ radio ~ ~ Mood ~ 1, Good | 2, Bad
told ~ text ~ ~ In their words
"""
FORMS = ("base", "visit", "diary")
KINDS = ("classic", "longitudinal", "repeating")
IDS = ("1", "2", "3", "4", "10", "A-1", "x y", "7é")
WORDS = ("", " two words", ', "quoted"', "\nsecond line", "é’漢", "<b>x</b>", "{[]}", "NULL", "0")
ROW_KEYS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
Act = tuple[str, Callable[[], object]]


def small_study(kind: str) -> Project:
    """Three instruments, one of them a survey: in one event, in three, or repeating."""
    project = Project(dictionary=dictionary_from(GRID))
    project.surveys = {"diary"}
    project.settings |= {"project_title": "Small", "surveys_enabled": 1}
    if kind == "repeating":
        project.repeating_forms = {(project.events[0].event_id, "diary"): ""}
    if kind == "classic":
        return project
    project.settings["is_longitudinal"] = 1
    project.arms = {1: "First", 2: "Second"}
    project.events = [
        Event(11, "Start", 1, "start_arm_1"),
        Event(12, "Later", 1, "later_arm_1"),
        Event(21, "Start", 2, "start_arm_2"),
    ]
    project.mapping = {11: FORMS, 12: ("visit", "diary"), 21: ("base", "visit")}
    if kind == "repeating":
        project.repeating_forms = {(11, "diary"): ""}
        project.repeating_events = {12}
    return project


@dataclass(repr=False)
class People:
    """Who works on the project: they remember who is who, and what a token without the log can never learn."""

    handle: ProjectHandle
    url: str
    token: str = field(repr=False)
    """Of another program, which edits through the API."""
    now_known: dict[str, object] = field(default_factory=dict)
    """Each record's person: the same object as long as it is the same person, whatever the id."""
    only_logged: bool = False
    """Whether something happened since the last good night that only the log tells of."""
    last_night: frozenset[str] = frozenset()
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    field_numbers: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def project(self) -> Project:
        """The project as it is now."""
        return self.handle.project

    def draw_act(self, chance: Random) -> Act:
        """One thing that someone does: its name, and a way to do it."""
        data = ["enter"] * 4 + ["respond", "send"]
        if self.handle.records():
            data += ["delete", "rename", "swap", "take_over", "wipe", "wipe", "group", "recreate"]
        structure = ["add_field", "change_field", "remove_field", "options", "upload", "move_field", "repeat"]
        structure += ["missing_codes", "survey", "delete_group", "name_form", "name_form"]
        structure += ["label_form", "settings", "colleague", "role", "comment"]
        if self.project.is_longitudinal:
            structure += ["map_forms", "name_event", "name_event", "exchange_events", "delete_event"]
            structure += ["designate", "label_event", "name_arm"]
            data += ["leave_arm"] * bool(self.handle.records())
        names = data if chance.randint(0, 3) else structure
        name, act = getattr(self, chance.choice(names))(chance)

        def done() -> None:
            act()
            for record in self.now_known.keys() - set(self.handle.records()):
                del self.now_known[record]

        return name, done

    # --- data -------------------------------------------------------------------------------------------------

    def text(self, chance: Random) -> str:
        """A text that no cell has had before."""
        return f"{CANARY}{next(self.numbers)}{chance.choice(WORDS)}"

    def values(self, chance: Random, form: str, *, blank: bool = True) -> dict[str, str]:
        """New values of some fields of an instrument."""
        found = {}
        for column in self.project.dictionary.columns:
            known = self.project.dictionary.by_name.get(column.field)
            if column.form != form or column.field == self.project.dictionary.record_id or not chance.randint(0, 1):
                continue
            if column.kind == "checkbox":
                found[column.name] = chance.choice("01")
            elif column.kind == "status":
                found[column.name] = chance.choice("012")
            elif known is None or known.is_calculated or known.field_type == "file":
                continue
            elif known.choices:
                found[column.name] = chance.choice([*known.choices, *[""] * blank])
            elif known.validation in ("integer", "number"):
                found[column.name] = str(chance.randint(0, 99))
            elif known.validation == "date_ymd":
                found[column.name] = f"2024-01-{chance.randint(1, 28):02d}"
            else:
                found[column.name] = "" if blank and chance.randint(0, 4) == 0 else self.text(chance)
        return found

    def place(self, chance: Random) -> tuple[str | None, str, int | None]:
        """An event, an instrument that lives there, and an instance."""
        events = {event.unique_name: event.event_id for event in self.project.events_in_order()}
        places = [(name, form) for name, number in events.items() for form in self.project.forms_at(number)]
        event, form = chance.choice(places or [(next(iter(events)), "base")])
        instance = self.project.slot_of(events[event], form, 1)[2] and chance.randint(1, 3)
        return (event if self.project.is_longitudinal else None), form, instance or None

    def known(self, record: str) -> None:
        """The record exists from now on, if it did not before."""
        if record in self.project.records:
            self.now_known.setdefault(record, object())

    def _save(self, record: str, values: dict[str, str], event: str | None, form: str, instance: int | None) -> None:
        # What does not pass REDCap's validation is not saved.
        with contextlib.suppress(SimulatorError):
            self.handle.save(record, values, event, form, instance)
        self.known(record)

    def enter(self, chance: Random) -> Act:
        """Someone fills in a form."""
        record, (event, form, instance) = chance.choice(IDS), self.place(chance)
        values = self.values(chance, form)

        def act() -> None:
            self._save(record, values, event, form, instance)

        return f"enter {record} {event} {form} {instance} {values}", act

    def respond(self, chance: Random) -> Act:
        """A participant answers the survey; a new text makes sure that something differs."""
        record, (event, form, instance) = chance.choice(IDS), self.place(chance)
        texts = [
            column.name
            for column in self.project.dictionary.columns
            if column.form == "diary" and column.kind == "value" and self._takes_text(column.field)
        ]
        if form != "diary" or not texts:
            return self.enter(chance)
        values, complete = {texts[0]: self.text(chance)}, chance.randint(0, 1)

        def act() -> None:
            self.handle.respond(record, "diary", values, event, instance, complete=complete)
            self.known(record)

        return f"respond {record} {event} {instance} {values} {complete}", act

    def _takes_text(self, name: str) -> bool:
        known = self.project.dictionary.by_name[name]
        return known.field_type in ("text", "notes") and not known.validation

    def send(self, chance: Random) -> Act:
        """Another program imports some records."""
        rows = []
        for record in chance.sample(IDS, chance.randint(1, 3)):
            event, form, instance = self.place(chance)
            row = {self.project.dictionary.record_id: record, **self.values(chance, form)}
            if event:
                row[ROW_KEYS[0]] = event
            if instance:
                found = self.project.event_named(event) if event else self.project.events[0]
                slot = self.project.slot_of(found.event_id, form, instance)
                row |= {ROW_KEYS[1]: slot[1], ROW_KEYS[2]: str(instance)}
            rows.append(row)
        how = chance.choice(("normal", "overwrite"))

        def act() -> None:
            self.call("record", data=json.dumps(rows), overwriteBehavior=how)
            for row in rows:
                self.known(row[self.project.dictionary.record_id])

        return f"import {rows} {how}", act

    def call(self, content: str, **parameters: str) -> None:
        """A request that another program makes with a token of its own; what REDCap refuses does not happen."""
        form = {"token": self.token, "content": content, "format": "json", **parameters}
        try:
            with urllib.request.urlopen(self.url, urllib.parse.urlencode(form).encode(), timeout=60):
                pass
        except urllib.error.HTTPError as refused:
            refused.close()

    def delete(self, chance: Random) -> Act:
        """A record is deleted."""
        record = chance.choice(self.handle.records())

        return f"delete {record}", partial(self.handle.delete, record)

    def leave_arm(self, chance: Random) -> Act:
        """A record is deleted from one arm only."""
        record, arm = chance.choice(self.handle.records()), chance.choice("12")
        asked = {"action": "delete", "records[0]": record, "arm": arm}
        return f"delete {record} from arm {arm}", partial(self.call, "record", **asked)

    def recreate(self, chance: Random) -> Act:
        """A record is deleted, and its id given to someone else."""
        record, (event, form, instance) = chance.choice(self.handle.records()), self.place(chance)
        values = self.values(chance, form)

        def act() -> None:
            self.handle.delete(record)
            self.now_known.pop(record, None)
            self._save(record, values, event, form, instance)

        return f"recreate {record} {event} {form} {instance} {values}", act

    def _rename(self, old: str, new: str) -> None:
        self.handle.rename(old, new)
        self.now_known[new] = self.now_known.pop(old)
        # To one without the log, an id that was there last night and is there now is the same record.
        self.only_logged |= new in self.last_night

    def rename(self, chance: Random) -> Act:
        """A record gets another id."""
        old = chance.choice(self.handle.records())
        new = chance.choice([free for free in (*IDS, "101", "102") if free not in self.handle.records()])
        return f"rename {old} to {new}", partial(self._rename, old, new)

    def swap(self, chance: Random) -> Act:
        """Two records change their ids, by way of a third."""
        if len(self.handle.records()) < 2:
            return self.rename(chance)
        one, other = chance.sample(self.handle.records(), 2)

        return f"swap {one} and {other}", partial(self.exchange, one, other)

    def exchange(self, one: str, other: str) -> None:
        """Two records change their ids."""
        for old, new in ((one, "between"), (other, one), ("between", other)):
            self._rename(old, new)

    def alike(self, chance: Random) -> tuple[str, str]:
        """Two new records of which a list of ids, events and groups tells nothing but the ids."""
        one, other = chance.sample(IDS, 2)
        event, form, instance = self.place(chance)
        for record in (one, other):
            if record in self.handle.records():
                self.handle.delete(record)
                self.now_known.pop(record)
            self._save(record, self.values(chance, form, blank=False), event, form, instance)
        return one, other

    def take_over(self, chance: Random) -> Act:
        """A record is deleted, and another gets its id."""
        if len(self.handle.records()) < 2:
            return self.rename(chance)
        old, new = chance.sample(self.handle.records(), 2)
        return f"{old} takes over the id of {new}, who is deleted", partial(self.inherit, old, new)

    def inherit(self, old: str, new: str) -> None:
        """A record is deleted, and another gets its id."""
        self.handle.delete(new)
        self._rename(old, new)

    def wipe(self, chance: Random) -> Act:
        """An instrument, an event or an instance is emptied."""
        record, (event, form, instance) = chance.choice(self.handle.records()), self.place(chance)
        whole = self.project.is_longitudinal and chance.randint(0, 2) == 0

        act = partial(self.handle.wipe, record, None if whole else form, event, instance)
        return f"wipe {record} {event} {'everything' if whole else form} {instance}", act

    def group(self, chance: Random) -> Act:
        """A record moves to another data access group, or out of any."""
        record, group = chance.choice(self.handle.records()), chance.choice(("", "north", "south"))
        return f"group {record} {group!r}", partial(self.handle.assign_dag, record, group)

    # --- structure --------------------------------------------------------------------------------------------

    def _fields(self) -> list[str]:
        return [f.field_name for f in self.project.dictionary.fields[1:]]

    def add_field(self, chance: Random) -> Act:
        """A new field, now and then on a new instrument; sometimes one that was there before, with its values."""
        kind = chance.choice(("text", "notes", "radio", "checkbox", "yesno", "calc"))
        again = [name for name in ("word", "age", "tags", "note", "mood") if name not in self._fields()]
        name = chance.choice([*again, f"f{next(self.field_numbers)}"])
        row = {
            "field_name": name,
            "form_name": chance.choice((*self.project.dictionary.forms, "extra")),
            "field_type": kind,
            "field_label": f"{name} ({kind})",
            "select_choices_or_calculations": {"radio": "1, A | 2, B", "checkbox": "1, A | b, B", "calc": "1 + 1"}.get(
                kind, ""
            ),
        }
        return f"add field {row}", partial(self.handle.add_field, row)

    def remove_field(self, chance: Random) -> Act:
        """A field goes, never the last of all."""
        if len(self._fields()) < 3:
            return self.add_field(chance)
        name = chance.choice(self._fields())
        return f"remove field {name}", partial(self.handle.remove_field, name)

    def change_field(self, chance: Random) -> Act:
        """A field gets another label, type, validation, identifier mark or instrument."""
        name = chance.choice(self._fields())
        changes = chance.choice(
            (
                {"field_label": self.text(chance).replace(CANARY, "label")},
                {"field_type": "text", "text_validation_type_or_show_slider_number": ""},
                {"field_type": "text", "text_validation_type_or_show_slider_number": "number"},
                {"field_type": "radio", "select_choices_or_calculations": "1, First | 3, Third"},
                {"field_type": "checkbox", "select_choices_or_calculations": "1, First | 3, Third"},
                {"field_type": "yesno", "select_choices_or_calculations": ""},
                {"field_type": "descriptive"},
                {"identifier": "y"},
            )
        )
        return f"change field {name} {changes}", partial(self.handle.change_field, name, **changes)

    def options(self, chance: Random) -> Act:
        """Options of a choice field are removed, added or put in another order."""
        with_options = [
            f.field_name for f in self.project.dictionary.fields[1:] if f.field_type in ("checkbox", "radio")
        ]
        if not with_options:
            return self.add_field(chance)
        name = chance.choice(with_options)
        codes = chance.sample(("1", "2", "-3", "b", "B"), chance.randint(1, 4))
        text = " | ".join(f"{code}, Option {code}" for code in codes)
        return f"options of {name}: {text}", partial(
            self.handle.change_field, name, select_choices_or_calculations=text
        )

    def _upload(self, fields: list[Field]) -> None:
        """Another program uploads a whole dictionary; REDCap wants it instrument by instrument."""
        forms = dict.fromkeys(f.form_name for f in fields)
        ordered = [f for form in forms for f in fields if f.form_name == form]
        self.call("metadata", data=json.dumps([asdict(f) for f in ordered]))

    def upload(self, chance: Random) -> Act:
        """All fields but the record id in another order."""
        names = chance.sample(self._fields(), len(self._fields()))
        fields = [self.project.dictionary.fields[0], *(self.project.dictionary.by_name[name] for name in names)]
        return f"upload dictionary {names}", partial(self._upload, fields)

    def move_field(self, chance: Random) -> Act:
        """A field goes to another instrument, now and then a new one; its values go along."""
        name = chance.choice(self._fields())
        form = chance.choice((*self.project.dictionary.forms, "moved"))
        fields = [replace(f, form_name=form) if f.field_name == name else f for f in self.project.dictionary.fields]
        return f"move field {name} to {form}", partial(self._upload, fields)

    def map_forms(self, chance: Random) -> Act:
        """Another program designates instruments to events anew; values of others stay, undesignated."""
        rows = [
            {"arm_num": str(event.arm), "unique_event_name": event.unique_name, "form": form}
            for event in self.project.events
            for form in self.project.dictionary.forms
            if chance.randint(0, 3)
        ]
        return f"map {[(r['unique_event_name'], r['form']) for r in rows]}", partial(
            self.call, "formEventMapping", action="import", data=json.dumps(rows)
        )

    def name_event(self, chance: Random) -> Act:
        """An event gets another label, and with it another unique name."""
        event = self.project.event_named(chance.choice([e.unique_name for e in self.project.events]))
        row = {
            "event_name": chance.choice(("Start", "Later", "Visit 2", "Ende")),
            "arm_num": str(event.arm),
            "unique_event_name": event.unique_name,
        }
        return f"name event {row}", partial(self.call, "event", action="import", data=json.dumps([row]))

    def exchange_events(self, chance: Random) -> Act:
        """Two events exchange their labels, by way of a third; now and then only one gets the other's."""
        if len(self.project.events) < 2:
            return self.name_event(chance)
        one, other = chance.sample(self.project.events, 2)
        both = chance.randint(0, 2) > 0

        def act() -> None:
            found = self.handle.rename_event(one.unique_name, "Between")
            self.handle.rename_event(other.unique_name, one.name)
            if both:
                self.handle.rename_event(found, other.name)

        return f"events {one.unique_name} and {other.unique_name} exchange labels, {both}", act

    def name_form(self, chance: Random) -> Act:
        """An instrument gets another name, at the screen with all that is in it; or its fields move in an upload."""
        forms = self.project.dictionary.forms
        free = [name for name in (*FORMS, "exam", "extra", "moved") if name not in forms]
        if not free:
            return self.add_field(chance)
        old, new = chance.choice(forms), chance.choice(free)
        fields = [replace(f, form_name=new) if f.form_name == old else f for f in self.project.dictionary.fields]
        act = chance.choice((partial(self.handle.rename_instrument, old, new), partial(self._upload, fields)))
        return f"name instrument {old} {new} by {'screen' if act.args[0] == old else 'upload'}", act

    def repeat(self, chance: Random) -> Act:
        """An instrument begins to repeat; what it holds becomes the first instance."""
        event = self.project.event_named(chance.choice([e.unique_name for e in self.project.events]))
        form = chance.choice(self.project.dictionary.forms)
        names = {e.event_id: e.unique_name for e in self.project.events}
        rows = [{"event_name": names[e], "form_name": f} for e, f in self.project.repeating_forms]
        rows += [{"event_name": names[e], "form_name": ""} for e in self.project.repeating_events]
        if event.event_id not in self.project.repeating_events:
            rows.append({"event_name": event.unique_name, "form_name": form})
        return f"repeat {rows}", partial(self.call, "repeatingFormsEvents", data=json.dumps(rows))

    def delete_event(self, chance: Random) -> Act:
        """An event goes with all its data, of which no record's log tells."""
        names = [event.unique_name for event in self.project.events]
        if len(names) < 2:
            return self.name_event(chance)
        name = chance.choice(names)
        return f"delete event {name}", partial(self.call, "event", action="delete", **{"events[0]": name})

    def missing_codes(self, chance: Random) -> Act:
        """The project gets other missing data codes, which are options of every checkbox; perhaps no log shows it."""
        codes = chance.choice(("", "-9, Unknown", "-9, Unknown | 2, Refused"))
        logged = chance.randint(0, 1)
        act = self.handle.set_missing_codes if logged else self.project.set_missing_codes
        return f"missing codes {codes!r}, {logged}", partial(act, codes)

    def survey(self, chance: Random) -> Act:
        """An instrument becomes a survey, or no longer is one; perhaps no log shows it."""
        form, logged = chance.choice(self.project.dictionary.forms), chance.randint(0, 1)
        if logged:
            return f"survey {form}", partial(self.handle.set_survey, form, enabled=form not in self.project.surveys)
        return f"survey {form}, not logged", partial(self.project.surveys.symmetric_difference_update, {form})

    def label_form(self, chance: Random) -> Act:
        """An instrument gets another label, which no data, no dictionary and no list of columns shows."""
        form, label = chance.choice(self.project.dictionary.forms), f"Form {next(self.field_numbers)}"
        return f"label instrument {form} {label}", partial(self.handle.relabel_instrument, form, label)

    def name_arm(self, chance: Random) -> Act:
        """An arm gets another name, which only the list of arms shows."""
        number, name = chance.choice(sorted(self.project.arms)), f"Arm {next(self.field_numbers)}"
        return f"name arm {number} {name}", partial(self.handle.relabel_arm, number, name)

    def label_event(self, chance: Random) -> Act:
        """An event gets a label with other capitals: its unique name stays."""
        event = self.project.event_named(chance.choice([e.unique_name for e in self.project.events]))
        return f"label event {event.unique_name}", partial(
            self.handle.rename_event, event.unique_name, event.name.swapcase()
        )

    def designate(self, chance: Random) -> Act:
        """At the screen, an event gets other instruments; values of others stay, undesignated."""
        event = chance.choice([e.unique_name for e in self.project.events])
        forms = [form for form in self.project.dictionary.forms if chance.randint(0, 3)]
        return f"designate {event} {forms}", partial(self.handle.designate, event, forms)

    def settings(self, chance: Random) -> Act:
        """The project gets other settings; perhaps an administrator changes them and no log shows it."""
        changed = {"project_title": f"Small {next(self.field_numbers)}", "project_notes": chance.choice(("", "Notes"))}
        if chance.randint(0, 1):
            return f"settings {changed}", partial(self.handle.change_settings, **changed)
        return f"settings {changed}, not logged", partial(self.project.settings.update, changed)

    def colleague(self, chance: Random) -> Act:
        """A user comes, goes, gets other rights or another group, or changes an e-mail address, which no log shows."""
        name = "colleague"
        if name not in self.project.users:
            return "add user", partial(self.handle.add_user, name)
        acts: tuple[Act, ...] = (
            ("remove user", partial(self.handle.remove_user, name)),
            ("rights of user", partial(self.handle.set_rights, name, design=chance.randint(0, 1))),
            ("export rights of user", partial(self.handle.set_rights, name, forms_export=chance.randint(0, 3))),
            ("profile", partial(self.handle.change_profile, name, email=f"{next(self.field_numbers)}@example.org")),
        )
        return chance.choice(acts)

    def role(self, chance: Random) -> Act:
        """A role is made or changed, or a user gets one."""
        roles = sorted(self.project.roles)
        if not roles:
            return "add role", partial(self.handle.add_role, "Monitor", design=0)
        role, label = chance.choice(roles), f"Role {next(self.field_numbers)}"
        if "colleague" in self.project.users and chance.randint(0, 1):
            role = chance.choice(("", role))
            return f"assign role {role!r}", partial(self.handle.assign_role, "colleague", role)
        return f"change role {label}", partial(self.handle.change_role, role, label, design=chance.randint(0, 1))

    def comment(self, chance: Random) -> Act:
        """Staff comment a field: a row of the log under Manage/Design that is no change of the design."""
        details = 'Add field comment (Record: 1, Event: Start, Field: word, Comment: "Create project field")'
        return "comment", partial(self.handle._log, "nurse1", "manage", "Manage/Design", details)

    def delete_group(self, chance: Random) -> Act:
        """A data access group goes, and its records are in none."""
        name = chance.choice(("north", "south"))
        return f"delete group {name}", partial(self.call, "dag", action="delete", **{"dags[0]": name})
