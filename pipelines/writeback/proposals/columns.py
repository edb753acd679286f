"""What the names in an offer stand for: columns of the project, those that are never written, those not to be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.warehouse.comparison.cells import Comparison
from pipelines.warehouse.published.snapshot import PublishedDictionary
from pipelines.writeback.decide.reasons import Why
from pipelines.writeback.decide.rules import Rule, column_rules, never_written
from redcap_source import dictionary
from redcap_source.dictionary import ValueKind

EVENT = dictionary.EVENT_COLUMN
REPEAT_INSTRUMENT, REPEAT_INSTANCE = dictionary.REPEAT_COLUMNS
# Columns of a table that stand beside its fields; only REDCap fills them in.
OWN_COLUMNS = (dictionary.DATA_ACCESS_GROUP_COLUMN, dictionary.SURVEY_IDENTIFIER_COLUMN)
WITHHELD = f"{Why.IDENTIFIER}; its value was not kept"
UNKNOWN_WITHHELD = (
    "its field is not in the warehouse, and projects.yaml keeps identifiers out of it; its value was not kept"
)


@dataclass(frozen=True, slots=True)
class ProjectColumns:
    """Every column of a project, as its dictionary was published."""

    dictionary: PublishedDictionary
    rules: Mapping[str, Rule]
    """By column; a checkbox has one for each option."""
    options: Mapping[str, Mapping[str, str]]
    """The columns of each checkbox, by the code of the option."""
    withholds: bool
    """Whether the warehouse keeps no identifiers, or only hashes of them."""

    @property
    def record_id(self) -> str:
        """What the project calls the record id."""
        return self.dictionary.record_id_field

    def withheld(self, rule: Rule) -> bool:
        """Whether values of the column may not be kept."""
        return self.withholds and rule.field is not None and dictionary.is_identifier(rule.field)

    def why_ignored(self, rule: Rule) -> str | None:
        """Why a column is never written; None where it may be."""
        return WITHHELD if self.withheld(rule) else never_written(rule)

    def home(self, checkbox: str) -> str:
        """The instrument of a checkbox, by its base name."""
        return self.rules[next(iter(self.options[checkbox].values()))].instrument

    def forms(self) -> list[tuple[str, str]]:
        """What redcap_repeat_instrument may call each instrument: its name, or its label where no other has it."""
        labels = list(self.dictionary.instruments.values())
        named = [(name, name) for name in self.dictionary.instruments]
        return named + [
            (label.strip(), name)
            for name, label in self.dictionary.instruments.items()
            if label.strip() and labels.count(label) == 1 and label.strip() not in self.dictionary.instruments
        ]

    def describe(self, comparison: Comparison) -> None:
        """Say it to DuckDB."""
        known: list[tuple[str, str | None, bool, str | None, bool]] = [
            (name, rule.instrument, False, self.why_ignored(rule), self.withheld(rule))
            for name, rule in self.rules.items()
        ]
        for name, columns in self.options.items():
            rule = self.rules[next(iter(columns.values()))]
            known.append((name, rule.instrument, True, self.why_ignored(rule), self.withheld(rule)))
        known.append((self.record_id, None, False, Why.RECORD_ID, False))
        known += [(name, None, False, Why.OWN_COLUMN, False) for name in (EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE)]
        group, survey_identifier = OWN_COLUMNS
        known += [(group, None, False, Why.OWN_COLUMN, False)]
        known += [(survey_identifier, None, False, Why.OWN_COLUMN, self.withholds)]
        known += [(name, None, False, Why.OWN_COLUMN, False) for name in self.timestamps()]
        comparison.describe(
            known=known,
            options=[
                (name, code, column) for name, columns in self.options.items() for code, column in columns.items()
            ],
            forms=self.forms(),
            events=self.dictionary.events,
        )

    def timestamps(self) -> dict[str, str]:
        """The column of each survey's completion time, with its instrument."""
        return {dictionary.timestamp_column(name): name for name in self.dictionary.instruments}


def project_columns(published: PublishedDictionary, *, withholds: bool) -> ProjectColumns:
    """The columns of a project; `withholds` says whether the warehouse drops or hashes identifiers."""
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
