"""Telling an export of labels, whose columns are named by the labels of fields, from one of raw values. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.writeback.proposals.columns import ProjectColumns

LABEL_EXPORT = (
    "it looks like an export of labels: its columns are named by the labels of fields. Export raw values with the "
    "names of the fields, then offer that file."
)
# What an export of labels calls the columns that are no field's (REDCAP API, Record export).
_NO_FIELD = (
    "Event Name", "Repeat Instrument", "Repeat Instance", "Data Access Group", "Survey Identifier", "Survey Timestamp",
    "Complete?",
)  # fmt: skip


def is_label_export(names: Sequence[str], columns: ProjectColumns) -> bool:
    """Whether the columns lack the record id, and most of them are called as labels are."""
    if columns.record_id in {name.strip() for name in names}:
        return False
    labels = {field.field_label.strip() for field in columns.dictionary.fields} - {""} | set(_NO_FIELD)
    # An option's column is called by the label of its field and its own.
    return 2 * sum(name.split(" (choice=")[0].strip() in labels for name in names) > len(names)
