"""What may be written where: a project's structure and its configuration as rules about single cells. Pure.

Whether the value in REDCap is still the one that was seen is decide.py's business; every rule here can be checked
before anything is read. Facts are REDCAP API, sections Record import and Fields.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from pipelines.structure import Structure
from pipelines.warehouse.proposals import Cell, Proposal
from pipelines.writeback.record_ids import trimmed
from pipelines.writeback.values import CLOCKS, DATES, NUMBERS, canonical, number
from redcap_source import dictionary, model
from redcap_source.dictionary import ValueKind

NEW = re.compile(r"new([-:]\w{1,40})?")
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
# All that any program takes for the end of a line: those of ASCII, and Unicode's own three.
_LINE_BREAK = re.compile(r"[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_NUMBERED = re.compile(r"[1-9]\d{0,5}", re.ASCII)


class Why(StrEnum):
    """Why a cell is not written, or is written with a warning. They are counted, so no value stands in them."""

    UNKNOWN_FIELD = "the project has no such field"
    NOT_ALLOWED = "projects.yaml does not allow this field to be written"
    NOT_LOADED = "projects.yaml leaves this instrument out of the warehouse"
    IDENTIFIER = "an identifier, which projects.yaml keeps out of the warehouse"
    RECORD_ID = "the record id: records are renamed in REDCap"
    OWN_COLUMN = "a column that REDCap fills in itself"
    CHECKBOX_WHOLE = "a checkbox is written option by option, as field___code"
    CALCULATED = "calculated by REDCap"
    FILE = "a file cannot be written as a value"
    DESCRIPTIVE = "a descriptive field holds no value"
    READ_ONLY = "tagged @READONLY"
    OTHER_INSTRUMENT = "the field belongs to another instrument"
    NO_EVENT = "names no event, in a longitudinal project"
    UNKNOWN_EVENT = "the project has no such event"
    CLASSIC_EVENT = "names an event, in a project without events"
    NOT_DESIGNATED = "the instrument is not designated for the event"
    NO_INSTANCE = "names no instance, where the instrument or its event repeats"
    BAD_INSTANCE = "the instance is neither a number nor new"
    NOT_REPEATING = "names an instance, where nothing repeats"
    REPEATING_UNKNOWN = "names an instance, and the token may not read what repeats (Project Design right)"
    NO_RECORD = "names no record"
    BLANK = "blank without clear: nothing to write"
    BAD_CHOICE = "not one of the field's choices"
    BAD_FORMAT = "does not follow the field's validation"
    NO_SUCH_DATE = "not a date of the calendar"
    BAD_TEXT = "holds a character that no text may hold"
    LINE_BREAK = "holds a line break, and the field has a single line"
    STATUS_BLANK = "a form status cannot be blank"
    WAS_INVALID = "was invalid when it was last decided about; propose it again if it is still wanted"
    # Known only once REDCap has been read.
    ALIKE = "REDCap may take the record id for another one, which differs only in blanks, letter case or accents"
    OUT_OF_REACH = "REDCap refuses the token this record"
    UNKNOWN_RECORD = "REDCap has no such record"
    UNKNOWN_INSTANCE = "REDCap has no such instance"
    HIDDEN = "the token may not see this field, so it cannot be compared"
    GRAY_STATUS = "the form has never been opened, so its status cannot be set alone"
    TAKEN = "another record has this value, and the field is the secondary unique one"
    TWICE = "the same cell is proposed twice"
    CONTRADICTION = "the same cell is proposed twice, with different values"
    CHANGED = "REDCap holds another value than was seen"
    # Warnings.
    TRIMMED = "the record is made without the blanks at the ends of its id"
    BELOW = "below the field's minimum"
    ABOVE = "above the field's maximum"


PASSING = frozenset(
    {
        Why.ALIKE,
        Why.OUT_OF_REACH,
        Why.UNKNOWN_RECORD,
        Why.UNKNOWN_INSTANCE,
        Why.HIDDEN,
        Why.GRAY_STATUS,
        Why.TAKEN,
        Why.TWICE,
        Why.CONTRADICTION,
    }
)
"""Reasons that lie in what REDCap holds, in the other proposals or in what was asked for: a plan that found them says
nothing about the next. All others lie in the proposal and the rules; what they ruled out stays so when those change."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One column of REDCap's export, as far as writing to it is concerned."""

    column: str
    instrument: str
    kind: ValueKind
    field: model.Field | None
    """None for the status of a form, which no dictionary lists."""
    codes: frozenset[str] | None = None
    """The choices there are; None where the field has none, or only the server knows them."""
    tags: frozenset[str] = frozenset()

    @property
    def base(self) -> str:
        """The name under which the column is asked for; a checkbox's options come together."""
        return self.column if self.field is None else self.field.field_name

    @property
    def validation(self) -> str:
        """The field's validation type, blank where it has none."""
        return "" if self.field is None else self.field.text_validation_type_or_show_slider_number

    @property
    def status(self) -> bool:
        """Whether it is the status of a form."""
        return self.kind is ValueKind.STATUS


