"""What a field means: its kind of value, its choices, its columns in an export, what its validation accepts.

Pure knowledge of the data dictionary, under REDCap's rules. Rows become values in model.py; nothing here asks a
server or touches a participant's value beyond judging whether it has the right form.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from redcap_source.model import ExportFieldName, Field


class ValueKind(Enum):
    """What a field's values are."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    NUMBER_COMMA = "number_comma"
    DATE = "date"
    DATETIME = "datetime"
    DATETIME_SECONDS = "datetime_seconds"
    TIME = "time"
    TIME_SECONDS = "time_seconds"
    MINUTES_SECONDS = "minutes_seconds"
    BOOLEAN_YESNO = "yesno"
    BOOLEAN_TRUEFALSE = "truefalse"
    CHECKBOX = "checkbox"
    CHOICE = "choice"
    SLIDER = "slider"
    CALC = "calc"
    FILE = "file"
    STATUS = "status"
    DESCRIPTIVE = "descriptive"


# --- Choices --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a field: the code REDCap stores and the label people see. Codes are text: `01` is not `1`."""

    code: str
    label: str


def parse_choices(text: str) -> tuple[Choice, ...]:
    """The options of `code, label | code, label`; where none has a comma, each is its own code.

    Labels may hold commas and HTML. A piece without a comma behind one that has a comma belongs to that one's label,
    with what stands between them: `1, Left | right | 2, Up` are two options. Dictionaries of old separate options by
    line ends where there is no `|` at all.
    """
    separator = "|" if "|" in text else "\n"
    found: list[str] = []
    between = ""
    for piece in text.split(separator):
        if not piece.strip():
            between += separator + piece
        elif found and "," not in piece and "," in found[-1]:
            found[-1] += between + separator + piece
            between = ""
        else:
            found.append(piece)
            between = ""
    return tuple(map(_choice, found))


def _choice(part: str) -> Choice:
    code, comma, label = part.partition(",")
    return Choice(code.strip(), label.strip() if comma else code.strip())


YES_NO = (Choice("1", "Yes"), Choice("0", "No"))
TRUE_FALSE = (Choice("1", "True"), Choice("0", "False"))
STATUS_CHOICES = (Choice("0", "Incomplete"), Choice("1", "Unverified"), Choice("2", "Complete"))
_CHOICE_TYPES = {"radio", "dropdown", "checkbox"}


def choices(field: Field) -> tuple[Choice, ...]:
    """A field's options, the implied ones of yes-no and true-false included; none for other kinds.

    Not of `sql` fields: their column holds the query, and what it yields only the server knows.
    """
    if field.field_type == "yesno":
        return YES_NO
    if field.field_type == "truefalse":
        return TRUE_FALSE
    return parse_choices(field.select_choices_or_calculations) if field.field_type in _CHOICE_TYPES else ()


def missing_data_codes(text: str | None) -> tuple[Choice, ...]:
    """The project's codes for missing data, which may stand in any field whatever its kind."""
    return parse_choices(text or "")


def missing_codes_of(field: Field, codes: Sequence[Choice]) -> tuple[Choice, ...]:
    """Those of the project's codes that stand for missing data in a field's values.

    None where the field is tagged @NOMISSING. One that is also a choice of the field is the choice; the cells of a
    checkbox's options hold 1 and 0.
    """
    if "@NOMISSING" in action_tags(field):
        return ()
    own = {"0", "1"} if field.field_type == "checkbox" else {choice.code for choice in choices(field)}
    return tuple(choice for choice in codes if choice.code not in own)


# --- Kinds ----------------------------------------------------------------------------------------------------


_VALIDATED: Mapping[str, ValueKind] = {
    "integer": ValueKind.INTEGER,
    "int": ValueKind.INTEGER,
    "number": ValueKind.NUMBER,
    "float": ValueKind.NUMBER,
    "number_comma_decimal": ValueKind.NUMBER_COMMA,
    "time": ValueKind.TIME,
    "time_hh_mm_ss": ValueKind.TIME_SECONDS,
    "time_mm_ss": ValueKind.MINUTES_SECONDS,
    **{f"date_{order}": ValueKind.DATE for order in ("ymd", "mdy", "dmy")},
    **{f"datetime_{order}": ValueKind.DATETIME for order in ("ymd", "mdy", "dmy")},
    **{f"datetime_seconds_{order}": ValueKind.DATETIME_SECONDS for order in ("ymd", "mdy", "dmy")},
    **{f"number_{places}dp": ValueKind.NUMBER for places in range(1, 5)},
    **{f"number_{places}dp_comma_decimal": ValueKind.NUMBER_COMMA for places in range(1, 5)},
}
_BY_TYPE: Mapping[str, ValueKind] = {
    "yesno": ValueKind.BOOLEAN_YESNO,
    "truefalse": ValueKind.BOOLEAN_TRUEFALSE,
    "checkbox": ValueKind.CHECKBOX,
    "radio": ValueKind.CHOICE,
    "dropdown": ValueKind.CHOICE,
    "sql": ValueKind.CHOICE,
    "slider": ValueKind.SLIDER,
    "calc": ValueKind.CALC,
    "file": ValueKind.FILE,
    "descriptive": ValueKind.DESCRIPTIVE,
}


