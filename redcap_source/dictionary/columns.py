"""The columns of a flat record export."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from redcap_source.dictionary.choices import Choice, choices
from redcap_source.model import ExportFieldName, Field


def checkbox_column(field_name: str, code: str) -> str:
    """The export column of a checkbox option. Different codes can have the same column (`A` and `a`, `-1` and `_1`)."""
    return f"{field_name}___{re.sub(r'[^a-z0-9_]', '_', code.lower())}"


def complete_column(form_name: str) -> str:
    """The status column of an instrument."""
    return f"{form_name}_complete"


def timestamp_column(form_name: str) -> str:
    """The column of a survey's completion time, in the server's own time or `[not completed]`."""
    return f"{form_name}_timestamp"


EVENT_COLUMN = "redcap_event_name"


REPEAT_COLUMNS = ("redcap_repeat_instrument", "redcap_repeat_instance")


DATA_ACCESS_GROUP_COLUMN = "redcap_data_access_group"


SURVEY_IDENTIFIER_COLUMN = "redcap_survey_identifier"


def record_id_field(dictionary: Sequence[Field]) -> str:
    """The field that holds the record id: the first of the dictionary."""
    return dictionary[0].field_name


def instrument_names(dictionary: Sequence[Field]) -> list[str]:
    """The instruments in the dictionary's order."""
    return list(dict.fromkeys(field.form_name for field in dictionary))


def field_columns(
    field: Field, export_field_names: Sequence[ExportFieldName] = (), missing_codes: Sequence[Choice] = ()
) -> list[str]:
    """A field's columns in a flat export: none if descriptive, one for each option if a checkbox.

    A checkbox's columns are those of the server's list of export names if that has the field; else those of its choices
    and after them of the project's missing-data codes.
    """
    if field.field_type == "descriptive":
        return []
    if field.field_type != "checkbox":
        return [field.field_name]
    named = [row.export_field_name for row in export_field_names if row.original_field_name == field.field_name]
    computed = [checkbox_column(field.field_name, choice.code) for choice in (*choices(field), *missing_codes)]
    return list(dict.fromkeys(named or computed))


def expected_columns(
    dictionary: Sequence[Field],
    export_field_names: Sequence[ExportFieldName] = (),
    *,
    fields: Collection[str] = (),
    forms: Collection[str] = (),
    longitudinal: bool = False,
    repeating: bool = False,
    data_access_groups: bool = False,
    survey_fields: bool = False,
    survey_forms: Collection[str] = (),
    missing_codes: Sequence[Choice] = (),
) -> list[str]:
    """The columns of a flat record export, in order.

    `fields` and `forms` are those of the request; neither means all. The event and repeat columns are only in an export
    with the record id, which REDCap does not add by itself since version 6. `survey_fields` says that the request asks
    for the columns of surveys, `survey_forms` which instruments are surveys.
    """
    names: dict[str, list[ExportFieldName]] = {}
    for row in export_field_names:
        names.setdefault(row.original_field_name, []).append(row)
    id_field = record_id_field(dictionary)
    wanted = _Wanted(frozenset(fields), frozenset(forms))
    columns = []
    if wanted.field(dictionary[0]):
        columns = [
            id_field,
            *([EVENT_COLUMN] if longitudinal else []),
            *(REPEAT_COLUMNS if repeating else ()),
        ]
    columns += [DATA_ACCESS_GROUP_COLUMN] if data_access_groups else []
    columns += [SURVEY_IDENTIFIER_COLUMN] if survey_fields else []
    for form in instrument_names(dictionary):
        inside = [field for field in dictionary if field.form_name == form and wanted.field(field)]
        own = [
            column
            for field in inside
            for column in field_columns(field, names.get(field.field_name, ()), missing_codes)
        ]
        if survey_fields and form in survey_forms and (own or wanted.status(form)):
            columns.append(timestamp_column(form))
        columns += [column for column in own if column != id_field]
        columns += [complete_column(form)] if wanted.status(form) else []
    return columns


@dataclass(frozen=True, slots=True)
class _Wanted:
    fields: frozenset[str]
    forms: frozenset[str]

    def field(self, field: Field) -> bool:
        everything = not self.fields and not self.forms
        return everything or field.field_name in self.fields or field.form_name in self.forms

    def status(self, form: str) -> bool:
        everything = not self.fields and not self.forms
        return everything or form in self.forms or complete_column(form) in self.fields


def columns_by_field(
    dictionary: Sequence[Field],
    export_field_names: Sequence[ExportFieldName] = (),
    missing_codes: Sequence[Choice] = (),
) -> Iterator[tuple[Field, list[str]]]:
    """Each field with its export columns, in the dictionary's order; descriptive fields with none."""
    names: dict[str, list[ExportFieldName]] = {}
    for row in export_field_names:
        names.setdefault(row.original_field_name, []).append(row)
    for field in dictionary:
        yield field, field_columns(field, names.get(field.field_name, ()), missing_codes)
