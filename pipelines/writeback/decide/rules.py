"""The rule for each column: what its field accepts, and whether it is ever written. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipelines.writeback.decide.reasons import Reason
from redcap_source import dictionary, model
from redcap_source.dictionary import ValueKind

NEW = re.compile(r"new([-:]\w{1,40})?")


@dataclass(frozen=True, slots=True)
class Rule:
    """What matters about one column of REDCap's export for writing to it."""

    column: str
    instrument: str
    kind: ValueKind
    field: model.Field | None
    """None for a form's status, which the dictionary does not list."""
    codes: frozenset[str] | None = None
    """The codes of its choices; None if it has no choices, or only the server knows them."""
    tags: frozenset[str] = frozenset()

    @property
    def base(self) -> str:
        """The field to request for the column; a checkbox's options share one."""
        return self.column if self.field is None else self.field.field_name

    @property
    def validation(self) -> str:
        """The field's validation type; blank if it has none."""
        return "" if self.field is None else self.field.text_validation_type_or_show_slider_number

    @property
    def status(self) -> bool:
        """Whether it is the status of a form."""
        return self.kind is ValueKind.STATUS


def column_rules(
    fields: Sequence[model.Field],
    instruments: Collection[str],
    export_field_names: Sequence[model.ExportFieldName] = (),
    missing: Sequence[dictionary.Choice] = (),
) -> dict[str, Rule]:
    """Return the rule of every column that can hold a value, by its name in an export; the record id has none."""
    rules: dict[str, Rule] = {}
    for field, columns in dictionary.columns_by_field(fields, export_field_names, missing):
        kind = dictionary.value_kind(field)
        # Descriptive fields have no column; they are listed so that a refusal can name the reason.
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


def never_written(rule: Rule) -> Reason | None:
    """Return why a column is never written, whatever projects.yaml allows; None if it may be."""
    field = rule.field
    if field is None:
        return None
    if field.field_type == "file":
        return Reason.FILE
    if field.field_type == "descriptive":
        return Reason.DESCRIPTIVE
    if dictionary.is_calculated(field):
        return Reason.CALCULATED
    return Reason.READ_ONLY if any(tag.startswith("@READONLY") for tag in rule.tags) else None
