"""The tables of a project, derived from its structure and the columns its token can see. Pure.

Not here: kinds of values (redcap_source/dictionary), making the tables (mirror/schema/migrate.py), views (views.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.warehouse.database.quoting import qualified
from pipelines.warehouse.tables.structure import Structure
from redcap_source import dictionary, model
from redcap_source.dictionary import Choice, ValueKind

# The keys of every row in a mirror, whatever the project calls them.
KEYS = ("_record", "_event", "_instance")
EXTRAS = ("_data_access_group", "_survey_identifier", "_survey_timestamp")
# Since when a row has been as it is, and the run that found it so; a version that ended also has its end.
VERSION = ("_valid_from", "_run_id")
# The suffixes of the schemas of a project's rows, in its mirror and in the published file: present rows, and versions
# that ended. No project's name has a colon, so these schemas cannot be another project's.
NOW, PAST = ":now", ":past"
# The number of the mirror's format; a mirror with another is not read.
FORMAT = 3
OTHER_FORMAT = "another version of redcap-warehouse made it"
# The part of an instrument's definition that says which values are valid.
CODES = ":codes"

EVENT = dictionary.EVENT_COLUMN
REPEAT_INSTRUMENT, REPEAT_INSTANCE = dictionary.REPEAT_COLUMNS
DATA_ACCESS_GROUP = dictionary.DATA_ACCESS_GROUP_COLUMN
SURVEY_IDENTIFIER = dictionary.SURVEY_IDENTIFIER_COLUMN


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an instrument's table; a checkbox has one for each option."""

    name: str
    field: str
    kind: ValueKind
    label: str
    choices: tuple[Choice, ...] = ()
    code: str | None = None
    identifier: bool = False
    hashed: bool = False
    """Whether the warehouse holds a keyed hash instead of the value."""
    formula: str | None = None
    """The formula of a calculated field."""
    missing: tuple[Choice, ...] = ()
    """Its codes for missing data; a code that is also a choice of the field is the choice."""


@dataclass(frozen=True, slots=True)
class InstrumentTable:
    """One instrument's table: its columns, and which keys its rows have."""

    name: str
    label: str
    columns: tuple[Column, ...]
    repeats: bool
    survey: bool
    events: frozenset[str] | None
    """The events the instrument is designated for; None in a classic project."""
    hidden: tuple[Column, ...] = ()
    """Columns that the dictionary has and the token does not see; earlier versions of rows may have them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """All tables of one project, and where their cells are in a flat answer."""

    record_id_field: str
    record_id_label: str
    longitudinal: bool
    data_access_groups: bool
    survey_identifier: bool
    instruments: tuple[InstrumentTable, ...]
    answer_columns: tuple[str, ...]
    """The columns of a flat answer, in REDCap's order."""
    hidden_fields: tuple[str, ...]
    """Fields of the dictionary that this token's answers lack."""

    def position(self, column: str) -> int | None:
        """The position of a column in a flat answer, or None if the answer lacks it."""
        return self.answer_columns.index(column) if column in self.answer_columns else None


def make_layout(
    structure: Structure, answer_columns: Sequence[str] | None = None, *, hash_identifiers: bool = False
) -> Layout:
    """The tables of a project, given the columns of its flat answer (all of the dictionary's where None).

    A field that the dictionary has and the answer lacks is hidden from the token: it gets no column, and is
    named in `hidden_fields`.
    """
    columns_of = _columns_by_instrument(structure)
    names = tuple(answer_columns) if answer_columns is not None else _all_columns(structure, columns_of)
    seen = set(names)
    if hash_identifiers:
        columns_of = {
            name: tuple(_hashed(c) if c.identifier else c for c in columns) for name, columns in columns_of.items()
        }
    tables = tuple(
        InstrumentTable(
            name=instrument.instrument_name,
            label=instrument.instrument_label or "",
            columns=tuple(c for c in columns_of[instrument.instrument_name] if c.name in seen),
            hidden=tuple(c for c in columns_of[instrument.instrument_name] if c.name not in seen),
            repeats=_repeats(structure, instrument.instrument_name),
            survey=f"{instrument.instrument_name}_timestamp" in seen,
            events=_events(structure, instrument.instrument_name) if structure.longitudinal else None,
        )
        for instrument in structure.instruments
    )
    hidden = [column.field for table in tables for column in table.hidden]
    return Layout(
        record_id_field=structure.record_id_field,
        record_id_label=structure.fields[0].field_label or "",
        longitudinal=structure.longitudinal,
        data_access_groups=DATA_ACCESS_GROUP in seen,
        survey_identifier=SURVEY_IDENTIFIER in seen,
        instruments=tables,
        answer_columns=names,
        hidden_fields=tuple(dict.fromkeys(hidden)),
    )


def unexpected_columns(structure: Structure, answer_columns: Sequence[str]) -> tuple[str, ...]:
    """Columns of a flat answer that neither the dictionary nor REDCap's own key columns explain."""
    known = {c.name for columns in _columns_by_instrument(structure).values() for c in columns}
    known |= {structure.record_id_field, EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE}
    known |= {DATA_ACCESS_GROUP, SURVEY_IDENTIFIER}
    known |= {f"{instrument.instrument_name}_timestamp" for instrument in structure.instruments}
    return tuple(name for name in answer_columns if name not in known)


def key_columns(layout: Layout) -> tuple[str, ...]:
    """The columns of a flat answer that belong to no instrument; every answer has them, whatever was requested."""
    keys = {layout.record_id_field, EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE, DATA_ACCESS_GROUP, SURVEY_IDENTIFIER}
    return tuple(name for name in layout.answer_columns if name in keys)


