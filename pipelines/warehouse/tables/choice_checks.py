"""Compares the dictionary's choices of checkboxes with the server's export field names. Pure.

Both describe the same project, but a text of choices can be read differently: a `|` inside a label, a comma that is
missing. The columns of an export follow the server's list; where the dictionary differs, that is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.warehouse.tables.structure import Structure
from pipelines.warehouse.tables.value_checks import A_CHOICE
from redcap_source import dictionary

CONTRADICTED = "contradicts the export field names"
NOT_EXPORTED = "a column of the export"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A code of a checkbox that only one of the two lists has."""

    instrument: str
    field: str
    code: str
    expected: str
    """What the other list lacks."""


def disagreements(structure: Structure) -> Iterator[Disagreement]:
    """The codes of checkboxes that only the dictionary, or only the export field names, have."""
    exported: dict[str, set[str]] = {}
    for name in structure.export_field_names:
        if name.choice_value:
            exported.setdefault(name.original_field_name, set()).add(name.choice_value)
    missing = {choice.code for choice in dictionary.missing_data_codes(structure.project.missing_data_codes)}
    for field in structure.fields:
        # A server that lists none of a field's columns says nothing about its choices.
        if field.field_type != "checkbox" or not exported.get(field.field_name):
            continue
        listed = [choice.code for choice in dictionary.choices(field)]
        known = exported[field.field_name]
        for code in listed:
            if code not in known:
                yield Disagreement(field.form_name, field.field_name, code, NOT_EXPORTED)
        for code in sorted(known.difference(listed, missing)):
            yield Disagreement(field.form_name, field.field_name, code, A_CHOICE)
