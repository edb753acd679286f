"""REDCap's nouns as frozen values, each made from one row of an answer.

Rows are bound by key name: unknown keys are kept in `extra`, and a key the server did not send is None, which means
unknown, not false (the key lists grew with every REDCap version). Numbers come as numbers or as text, by version
and format; both are accepted. Participants' values stay out of every repr.
What a field means is dictionary.py's business.
"""

# ruff: noqa: RUF009 - _column and _rest only make dataclass fields
import dataclasses
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, cast

Row = Mapping[str, Any]


class MissingKeyError(ValueError):
    """A row lacks the key that names it."""


# --- Reading one cell of a row --------------------------------------------------------------------------------


def text(value: Any) -> str:
    """Text; JSON's null is the blank REDCap means by it."""
    return "" if value is None else str(value)


def whole(value: Any) -> int | None:
    """A whole number; None where it is blank or no number."""
    try:
        return int(str(value).strip())
    except ValueError:
        return None


def flag(value: Any) -> bool | None:
    """A yes or no, however spelt; None where it is blank or neither."""
    if isinstance(value, bool):
        return value
    return _FLAGS.get(str(value).strip().lower())


_FLAGS = {
    "1": True,
    "true": True,
    "y": True,
    "yes": True,
    "0": False,
    "false": False,
    "n": False,
    "no": False,
}


def number_or_text(value: Any) -> int | str:
    """A right's level: a number as a rule, kept as text where it is a word."""
    number = whole(value)
    return text(value) if number is None else number


def per_form(value: Any) -> Mapping[str, int | str]:
    """Rights by instrument: an object in JSON, `form1:1,form2:0` in CSV."""
    if isinstance(value, Mapping):
        return {str(name): number_or_text(level) for name, level in value.items()}
    pairs = (pair.rpartition(":") for pair in text(value).split(",") if ":" in pair)
    return {name.strip(): number_or_text(level) for name, _, level in pairs}


def _column(
    read: Callable[[Any], Any] = text,
    *,
    required: bool = False,
    private: bool = False,
    also: tuple[str, ...] = (),
) -> Any:
    """A cell of the row; `also` lists other keys that versions have used for it."""
    facts = {"read": read, "required": required, "keys": also}
    if required:
        return dataclasses.field(repr=not private, metadata=facts)
    return dataclasses.field(default=None, repr=not private, metadata=facts)


def _rest() -> Any:
    return dataclasses.field(default_factory=dict, repr=False, hash=False)


@cache
def _cells(bound: Any) -> tuple[tuple[str, tuple[str, ...], Callable[[Any], Any], bool], ...]:
    """The cells a row is bound by: name, keys, how it is read, whether it must be there. A dictionary has thousands."""
    return tuple(
        (column.name, (column.name, *column.metadata["keys"]), column.metadata["read"], column.metadata["required"])
        for column in dataclasses.fields(bound)
        if column.name not in ("extra", "rights")
    )


@dataclass(frozen=True, slots=True)
class Bound:
    """Binds a row to the fields of a dataclass by key name."""

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """The value of one row; MissingKeyError where the row lacks what names it."""
        left = dict(row)
        values = {}
        for name, keys, read, required in _cells(cast("Hashable", cls)):
            key = next((key for key in keys if key in left), None)
            if key is not None:
                values[name] = read(left.pop(key))
            elif required:
                raise MissingKeyError(f"{cls.__name__} without {name}; its keys are {', '.join(sorted(row))}.")
        return cls(**values, **cls._of_the_rest(left))

    @classmethod
    def _of_the_rest(cls, left: dict[str, Any]) -> dict[str, Any]:
        return {"extra": left}

    def as_row(self) -> dict[str, Any]:
        """The row as an import wants it: what is unknown is left out."""
        row: dict[str, Any] = {}
        for column in dataclasses.fields(self):
            value = getattr(self, column.name)
            if column.name in ("extra", "rights"):
                row |= value
            elif value is not None:
                row[column.name] = value
        return row


