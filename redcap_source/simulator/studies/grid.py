"""Reads a study's instruments from a grid of text: one field a line, `~` between the columns.

    # form_name ~ Form label
    name ~ type ~ validation ~ label ~ choices or calculation ~ extras

Extras are words: id, req, a..b (range), if EXPRESSION, @TAG.
"""

from __future__ import annotations

from redcap_source.simulator.state.dictionary import Dictionary, Field


def dictionary_from(grid: str, missing_codes: dict[str, str] | None = None) -> Dictionary:
    """The dictionary that a grid describes."""
    fields: list[Field] = []
    labels: dict[str, str] = {}
    form = ""
    for line in filter(None, map(str.strip, grid.splitlines())):
        if line.startswith("#"):
            form, _, label = (part.strip() for part in line[1:].partition("~"))
            labels[form] = label
        else:
            fields.append(_field(line, form))
    return Dictionary(fields, form_labels=labels, missing_codes=missing_codes)


def _field(line: str, form: str) -> Field:
    parts = [part.strip() for part in line.split("~")]
    name, kind, validation, label, choices, extras = (*parts, *[""] * (6 - len(parts)))
    logic = ""
    if "if " in extras:
        extras, _, logic = (part.strip() for part in extras.partition("if "))
    words = extras.split()
    low, _, high = next((word for word in words if ".." in word), "").partition("..")
    return Field(
        field_name=name,
        form_name=form,
        field_type=kind,
        field_label=label,
        select_choices_or_calculations=choices,
        text_validation_type_or_show_slider_number=validation,
        text_validation_min=low,
        text_validation_max=high,
        identifier="y" if "id" in words else "",
        required_field="y" if "req" in words else "",
        branching_logic=logic,
        field_annotation=" ".join(word for word in words if word.startswith("@")),
    )