CALCULATION_TAG = r"@CALC(?:TEXT|DATE)\b"
"""The action tags that make a field of another type a calculated one; a regular expression of Python and of DuckDB."""


def value_kind(field: Field) -> ValueKind:
    """The kind of a field's values; text where an administrator's own validation type says nothing we know."""
    if field.field_type == "text":
        return _VALIDATED.get(field.text_validation_type_or_show_slider_number, ValueKind.TEXT)
    if field.field_type == "calc" and re.search(CALCULATION_TAG, field.field_annotation):
        return ValueKind.TEXT
    return _BY_TYPE.get(field.field_type, ValueKind.TEXT)


def is_identifier(field: Field) -> bool:
    """Whether the field is tagged as one that can identify a participant."""
    return field.identifier.lower() == "y"


def is_calculated(field: Field) -> bool:
    """Whether the server computes the field, so that what is imported into it is ignored."""
    return field.field_type == "calc" or bool(re.search(CALCULATION_TAG, field.field_annotation))


def action_tags(field: Field) -> frozenset[str]:
    """The action tags in the field's annotation, upper case, without their arguments."""
    return frozenset(re.findall(r"(?<!\w)@[A-Z][A-Z0-9_-]*", field.field_annotation.upper()))


# --- Validation -----------------------------------------------------------------------------------------------


_DATE = r"[0-9]{1,4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01])"
_HOUR_MINUTE = r"([0-9]|[01][0-9]|2[0-3]):[0-5][0-9]"
_CLOCK_SECONDS = r"([0-9]|[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_NUMBER = r"[-+]?(([0-9]+\.?[0-9]*)|(\.[0-9]+))([Ee][+-]?[0-9]+)?"
# From REDCap's shipped validation types, as public clients mirror them; administrators may add or change some.
# A type that is not here is not checked: the server's own list is the authority.
VALIDATION_PATTERNS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.I if name in ("email", "alpha_only", "postalcode_canada") else 0)
    for name, pattern in {
        **{f"date_{order}": _DATE for order in ("ymd", "mdy", "dmy")},
        **{f"datetime_{order}": f"{_DATE} {_HOUR_MINUTE}" for order in ("ymd", "mdy", "dmy")},
        **{f"datetime_seconds_{order}": f"{_DATE} {_CLOCK_SECONDS}" for order in ("ymd", "mdy", "dmy")},
        "time": _HOUR_MINUTE,
        "time_hh_mm_ss": _CLOCK_SECONDS,
        "time_mm_ss": r"[0-5]?[0-9]:[0-5][0-9]",
        "integer": r"[-+]?[0-9]+",
        "number": _NUMBER,
        "number_comma_decimal": _NUMBER.replace(r"\.", ","),
        **{f"number_{places}dp": rf"[-+]?[0-9]*\.[0-9]{{{places}}}" for places in range(1, 5)},
        **{f"number_{places}dp_comma_decimal": rf"[-+]?[0-9]*,[0-9]{{{places}}}" for places in range(1, 5)},
        "email": r"[A-Z0-9._%+'-]+@[A-Z0-9.-]+\.[A-Z]{2,}",
        "zipcode": r"\d{5}(-\d{4})?",
        "ssn": r"\d{3}-\d{2}-\d{4}",
        "mrn_10d": r"\d{10}",
        "vmrn": r"\d{4,9}",
        "alpha_only": r"[a-z]+",
        "postalcode_canada": r"[ABCEGHJ-NPRSTVXY]\d[A-Z] ?\d[A-Z]\d",
        "postalcode_australia": r"\d{4}",
        "postalcode_french": r"\d{5}",
        "postalcode_germany": r"\d{5}",
    }.items()
}
_PHONE = re.compile(r"[2-9][0-8][0-9][2-9][0-9]{6}")


def passes_validation(field: Field, value: str) -> bool:
    """Whether a text field's validation accepts the value; True for types whose rule is not known here.

    Numbers of fixed places need exactly that many: `22` is refused where `22.0` is accepted.
    """
    kind = field.text_validation_type_or_show_slider_number
    if field.field_type != "text" or not kind:
        return True
    if kind == "phone":
        digits = re.sub(r"^\+?1(?=\D*\d{3}\D*\d{3}\D*\d{4}\b)", "", value.strip())
        return _PHONE.match(re.sub(r"\D", "", digits)) is not None
    pattern = VALIDATION_PATTERNS.get(kind)
    return pattern is None or pattern.fullmatch(value) is not None


# --- Columns --------------------------------------------------------------------------------------------------


def checkbox_column(field_name: str, code: str) -> str:
    """The export column of a checkbox option. Distinct codes can collide (`A` and `a`, `-1` and `_1`)."""
    return f"{field_name}___{re.sub(r'[^a-z0-9_]', '_', code.lower())}"


def complete_column(form_name: str) -> str:
    """The status column of an instrument."""
    return f"{form_name}_complete"


def timestamp_column(form_name: str) -> str:
    """The completion time of a survey instrument, in the server's own time or `[not completed]`."""
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

    The server's own list of export names decides where it names the field; else the choices do, and after them the
    project's missing-data codes.
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

    `fields` and `forms` are what the export asks for; neither means everything. The event and repeat columns come
    only with the record id, which is not added by itself since REDCap 6. `survey_fields` says the export asks for
    the survey's own columns, `survey_forms` which instruments are surveys.
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