@dataclass(frozen=True, slots=True)
class Allowed:
    """What projects.yaml lets write-back touch."""

    fields: frozenset[str] = frozenset()
    instruments: frozenset[str] = frozenset()

    def __contains__(self, rule: object) -> bool:
        return isinstance(rule, Rule) and (
            rule.column in self.fields or rule.base in self.fields or rule.instrument in self.instruments
        )


def column_rules(
    fields: Sequence[model.Field],
    instruments: Collection[str],
    export_field_names: Sequence[model.ExportFieldName] = (),
    missing: Sequence[dictionary.Choice] = (),
) -> dict[str, Rule]:
    """Every column that a value can stand in, by its name in an export; the record id is none."""
    rules: dict[str, Rule] = {}
    for field, columns in dictionary.columns_by_field(fields, export_field_names, missing):
        kind = dictionary.value_kind(field)
        # Descriptive fields have no column; they are listed so that the refusal can say what they are.
        for column in columns or [field.field_name]:
            rules[column] = Rule(column, field.form_name, kind, field, _codes(field), dictionary.action_tags(field))
    rules.pop(fields[0].field_name, None)
    for instrument in instruments:
        column = dictionary.complete_column(instrument)
        rules[column] = Rule(column, instrument, ValueKind.STATUS, None)
    return rules


