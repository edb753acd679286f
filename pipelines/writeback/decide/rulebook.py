"""What may be written where: a project's structure and its configuration as rules about single cells. Pure.

Every rule here can be checked before REDCap is asked. Sources: REDCap API, sections Record import and Fields.
Not here: whether REDCap still holds the value that was seen (decide.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from pipelines.warehouse.tables.structure import Structure
from pipelines.warehouse.tables.writeback import Cell, Proposal
from pipelines.writeback.decide.reasons import Reason
from pipelines.writeback.decide.record_ids import trimmed
from pipelines.writeback.decide.rules import NEW, Rule, column_rules, never_written
from pipelines.writeback.decide.value_checks import beyond, value_problem
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
    """All rules of one project, from its present structure."""

    record_id_field: str
    rules: Mapping[str, Rule]
    allowed: Allowed
    loaded: frozenset[str]
    """The instruments that the warehouse holds."""
    identifiers: bool
    """Whether identifiers may be written."""
    longitudinal: bool
    repeats: bool
    """Whether anything repeats, so that rows have the columns for it."""
    repeating_unknown: bool
    designated: frozenset[tuple[str, str]]
    repeating_forms: frozenset[tuple[str, str]]
    repeating_events: frozenset[str]
    events: frozenset[str]
    checkboxes: frozenset[str]
    missing: frozenset[str]
    secondary_unique: str

    def rule(self, cell: Cell) -> Rule | None:
        """Return the rule for a cell's column; None if the project has no such column."""
        return self.rules.get(cell.field)

    def why_invalid(self, proposal: Proposal) -> Reason | None:
        """Return why a proposal cannot be written; None if that depends on what REDCap holds."""
        name = proposal.cell.field
        rule = self.rules.get(name)
        if rule is None:
            return self._no_column(name)
        # Checked first, whatever else is wrong with it: a person has to know that its value is not kept.
        if self.withholds(name):
            return Reason.IDENTIFIER
        return (
            self._field_problem(rule) or self._row_problem(proposal.cell, rule) or self._value_problem(rule, proposal)
        )

    def withholds(self, name: str) -> bool:
        """Whether no value of a column may be kept: an identifier, or a column that may be one."""
        if self.identifiers:
            return False
        rule = self.rules.get(name) or next((r for r in self.rules.values() if r.base == name), None)
        if rule is not None:
            return rule.field is not None and dictionary.is_identifier(rule.field)
        return name == dictionary.SURVEY_IDENTIFIER_COLUMN or self._no_column(name) is Reason.UNKNOWN_FIELD

    def _no_column(self, name: str) -> Reason:
        if name == self.record_id_field:
            return Reason.RECORD_ID
        if name in self.checkboxes:
            return Reason.CHECKBOX_WHOLE
        own = {dictionary.EVENT_COLUMN, *dictionary.REPEAT_COLUMNS, dictionary.DATA_ACCESS_GROUP_COLUMN}
        own.add(dictionary.SURVEY_IDENTIFIER_COLUMN)
        timestamps = {dictionary.timestamp_column(rule.instrument) for rule in self.rules.values()}
        return Reason.OWN_COLUMN if name in own or name in timestamps else Reason.UNKNOWN_FIELD

    def _field_problem(self, rule: Rule) -> Reason | None:
        if (reason := never_written(rule)) is not None:
            return reason
        if rule.instrument not in self.loaded:
            return Reason.NOT_LOADED
        return None if rule in self.allowed else Reason.NOT_ALLOWED

    def _row_problem(self, cell: Cell, rule: Rule) -> Reason | None:
        if not trimmed(cell.record):
            return Reason.NO_RECORD
        if cell.instrument and cell.instrument != rule.instrument:
            return Reason.OTHER_INSTRUMENT
        if self.longitudinal:
            if not cell.event:
                return Reason.NO_EVENT
            if cell.event not in self.events:
                return Reason.UNKNOWN_EVENT
            if (cell.event, rule.instrument) not in self.designated:
                return Reason.NOT_DESIGNATED
        elif cell.event:
            return Reason.CLASSIC_EVENT
        return self._instance_problem(cell, rule)

    def _instance_problem(self, cell: Cell, rule: Rule) -> Reason | None:
        if self.repeating_unknown:
            return Reason.REPEATING_UNKNOWN if cell.instance else None
        if not self.is_repeating(cell.event, rule.instrument):
            return Reason.NOT_REPEATING if cell.instance else None
        if not cell.instance:
            return Reason.NO_INSTANCE
        known = _NUMBERED.fullmatch(cell.instance) or NEW.fullmatch(cell.instance)
        return None if known else Reason.BAD_INSTANCE

    def is_repeating(self, event: str, instrument: str) -> bool:
        """Whether the instrument has instances in that event."""
        return event in self.repeating_events or (event, instrument) in self.repeating_forms

    def repeat_instrument(self, event: str, instrument: str) -> str:
        """Return the value of redcap_repeat_instrument; blank in a repeating event and where nothing repeats."""
        return instrument if (event, instrument) in self.repeating_forms else ""

    def _value_problem(self, rule: Rule, proposal: Proposal) -> Reason | None:
        value = proposal.new
        if rule.status:
            if value == "":
                return Reason.STATUS_BLANK
            return None if value in ("0", "1", "2") else Reason.BAD_CHOICE
        if value == "":
            return None
        reason = value_problem(rule, value, self.missing)
        # A value that REDCap held before may be restored as it was.
        return None if reason is Reason.LINE_BREAK and proposal.restores else reason

    def warning(self, rule: Rule, value: str, today: date) -> Reason | None:
        """Return whether a value is outside the field's range; REDCap accepts such values, so this is no refusal."""
        field = rule.field
        if field is None or value == "" or value in self.missing:
            return None
        if not (field.text_validation_min or field.text_validation_max):
            return None
        if beyond(rule, value, field.text_validation_min, today, below=True):
            return Reason.BELOW
        return Reason.ABOVE if beyond(rule, value, field.text_validation_max, today, below=False) else None


def make_rulebook(
    structure: Structure,
    *,
    loaded: Collection[str],
    allowed: Allowed,
    identifiers: bool,
) -> Rulebook:
    """Make the rules of a project from its structure; `loaded` names the instruments that the warehouse holds."""
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