# --- The project and its structure ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProjectInfo(Bound):
    """The project's settings (`content=project`). There is no time zone among them, nor anywhere in the API."""

    project_id: int | None = _column(whole)
    project_title: str | None = _column()
    creation_time: str | None = _column()
    production_time: str | None = _column()
    in_production: bool | None = _column(flag)
    project_language: str | None = _column()
    purpose: int | None = _column(whole)
    purpose_other: str | None = _column()
    project_notes: str | None = _column()
    custom_record_label: str | None = _column()
    secondary_unique_field: str | None = _column()
    is_longitudinal: bool | None = _column(flag)
    has_repeating_instruments_or_events: bool | None = _column(flag)
    surveys_enabled: bool | None = _column(flag)
    scheduling_enabled: bool | None = _column(flag)
    record_autonumbering_enabled: bool | None = _column(flag)
    randomization_enabled: bool | None = _column(flag)
    ddp_enabled: bool | None = _column(flag)
    project_irb_number: str | None = _column()
    project_grant_number: str | None = _column()
    project_pi_firstname: str | None = _column()
    project_pi_lastname: str | None = _column()
    project_pi_email: str | None = _column()
    display_today_now_button: bool | None = _column(flag)
    missing_data_codes: str | None = _column()
    external_modules: str | None = _column()
    bypass_branching_erase_field_prompt: bool | None = _column(flag)
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class Field(Bound):
    """One row of the data dictionary, under REDCap's own column names. `<instrument>_complete` is never listed."""

    field_name: str = _column(required=True)
    form_name: str = _column(required=True)
    field_type: str = _column(required=True)
    section_header: str = ""
    field_label: str = ""
    select_choices_or_calculations: str = ""
    field_note: str = ""
    text_validation_type_or_show_slider_number: str = ""
    text_validation_min: str = ""
    text_validation_max: str = ""
    identifier: str = ""
    branching_logic: str = ""
    required_field: str = ""
    custom_alignment: str = ""
    question_number: str = ""
    matrix_group_name: str = ""
    matrix_ranking: str = ""
    field_annotation: str = ""
    extra: Row = _rest()

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """The value of one row; MissingKeyError where the row lacks the field's name, form or type.

        Dictionaries of every version have carried the other columns, so an absent one reads as blank.
        """
        missing = {"field_name", "form_name", "field_type"} - set(row)
        if missing:
            raise MissingKeyError(f"A field without {', '.join(sorted(missing))}.")
        known = _IN_DICTIONARY
        extra = {key: value for key, value in row.items() if key not in known}
        return cls(**{key: text(value) for key, value in row.items() if key in known}, extra=extra)

    def as_row(self) -> dict[str, str]:
        """The eighteen columns in REDCap's order, as a dictionary import wants them."""
        return {name: getattr(self, name) for name in DICTIONARY_COLUMNS}


DICTIONARY_COLUMNS = (
    "field_name",
    "form_name",
    "section_header",
    "field_type",
    "field_label",
    "select_choices_or_calculations",
    "field_note",
    "text_validation_type_or_show_slider_number",
    "text_validation_min",
    "text_validation_max",
    "identifier",
    "branching_logic",
    "required_field",
    "custom_alignment",
    "question_number",
    "matrix_group_name",
    "matrix_ranking",
    "field_annotation",
)
_IN_DICTIONARY = frozenset(DICTIONARY_COLUMNS)


@dataclass(frozen=True, slots=True)
class ExportFieldName(Bound):
    """A column of a record export and the field it comes from; one for each option of a checkbox."""

    original_field_name: str = _column(required=True)
    export_field_name: str = _column(required=True)
    choice_value: str | None = _column()
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class Instrument(Bound):
    """An instrument (REDCap's API calls it form, too)."""

    instrument_name: str = _column(required=True)
    instrument_label: str | None = _column()
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class Arm(Bound):
    """An arm of a longitudinal project; REDCap leaves out arms without events."""

    arm_num: int = _column(whole, required=True)
    name: str | None = _column()
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class Event(Bound):
    """An event. Its unique name changes when its label is edited, so `event_id` tells an event through time."""

    unique_event_name: str = _column(required=True)
    event_name: str | None = _column()
    arm_num: int | None = _column(whole)
    custom_event_label: str | None = _column()
    event_id: int | None = _column(whole)
    day_offset: str | None = _column(also=("days_offset",))
    offset_min: str | None = _column()
    offset_max: str | None = _column()
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class FormEvent(Bound):
    """An instrument designated for an event."""

    unique_event_name: str = _column(required=True)
    form: str = _column(required=True)
    arm_num: int | None = _column(whole)
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class RepeatingForm(Bound):
    """A repeating instrument, or with a blank `form_name` an event that repeats as a whole.

    `event_name` is the unique event name; None in classic projects.
    """

    form_name: str | None = _column()
    event_name: str | None = _column()
    custom_form_label: str | None = _column()
    extra: Row = _rest()


# --- Users, roles, data access groups -------------------------------------------------------------------------