def _codes(field: model.Field) -> frozenset[str] | None:
    if field.field_type not in ("radio", "dropdown", "yesno", "truefalse"):
        return None
    return frozenset(choice.code for choice in dictionary.choices(field))


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules of one project, as its structure stands now."""

    record_id_field: str
    rules: Mapping[str, Rule]
    allowed: Allowed
    loaded: frozenset[str]
    """The instruments that the warehouse holds."""
    identifiers: bool
    """Whether identifiers may be written."""
    longitudinal: bool
    repeats: bool
    """Whether anything does, so that rows carry the columns for it."""
    repeating_unknown: bool
    designated: frozenset[tuple[str, str]]
    repeating_forms: frozenset[tuple[str, str]]
    repeating_events: frozenset[str]
    events: frozenset[str]
    checkboxes: frozenset[str]
    missing: frozenset[str]
    secondary_unique: str

    def rule(self, cell: Cell) -> Rule | None:
        """The rule for a cell's column."""
        return self.rules.get(cell.field)

    def refusal(self, proposal: Proposal) -> Why | None:
        """Why a proposal can never be written; None where REDCap has to be read to tell."""
        name = proposal.cell.field
        rule = self.rules.get(name)
        if rule is None:
            return self._no_column(name)
        # First, whatever else speaks against it: that its value is not kept is what a person has to know.
        if self.withholds(name):
            return Why.IDENTIFIER
        return (
            self._field_refusal(rule) or self._place_refusal(proposal.cell, rule) or self._value_refusal(rule, proposal)
        )

    def withholds(self, name: str) -> bool:
        """Whether no value of a column may be kept: an identifier, or one of which nobody can tell whether it is."""
        if self.identifiers:
            return False
        rule = self.rules.get(name) or next((r for r in self.rules.values() if r.base == name), None)
        if rule is not None:
            return rule.field is not None and dictionary.is_identifier(rule.field)
        return name == dictionary.SURVEY_IDENTIFIER_COLUMN or self._no_column(name) is Why.UNKNOWN_FIELD

    def _no_column(self, name: str) -> Why:
        if name == self.record_id_field:
            return Why.RECORD_ID
        if name in self.checkboxes:
            return Why.CHECKBOX_WHOLE
        own = {dictionary.EVENT_COLUMN, *dictionary.REPEAT_COLUMNS, dictionary.DATA_ACCESS_GROUP_COLUMN}
        own.add(dictionary.SURVEY_IDENTIFIER_COLUMN)
        timestamps = {dictionary.timestamp_column(rule.instrument) for rule in self.rules.values()}
        return Why.OWN_COLUMN if name in own or name in timestamps else Why.UNKNOWN_FIELD

    def _field_refusal(self, rule: Rule) -> Why | None:
        if (why := never_written(rule)) is not None:
            return why
        if rule.instrument not in self.loaded:
            return Why.NOT_LOADED
        return None if rule in self.allowed else Why.NOT_ALLOWED

    def _place_refusal(self, cell: Cell, rule: Rule) -> Why | None:
        if not trimmed(cell.record):
            return Why.NO_RECORD
        if cell.instrument and cell.instrument != rule.instrument:
            return Why.OTHER_INSTRUMENT
        if self.longitudinal:
            if not cell.event:
                return Why.NO_EVENT
            if cell.event not in self.events:
                return Why.UNKNOWN_EVENT
            if (cell.event, rule.instrument) not in self.designated:
                return Why.NOT_DESIGNATED
        elif cell.event:
            return Why.CLASSIC_EVENT
        return self._instance_refusal(cell, rule)

    def _instance_refusal(self, cell: Cell, rule: Rule) -> Why | None:
        if self.repeating_unknown:
            return Why.REPEATING_UNKNOWN if cell.instance else None
        if not self.is_repeating(cell.event, rule.instrument):
            return Why.NOT_REPEATING if cell.instance else None
        if not cell.instance:
            return Why.NO_INSTANCE
        known = _NUMBERED.fullmatch(cell.instance) or NEW.fullmatch(cell.instance)
        return None if known else Why.BAD_INSTANCE

    def is_repeating(self, event: str, instrument: str) -> bool:
        """Whether rows of the instrument are told apart by an instance there."""
        return event in self.repeating_events or (event, instrument) in self.repeating_forms

    def repeat_instrument(self, event: str, instrument: str) -> str:
        """What stands in redcap_repeat_instrument; blank in a repeating event and where nothing repeats."""
        return instrument if (event, instrument) in self.repeating_forms else ""

    # -- values --------------------------------------------------------------------------------------------

    def _value_refusal(self, rule: Rule, proposal: Proposal) -> Why | None:
        value = proposal.new
        if rule.status:
            if value == "":
                return Why.STATUS_BLANK
            return None if value in ("0", "1", "2") else Why.BAD_CHOICE
        if value == "":
            return None
        why = value_refusal(rule, value, self.missing)
        # What was in REDCap before, and was cleaned, may be put back as it was.
        return None if why is Why.LINE_BREAK and proposal.restores else why

    def warning(self, rule: Rule, value: str, today: date) -> Why | None:
        """Whether a value is outside the field's range; REDCap takes such values, so it is said and not refused."""
        field = rule.field
        if field is None or value == "" or value in self.missing:
            return None
        if not (field.text_validation_min or field.text_validation_max):
            return None
        if _beyond(rule, value, field.text_validation_min, today, below=True):
            return Why.BELOW
        return Why.ABOVE if _beyond(rule, value, field.text_validation_max, today, below=False) else None


