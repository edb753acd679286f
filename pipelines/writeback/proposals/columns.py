"""What the names in a submission mean: columns of the project, which are never written, which values are not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.warehouse.published.snapshot import PublishedDictionary
from pipelines.writeback.decide.reasons import Reason
from pipelines.writeback.decide.rules import Rule, column_rules, never_written
from redcap_source import dictionary
from redcap_source.dictionary import ValueKind

EVENT = dictionary.EVENT_COLUMN
REPEAT_INSTRUMENT, REPEAT_INSTANCE = dictionary.REPEAT_COLUMNS
# Columns of a table besides its fields; only REDCap fills them in.
OWN_COLUMNS = (dictionary.DATA_ACCESS_GROUP_COLUMN, dictionary.SURVEY_IDENTIFIER_COLUMN)
WITHHELD = f"{Reason.IDENTIFIER}; its value was not kept"
UNKNOWN_WITHHELD = (
    "its field is not in the warehouse, and projects.yaml keeps identifiers out of it; its value was not kept"
)


@dataclass(frozen=True, slots=True)
class ProjectColumns:
    """Every column of a project, from its published dictionary."""

    dictionary: PublishedDictionary
    rules: Mapping[str, Rule]
    """By column; a checkbox has one for each option."""
    options: Mapping[str, Mapping[str, str]]
    """The columns of each checkbox, by the code of the option."""
    withholds: bool
    """Whether the warehouse drops or hashes identifiers."""

    @property
    def record_id(self) -> str:
        """The project's record id field."""
        return self.dictionary.record_id_field

    def withheld(self, rule: Rule) -> bool:
        """Whether values of the column may not be kept."""
        return self.withholds and rule.field is not None and dictionary.is_identifier(rule.field)

    def why_ignored(self, rule: Rule) -> str | None:
        """Return why a column is never written; None if it may be."""
        return WITHHELD if self.withheld(rule) else never_written(rule)

    def instrument_of(self, checkbox: str) -> str:
        """Return the instrument of a checkbox, given its field name."""
        return self.rules[next(iter(self.options[checkbox].values()))].instrument

    def forms(self) -> list[tuple[str, str]]:
        """Return what redcap_repeat_instrument may hold for each instrument: its name, or its label if it is unique."""
        labels = list(self.dictionary.instruments.values())
        named = [(name, name) for name in self.dictionary.instruments]
        return named + [
            (label.strip(), name)
            for name, label in self.dictionary.instruments.items()
            if label.strip() and labels.count(label) == 1 and label.strip() not in self.dictionary.instruments
        ]

    def describe(self, comparison: Comparison) -> None:
        """Store the columns in the comparison's tables."""
        comparison.describe(
            known=self._known(),
            options=[
                (name, code, column) for name, columns in self.options.items() for code, column in columns.items()
            ],
            forms=self.forms(),
            events=self.dictionary.events,
        )

    def _known(self) -> list[tuple[str, str | None, bool, str | None, bool]]:
        """The rows of the comparison's table `known`: name, instrument, has options, never written, withheld."""
        known: list[tuple[str, str | None, bool, str | None, bool]] = [
            (name, rule.instrument, False, self.why_ignored(rule), self.withheld(rule))
            for name, rule in self.rules.items()
        ]
        for name, columns in self.options.items():
            rule = self.rules[next(iter(columns.values()))]
            known.append((name, rule.instrument, True, self.why_ignored(rule), self.withheld(rule)))
        known.append((self.record_id, None, False, Reason.RECORD_ID, False))
        group, survey_identifier = OWN_COLUMNS
        own = (EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE, group, *self.timestamps())
        known += [(name, None, False, Reason.OWN_COLUMN, False) for name in own]
        known.append((survey_identifier, None, False, Reason.OWN_COLUMN, self.withholds))
        return known

    def timestamps(self) -> dict[str, str]:
        """Return the column of each survey's completion time, with its instrument."""
        return {dictionary.timestamp_column(name): name for name in self.dictionary.instruments}


def project_columns(published: PublishedDictionary, *, withholds: bool) -> ProjectColumns:
    """Return the columns of a project; `withholds` says whether the warehouse drops or hashes identifiers."""
    missing = dictionary.missing_data_codes(published.missing_data_codes)
    rules = column_rules(published.fields, list(published.instruments), missing=missing)
    options: dict[str, dict[str, str]] = {}
    for rule in rules.values():
        if rule.kind is ValueKind.CHECKBOX and rule.field is not None:
            name = rule.field.field_name
            options[name] = {
                choice.code: column
                for choice in (*missing, *dictionary.choices(rule.field))
                if (column := dictionary.checkbox_column(name, choice.code)) in rules
            }
    return ProjectColumns(published, rules, {name: found for name, found in options.items() if found}, withholds)
