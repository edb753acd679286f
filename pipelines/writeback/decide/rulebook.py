"""What may be written where: a project's structure and its configuration as rules about single cells. Pure.

Whether the value in REDCap is still the one that was seen is decide.py's business; every rule here can be checked
before anything is read. Facts are REDCAP API, sections Record import and Fields.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from pipelines.warehouse.tables.structure import Structure
from pipelines.warehouse.tables.writeback import Cell, Proposal
from pipelines.writeback.decide.reasons import Why
from pipelines.writeback.decide.record_ids import trimmed
from pipelines.writeback.decide.rules import NEW, Rule, column_rules, never_written
from pipelines.writeback.decide.value_checks import beyond, value_refusal
from redcap_source import dictionary

_NUMBERED = re.compile(r"[1-9]\d{0,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What projects.yaml lets write-back touch."""

    fields: frozenset[str] = frozenset()
    instruments: frozenset[str] = frozenset()

    def __contains__(self, rule: object) -> bool:
        return isinstance(rule, Rule) and (
            rule.column in self.fields or rule.base in self.fields or rule.instrument in self.instruments
        )


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
        if beyond(rule, value, field.text_validation_min, today, below=True):
            return Why.BELOW
        return Why.ABOVE if beyond(rule, value, field.text_validation_max, today, below=False) else None


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
