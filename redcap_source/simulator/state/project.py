"""One project as a REDCap server knows it: its design, its people, its records, its log.

Not here: changing records (rules/saving.py), answering requests (api/).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import RLock

from redcap_source.simulator.state.design import Design
from redcap_source.simulator.state.dictionary import Dictionary, parse_missing_codes
from redcap_source.simulator.state.log import Log
from redcap_source.simulator.state.records import RecordStore
from redcap_source.simulator.state.users import Rights, Role, User


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
    """A folder of the file repository; parent 0 is the top. With a group or a role it is closed to all others."""

    name: str
    parent: int = 0
    group: str = ""
    role: str = ""


@dataclass(frozen=True)
class RepositoryFile:
    """A file of the file repository and the folder that holds it."""

    file: StoredFile
    folder: int = 0


@dataclass(frozen=True)
class Report:
    """A saved report: what it shows, what limits it, and how it is ordered."""

    title: str
    fields: tuple[str, ...]
    logic: str = ""
    # Whether all rows of a record are shown if one of them matches the logic.
    whole_records: bool = False
    # Only these events and data access groups are shown; an empty tuple is all.
    events: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    # Fields to sort by and whether they are descending, most important first; ties keep REDCap's order.
    order: tuple[tuple[str, bool], ...] = ()
    shows_groups: bool = False
    shows_survey_fields: bool = False
    combines_checkboxes: bool = False
    folds_lines: bool = True


@dataclass(frozen=True)
class Allocation:
    """One line of an allocation table."""

    group: str
    # The randomization number, or where that is concealed the group itself.
    alternative: str = ""
    # The values of the strata that it is for.
    stratum: tuple[str, ...] = ()


@dataclass(frozen=True)
class Randomization:
    """A randomization: the field that it fills, its strata, and the allocations that are left."""

    target_field: str
    target_event: int = 0
    allocations: tuple[Allocation, ...] = ()
    # The fields whose values select a part of the table.
    strata: tuple[str, ...] = ()
    is_concealed: bool = False


@dataclass
class Project(Design):
    """The whole state of a project."""

    groups: dict[str, Group] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    # People who edit at the screen but are not set up as users; no export shows them.
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
    # Two settings that project information does not show, though exports of users list the rights that belong to them.
    mycap_enabled: bool = False
    data_resolution_enabled: bool = False
    name: str = ""
    api_user: str = ""
    lock: RLock = field(default_factory=RLock)

    @property
    def title(self) -> str:
        """The title people see."""
        return str(self.settings["project_title"])

    @property
    def project_id(self) -> int:
        """The number of the project on its server."""
        return int(self.settings["project_id"])

    def user(self, username: str) -> User:
        """The user of that name, or the guest."""
        return self.users.get(username) or self.guests[username]

    def rights_of(self, username: str) -> Rights:
        """What a user may do, by role or by rights of the user's own."""
        user = self.user(username)
        if user.role and user.role in self.roles:
            role = self.roles[user.role]
            return Rights(role.rights, role.forms, role.forms_export)
        return Rights(user.rights, user.forms, user.forms_export, user.everything)

    def set_missing_codes(self, text: str) -> None:
        """Set the project's missing data codes, given as text."""
        self.settings["missing_data_codes"] = text
        self.dictionary = Dictionary(
            self.dictionary.fields,
            form_labels=self.dictionary.form_labels,
            missing_codes=parse_missing_codes(text),
        )

    def follow_dictionary(self, forms_before: tuple[str, ...]) -> None:
        """Designate new instruments to the first event, which in a classic project has all of them."""
        new = tuple(form for form in self.dictionary.forms if form not in forms_before)
        if not self.is_longitudinal:
            self.mapping |= {event.event_id: self.dictionary.forms for event in self.shown_events()}
        elif new:
            first = self.first_event().event_id
            self.mapping[first] = (*self.mapping.get(first, ()), *new)

    def refresh(self) -> None:
        """Update the settings that follow from others."""
        self.settings["has_repeating_instruments_or_events"] = int(self.has_repeats)
        self.settings["surveys_enabled"] = int(bool(self.surveys) or bool(self.settings["surveys_enabled"]))

    def next_file_id(self) -> int:
        """An unused document id."""
        return max(self.files, default=21) + 1

    def add_group(self, name: str, label: str = "") -> None:
        """Add a data access group under a unique name, if there is none of that name."""
        if name not in self.groups:
            number = max((group.group_id for group in self.groups.values()), default=0) + 1
            self.groups[name] = Group(number, label or name, name)