def never_written(rule: Rule) -> Why | None:
    """Why no value is ever written to a column, whoever allows it; None where one may be."""
    field = rule.field
    if field is None:
        return None
    if field.field_type == "file":
        return Why.FILE
    if field.field_type == "descriptive":
        return Why.DESCRIPTIVE
    if dictionary.is_calculated(field):
        return Why.CALCULATED
    return Why.READ_ONLY if any(tag.startswith("@READONLY") for tag in rule.tags) else None


def value_refusal(rule: Rule, value: str, missing: Collection[str] = ()) -> Why | None:
    """Why REDCap would not take a value that is not blank; None where it would, or where only REDCap can tell."""
    if rule.field is None or _NO_TEXT.search(value):
        return Why.BAD_TEXT
    if rule.kind is ValueKind.CHECKBOX:
        return None if value in ("0", "1") else Why.BAD_CHOICE
    if value in missing and "@NOMISSING" not in rule.tags:
        return None
    if rule.codes is not None:
        return None if value in rule.codes else Why.BAD_CHOICE
    if rule.kind is ValueKind.SLIDER:
        return None if re.fullmatch(r"-?[0-9]+", value) else Why.BAD_FORMAT
    if not dictionary.passes_validation(rule.field, value):
        return Why.BAD_FORMAT
    # Only a notes box takes one in REDCap; elsewhere it is most likely a quote in a file that took in further rows.
    if rule.field.field_type != "notes" and _LINE_BREAK.search(value):
        return Why.LINE_BREAK
    return Why.NO_SUCH_DATE if rule.kind in DATES and not _is_date(rule.kind, value) else None


def _is_date(kind: ValueKind, value: str) -> bool:
    text = canonical(kind, "", value)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _beyond(rule: Rule, value: str, limit: str, today: date, *, below: bool) -> bool:
    """Whether a value is on the wrong side of a limit; limits that refer to other fields are left to REDCap."""
    limit = limit.strip()
    if not limit or limit.startswith("["):
        return False
    if rule.kind in NUMBERS:
        held, bound = number(value), number(limit)
        return held is not None and bound is not None and (held < bound if below else held > bound)
    if rule.kind not in (*DATES, *CLOCKS):
        return False
    if limit.lower() in ("today", "now"):
        if rule.kind not in DATES:
            return False
        limit = today.isoformat()
        value = value[:10]
    one, other = (canonical(rule.kind, "", text) for text in (value, limit))
    # Padded as REDCap pads them, dates and clocks compare as text.
    length = min(len(one), len(other))
    return one[:length] < other[:length] if below else one[:length] > other[:length]


def make_rulebook(
    structure: Structure,
    *,
    loaded: Collection[str],
    allowed: Allowed,
    identifiers: bool,
) -> Rulebook:
    """The rules of a project whose structure was just read; `loaded` names the instruments the warehouse holds."""
    missing = dictionary.missing_data_codes(structure.project.missing_data_codes)
    names = [instrument.instrument_name for instrument in structure.instruments]
    pairs = frozenset((pair.unique_event_name, pair.form) for pair in structure.form_event_mapping)
    repeating = [(row.event_name or "", row.form_name or "") for row in structure.repeating]
    return Rulebook(
        record_id_field=structure.record_id_field,
        rules=column_rules(structure.fields, names, structure.export_field_names, missing),
        allowed=allowed,
        loaded=frozenset(loaded),
        identifiers=identifiers,
        longitudinal=structure.longitudinal,
        repeats=bool(structure.repeating),
        repeating_unknown=structure.repeating_unknown,
        designated=pairs,
        repeating_forms=frozenset((event, form) for event, form in repeating if form),
        repeating_events=frozenset(event for event, form in repeating if not form),
        events=frozenset(event.unique_event_name for event in structure.events),
        checkboxes=frozenset(f.field_name for f in structure.fields if f.field_type == "checkbox"),
        missing=frozenset(choice.code for choice in missing),
        secondary_unique=structure.project.secondary_unique_field or "",
    )
