"""The project's settings and structure: dictionary, instruments, arms, events, repeating setup."""

from dataclasses import dataclass
from typing import Self

from redcap_source.model.rows import ApiRow, MissingKeyError, Row, flag, from_key, rest, text, whole


@dataclass(frozen=True, slots=True)
class ProjectInfo(ApiRow):
    """The project's settings (`content=project`). There is no time zone among them, nor anywhere in the API."""

    project_id: int | None = from_key(whole)
    project_title: str | None = from_key()
    creation_time: str | None = from_key()
    production_time: str | None = from_key()
    in_production: bool | None = from_key(flag)
    project_language: str | None = from_key()
    purpose: int | None = from_key(whole)
    purpose_other: str | None = from_key()
    project_notes: str | None = from_key()
    custom_record_label: str | None = from_key()
    secondary_unique_field: str | None = from_key()
    is_longitudinal: bool | None = from_key(flag)
    has_repeating_instruments_or_events: bool | None = from_key(flag)
    surveys_enabled: bool | None = from_key(flag)
    scheduling_enabled: bool | None = from_key(flag)
    record_autonumbering_enabled: bool | None = from_key(flag)
    randomization_enabled: bool | None = from_key(flag)
    ddp_enabled: bool | None = from_key(flag)
    project_irb_number: str | None = from_key()
    project_grant_number: str | None = from_key()
    project_pi_firstname: str | None = from_key()
    project_pi_lastname: str | None = from_key()
    project_pi_email: str | None = from_key()
    display_today_now_button: bool | None = from_key(flag)
    missing_data_codes: str | None = from_key()
    external_modules: str | None = from_key()
    bypass_branching_erase_field_prompt: bool | None = from_key(flag)
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class Field(ApiRow):
    """One row of the data dictionary, under REDCap's own column names. `<instrument>_complete` is never listed."""

    field_name: str = from_key(required=True)
    form_name: str = from_key(required=True)
    field_type: str = from_key(required=True)
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
    extra: Row = rest()

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """The value of one row; MissingKeyError if the row lacks the field's name, form or type.

        Dictionaries of every version have the other columns, so an absent one is blank.
        """
        missing = {"field_name", "form_name", "field_type"} - set(row)
        if missing:
            raise MissingKeyError(f"A field without {', '.join(sorted(missing))}.")
        known = _IN_DICTIONARY
        extra = {key: value for key, value in row.items() if key not in known}
        return cls(**{key: text(value) for key, value in row.items() if key in known}, extra=extra)

    def as_row(self) -> dict[str, str]:
        """The eighteen columns in REDCap's order, as for a dictionary import."""
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
class ExportFieldName(ApiRow):
    """A column of a record export and its field; one for each option of a checkbox."""

    original_field_name: str = from_key(required=True)
    export_field_name: str = from_key(required=True)
    choice_value: str | None = from_key()
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class Instrument(ApiRow):
    """An instrument (REDCap's API also calls it a form)."""

    instrument_name: str = from_key(required=True)
    instrument_label: str | None = from_key()
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class Arm(ApiRow):
    """An arm of a longitudinal project; REDCap leaves out arms without events."""

    arm_num: int = from_key(whole, required=True)
    name: str | None = from_key()
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class Event(ApiRow):
    """An event. Its unique name changes when its label is edited; its `event_id` does not."""

    unique_event_name: str = from_key(required=True)
    event_name: str | None = from_key()
    arm_num: int | None = from_key(whole)
    custom_event_label: str | None = from_key()
    event_id: int | None = from_key(whole)
    day_offset: str | None = from_key(also=("days_offset",))
    offset_min: str | None = from_key()
    offset_max: str | None = from_key()
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class FormEvent(ApiRow):
    """An instrument designated for an event."""

    unique_event_name: str = from_key(required=True)
    form: str = from_key(required=True)
    arm_num: int | None = from_key(whole)
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class RepeatingForm(ApiRow):
    """A repeating instrument, or with a blank `form_name` an event that repeats as a whole.

    `event_name` is the unique event name; None in classic projects.
    """

    form_name: str | None = from_key()
    event_name: str | None = from_key()
    custom_form_label: str | None = from_key()
    extra: Row = rest()
