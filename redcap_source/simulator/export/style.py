"""How the cells and rows of an export are to look."""

from __future__ import annotations

from dataclasses import dataclass

from redcap_source.simulator.wire.formats import DELIMITERS
from redcap_source.simulator.wire.parameters import Parameters


@dataclass(frozen=True)
class Style:
    """The choices of a request that concern how an export looks, not what is in it."""

    format: str
    label: bool
    label_headers: bool
    checkbox_label: bool
    survey_fields: bool
    groups: bool
    gray_is_blank: bool
    decimal: str
    delimiter: str
    combine_checkboxes: bool
    # Whether a space replaces each line break, as in reports.
    folds_lines: bool = False

    @staticmethod
    def of(parameters: Parameters) -> Style:
        """Read the style from a request."""
        label = parameters.text("rawOrLabel") == "label"
        return Style(
            format=parameters.text("format", "xml"),
            label=label,
            label_headers=parameters.text("rawOrLabelHeaders") == "label",
            checkbox_label=label and parameters.flag("exportCheckboxLabel"),
            survey_fields=parameters.flag("exportSurveyFields"),
            groups=parameters.flag("exportDataAccessGroups"),
            gray_is_blank=parameters.flag("exportBlankForGrayFormStatus"),
            decimal=parameters.text("decimalCharacter"),
            delimiter=DELIMITERS.get(parameters.text("csvDelimiter"), ","),
            combine_checkboxes=parameters.flag("combineCheckboxOptions"),
        )