# Keys of the user and role exports that are levels of rights, in every version on record (REDCap API, Users).
RIGHTS = (
    "design",
    "alerts",
    "user_rights",
    "data_access_groups",
    "reports",
    "stats_and_charts",
    "manage_survey_participants",
    "calendar",
    "data_import_tool",
    "data_comparison_tool",
    "logging",
    "email_logging",
    "file_repository",
    "data_quality_create",
    "data_quality_execute",
    "data_quality_resolution",
    "data_export",
    "api_export",
    "api_import",
    "api_modules",
    "mobile_app",
    "mobile_app_download_data",
    "mycap_participants",
    "record_create",
    "record_rename",
    "record_delete",
    "lock_records_all_forms",
    "lock_records",
    "lock_records_customization",
    "random_setup",
    "random_dashboard",
    "random_perform",
)


@dataclass(frozen=True, slots=True)
class _Rightful(Bound):
    """Whoever holds rights: they differ by version, so they are a mapping and not attributes."""

    @classmethod
    def _of_the_rest(cls, left: dict[str, Any]) -> dict[str, Any]:
        rights = {name: number_or_text(left.pop(name)) for name in RIGHTS if name in left}
        return {"rights": rights, "extra": left}


@dataclass(frozen=True, slots=True)
class User(_Rightful):
    """A user of the project. `rights` holds the levels the server sent, by REDCap's names.

    `forms` and `forms_export` are levels by instrument; before about 11 there is one `data_export` right instead.
    Levels of `forms` are 0 to 3, since 15.6 also 128 and above.
    """

    username: str = _column(required=True)
    email: str | None = _column()
    firstname: str | None = _column()
    lastname: str | None = _column()
    expiration: str | None = _column()
    data_access_group: str | None = _column()
    data_access_group_id: int | None = _column(whole)
    data_access_group_label: str | None = _column()
    forms: Mapping[str, int | str] | None = _column(per_form)
    forms_export: Mapping[str, int | str] | None = _column(per_form)
    rights: Mapping[str, int | str] = dataclasses.field(default_factory=dict, hash=False)
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class UserRole(_Rightful):
    """A user role; `unique_role_name` is `U-` and ten characters."""

    unique_role_name: str = _column(required=True)
    role_label: str | None = _column()
    forms: Mapping[str, int | str] | None = _column(per_form)
    forms_export: Mapping[str, int | str] | None = _column(per_form)
    rights: Mapping[str, int | str] = dataclasses.field(default_factory=dict, hash=False)
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class RoleAssignment(Bound):
    """A user's role; blank for a user without one."""

    username: str = _column(required=True)
    unique_role_name: str | None = _column()
    data_access_group: str | None = _column()
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class DataAccessGroup(Bound):
    """A data access group; records carry its unique name."""

    unique_group_name: str = _column(required=True)
    data_access_group_name: str | None = _column()
    data_access_group_id: int | None = _column(whole)
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class DataAccessGroupAssignment(Bound):
    """A user's data access group; blank for a user outside all groups, who sees every record."""

    username: str = _column(required=True)
    redcap_data_access_group: str | None = _column()
    extra: Row = _rest()


# --- The log --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogRow(Bound):
    """A row of the project's log. The time is the server's own, in whole minutes; there is no id.

    `details` quotes values and `action` and `record` name the participant, so they stay out of the repr.
    `record` is None before REDCap 12 or so.
    """

    timestamp: str = _column(required=True)
    username: str | None = _column()
    action: str | None = _column(private=True)
    details: str | None = _column(private=True)
    record: str | None = _column(private=True)
    extra: Row = _rest()


# --- Surveys, files, randomization ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Participant(Bound):
    """A row of a survey's participant list; nothing of it is in the repr, and its link opens the survey.

    `response_status` is 0 for none, 1 for partial, 2 for complete.
    """

    email: str | None = _column(private=True)
    email_occurrence: int | None = _column(whole, private=True)
    identifier: str | None = _column(private=True)
    record: str | None = _column(private=True)
    invitation_sent_status: int | None = _column(whole, private=True)
    invitation_send_time: str | None = _column(private=True)
    response_status: int | None = _column(whole, private=True)
    survey_access_code: str | None = _column(private=True)
    survey_link: str | None = _column(private=True)
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class RepositoryItem(Bound):
    """A file (with a `doc_id`) or a folder (with a `folder_id`) of the file repository."""

    folder_id: int | None = _column(whole)
    doc_id: int | None = _column(whole)
    name: str | None = _column(private=True)
    role: str | None = _column()
    dag: str | None = _column()
    extra: Row = _rest()


@dataclass(frozen=True, slots=True)
class Randomization(Bound):
    """What a record was randomized to; `target_field_alt` is `*` where it is concealed."""

    randomization_id: int | None = _column(whole)
    record: str | None = _column(private=True)
    target_field: str | None = _column(private=True)
    target_field_alt: str | None = _column(private=True)
    extra: Row = _rest()
