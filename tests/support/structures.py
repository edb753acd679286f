"""Small made-up structures and answers for tests that need no server; data stands in them as grids."""

import csv
from datetime import datetime
from pathlib import Path

from pipelines.warehouse.mirror.rows.history import RunStamp
from pipelines.warehouse.staging.answers import Answer
from pipelines.warehouse.staging.column_groups import StagedChunk
from pipelines.warehouse.tables.layout import Layout
from pipelines.warehouse.tables.structure import Structure
from redcap_source import dictionary, model


def field(name, form, kind="text", *, validation="", choices="", label="", identifier="", annotation=""):
    """A row of the data dictionary."""
    return model.Field(
        field_name=name,
        form_name=form,
        field_type=kind,
        field_label=label or name.replace("_", " ").capitalize(),
        select_choices_or_calculations=choices,
        text_validation_type_or_show_slider_number=validation,
        identifier=identifier,
        field_annotation=annotation,
    )


def structure(fields, *, pairs=(), repeating=(), missing="", version="14.7.3"):
    """A project of these fields; `pairs` of (event, form) make it longitudinal, `repeating` are (event, form)."""
    forms = list(dict.fromkeys(f.form_name for f in fields))
    return Structure(
        version=version,
        project=model.ProjectInfo.from_row(
            {
                "project_id": 7,
                "project_title": "Test",
                "is_longitudinal": int(bool(pairs)),
                "missing_data_codes": missing,
            }
        ),
        fields=tuple(fields),
        export_field_names=tuple(_exported(fields)),
        instruments=tuple(model.Instrument(form, form.capitalize()) for form in forms),
        arms=(),
        events=tuple(model.Event(event, event) for event in dict.fromkeys(event for event, _ in pairs)),
        form_event_mapping=tuple(model.FormEvent(event, form, 1) for event, form in pairs),
        repeating=tuple(model.RepeatingForm(form or None, event or None) for event, form in repeating),
    )


def _exported(fields):
    for f in fields:
        codes = [choice.code for choice in dictionary.choices(f)] if f.field_type == "checkbox" else [""]
        for code in codes:
            name = dictionary.checkbox_column(f.field_name, code) if code else f.field_name
            yield model.ExportFieldName(f.field_name, name, code)


def grid(text):
    """The cells of a text grid: columns set apart by `|`, a header first; a dot is a blank cell."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    return rows[0], [["" if cell == "." else cell for cell in row] for row in rows[1:]]


def staged(folder: Path, text: str, name: str = "chunk") -> StagedChunk:
    """The grid as a CSV answer in the staging folder."""
    columns, rows = grid(text)
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    return StagedChunk((Answer(path, "csv", tuple(columns)),), tuple(dict.fromkeys(row[0] for row in rows)))


def columns_of(text: str) -> tuple[str, ...]:
    """The header of a grid."""
    return tuple(grid(text)[0])


def stamp(number: int) -> RunStamp:
    """The stamp of the nth run."""
    return RunStamp("study", f"run{number}", datetime(2026, 1, number, 2, 0))


TOTALS = {
    "cells": 0,
    "chunks": 0,
    "records_added": 0,
    "records_changed": 0,
    "records_deleted": 0,
    "records_in_redcap": 0,
    "records_loaded": 0,
    "records_quarantined": 0,
    "records_renamed": 0,
    "records_unchanged": 0,
    "redcap_version": "14.7.3",
    "rows_deleted": 0,
    "rows_inserted": 0,
    "rows_unchanged": 0,
    "rows_updated": 0,
    "watermark_to": None,
}


def nothing_more(mirror, layout: Layout, number: int) -> None:
    """The end of a run, as finish would write it."""
    mirror.finish(layout, stamp(number), totals=TOTALS, watermark=None, chunk_records=None, sign=False)