def rows_now(project: str, instrument: str) -> str:
    """The table of an instrument's rows as they are, quoted for SQL."""
    return qualified(project + NOW, instrument)


def rows_past(project: str, instrument: str) -> str:
    """The table of the versions of an instrument's rows that were replaced or removed, quoted for SQL."""
    return qualified(project + PAST, instrument)


def work_columns(layout: Layout, table: InstrumentTable) -> list[tuple[str, str]]:
    """The columns after the keys, as (name in the mirror, REDCap's name)."""
    shown: list[tuple[str, str]] = []
    if layout.data_access_groups:
        shown.append(("_data_access_group", DATA_ACCESS_GROUP))
    if table.survey and layout.survey_identifier:
        shown.append(("_survey_identifier", SURVEY_IDENTIFIER))
    if table.survey:
        shown.append(("_survey_timestamp", f"{table.name}_timestamp"))
    return [*shown, *((column.name, column.name) for column in table.columns)]


def redcap_name(record_id_field: str, instrument: str, column: str) -> str:
    """What REDCap calls a column of an instrument's working table, keys included."""
    return {
        "_record": record_id_field,
        "_event": EVENT,
        "_instance": REPEAT_INSTANCE,
        "_data_access_group": DATA_ACCESS_GROUP,
        "_survey_identifier": SURVEY_IDENTIFIER,
        "_survey_timestamp": f"{instrument}_timestamp",
    }.get(column, column)


def definition(layout: Layout, table: InstrumentTable) -> dict[str, str]:
    """What determines the cells of an instrument's rows, part by part; if a part is new or different, they are read
    again.

    Labels and the order of fields are not in it: they change how a column is shown, not what it holds. Choices and
    codes for missing data decide no cell either; where they change, the invalid values are listed again.
    """
    parts = {c.name: f"{c.kind.value}{' hashed' if c.hashed else ''} {c.formula or ''}" for c in table.columns}
    parts |= {name: "" for name, _ in work_columns(layout, table) if name in EXTRAS}
    parts[":repeats"] = str(table.repeats)
    parts[":events"] = ",".join(sorted(table.events)) if table.events is not None else "classic"
    codes = [[c.name, *([choice.code for choice in some] for some in (c.choices, c.missing))] for c in table.columns]
    parts[CODES] = hashlib.sha256(json.dumps(codes).encode()).hexdigest()
    return parts


def _columns_by_instrument(structure: Structure) -> dict[str, tuple[Column, ...]]:
    exported: dict[str, list[model.ExportFieldName]] = {}
    for name in structure.export_field_names:
        exported.setdefault(name.original_field_name, []).append(name)
    found: dict[str, list[Column]] = {i.instrument_name: [] for i in structure.instruments}
    codes = dictionary.missing_data_codes(structure.project.missing_data_codes)
    for field in structure.fields[1:]:
        columns = _columns(field, exported.get(field.field_name, []))
        if codes:
            missing = dictionary.missing_codes_of(field, codes)
            columns = [replace(column, missing=missing) for column in columns]
        found.setdefault(field.form_name, []).extend(columns)
    for instrument in structure.instruments:
        found[instrument.instrument_name].append(_status(instrument))
    return {name: tuple(columns) for name, columns in found.items()}


def _columns(field: model.Field, exported: list[model.ExportFieldName]) -> list[Column]:
    kind = dictionary.value_kind(field)
    if kind is ValueKind.DESCRIPTIVE:
        return []
    label = field.field_label
    identifier = dictionary.is_identifier(field)
    choices = dictionary.choices(field)
    if kind is not ValueKind.CHECKBOX:
        # File and signature fields are exported though exportFieldNames leaves them out.
        formula = _formula(field) if dictionary.is_calculated(field) else None
        name = field.field_name
        return [Column(name, name, kind, label, choices, identifier=identifier, formula=formula)]
    options = [(e.export_field_name, e.choice_value or "") for e in exported if e.choice_value]
    if not options:
        options = [(dictionary.checkbox_column(field.field_name, c.code), c.code) for c in choices]
    return [
        Column(name, field.field_name, kind, label, choices, code=code, identifier=identifier) for name, code in options
    ]


def _formula(field: model.Field) -> str:
    return f"{field.select_choices_or_calculations or ''} {field.field_annotation or ''}".strip()


def _hashed(column: Column) -> Column:
    return replace(column, kind=ValueKind.TEXT, choices=(), missing=(), hashed=True)


def _status(instrument: model.Instrument) -> Column:
    name = f"{instrument.instrument_name}_complete"
    return Column(name, name, ValueKind.STATUS, "Form status", dictionary.STATUS_CHOICES)


def _repeats(structure: Structure, instrument: str) -> bool:
    """Whether the instrument, or an event it is designated for, repeats; assumed where the setup is not known."""
    if structure.repeating_unknown:
        return True
    if any(r.form_name == instrument for r in structure.repeating):
        return True
    events = _events(structure, instrument)
    return any(not r.form_name and r.event_name in events for r in structure.repeating)


def _events(structure: Structure, instrument: str) -> frozenset[str]:
    return frozenset(m.unique_event_name for m in structure.form_event_mapping if m.form == instrument)


def _all_columns(structure: Structure, columns_of: dict[str, tuple[Column, ...]]) -> tuple[str, ...]:
    names = [structure.record_id_field]
    if structure.longitudinal:
        names.append(EVENT)
    if structure.repeating:
        names += [REPEAT_INSTRUMENT, REPEAT_INSTANCE]
    return (*names, *(c.name for columns in columns_of.values() for c in columns))
