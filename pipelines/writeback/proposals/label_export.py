"""Recognizes an export of labels, whose columns have the labels of fields as their names. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.writeback.proposals.columns import ProjectColumns

LABEL_EXPORT = (
    "it looks like an export of labels: its columns are named by the labels of fields. Export raw values with the "
    "names of the fields, then propose that file."
)
# The columns of an export of labels that are not fields (REDCap API, Record export).
_NO_FIELD = (
    "Event Name", "Repeat Instrument", "Repeat Instance", "Data Access Group", "Survey Identifier", "Survey Timestamp",
    "Complete?",
)  # fmt: skip


def is_label_export(names: Sequence[str], columns: ProjectColumns) -> bool:
    """Whether the columns lack the record id, and most of them have labels as their names."""
    if columns.record_id in {name.strip() for name in names}:
        return False
    labels = {field.field_label.strip() for field in columns.dictionary.fields} - {""} | set(_NO_FIELD)
    # An option's column has the label of its field, followed by its own.
    return 2 * sum(name.split(" (choice=")[0].strip() in labels for name in names) > len(names)
