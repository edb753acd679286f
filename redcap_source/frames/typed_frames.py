"""Type the columns of raw records by the data dictionary, in one explicit step, and list what did not fit.

A value that does not fit is missing in the typed frame and listed in the report; the raw frame is unchanged. Codes,
record ids and other text stay text. Not here: how a single value is parsed (typed_values.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redcap_source.dictionary import (
    REPEAT_COLUMNS,
    Choice,
    ValueKind,
    columns_by_field,
    complete_column,
    instrument_names,
    missing_codes_of,
    timestamp_column,
    value_kind,
)
from redcap_source.frames.typed_values import value_of
from redcap_source.model import ExportFieldName, Field

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Misfit:
    """Values of a column that did not fit its type, for one reason; `rows` are their positions in the frame."""

    column: str
    kind: ValueKind
    reason: str
    rows: tuple[int, ...] = field(repr=False)
    values: tuple[str, ...] = field(repr=False)

    @property
    def count(self) -> int:
        """The number of cells."""
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class TypedRecords:
    """The typed frame, and the values that are missing from it."""

    frame: "pd.DataFrame" = field(repr=False)
    misfits: tuple[Misfit, ...]


MISSING_DATA_CODE = "a missing-data code"

_DTYPES: Mapping[ValueKind, str] = {
    ValueKind.INTEGER: "Int64",
    ValueKind.SLIDER: "Int64",
    ValueKind.STATUS: "Int64",
    ValueKind.NUMBER: "Float64",
    ValueKind.NUMBER_COMMA: "Float64",
    ValueKind.CALC: "Float64",
    # Dates in seconds: REDCap's years are 1 to 9999, and nanoseconds only cover 1677 to 2262.
    ValueKind.DATE: "datetime64[s]",
    ValueKind.DATETIME: "datetime64[s]",
    ValueKind.DATETIME_SECONDS: "datetime64[s]",
    ValueKind.TIME: "object",
    ValueKind.TIME_SECONDS: "object",
    ValueKind.BOOLEAN_YESNO: "boolean",
    ValueKind.BOOLEAN_TRUEFALSE: "boolean",
    ValueKind.CHECKBOX: "boolean",
}


def column_kinds(
    dictionary: Sequence[Field],
    export_field_names: Sequence[ExportFieldName] = (),
    missing_codes: Sequence[Choice] = (),
) -> dict[str, ValueKind]:
    """The kind of value in each column of a flat raw export; columns of text are left out."""
    kinds = {REPEAT_COLUMNS[1]: ValueKind.INTEGER}
    for form in instrument_names(dictionary):
        kinds |= {complete_column(form): ValueKind.STATUS, timestamp_column(form): ValueKind.DATETIME_SECONDS}
    for defined, columns in columns_by_field(dictionary, export_field_names, missing_codes):
        kinds |= dict.fromkeys(columns, value_kind(defined))
    # The record id is a name, whatever validation it has: 007 is not 7.
    kinds.pop(dictionary[0].field_name, None)
    return {column: kind for column, kind in kinds.items() if kind in _DTYPES}


def type_records(
    frame: "pd.DataFrame",
    dictionary: Sequence[Field],
    export_field_names: Sequence[ExportFieldName] = (),
    missing_codes: Sequence[Choice] = (),
) -> TypedRecords:
    """The frame with its columns typed by the dictionary; unknown columns are unchanged."""
    import pandas as pd

    kinds = column_kinds(dictionary, export_field_names, missing_codes)
    codes = {
        column: frozenset(choice.code for choice in missing_codes_of(defined, missing_codes))
        for defined, columns in columns_by_field(dictionary, export_field_names, missing_codes)
        for column in columns
    }
    typed, misfits = {}, []
    for name in frame.columns:
        if name in kinds:
            typed[name], found = _typed_column(frame[name], kinds[name], codes.get(str(name), frozenset()))
            misfits += found
        else:
            typed[name] = frame[name]
    return TypedRecords(pd.DataFrame(typed, index=frame.index, columns=frame.columns), tuple(misfits))


def _typed_column(
    column: "pd.Series[Any]", kind: ValueKind, codes: frozenset[str]
) -> tuple["pd.Series[Any]", list[Misfit]]:
    import pandas as pd

    texts = column.tolist()
    # Each distinct text is parsed once: the columns of large exports repeat few values.
    read = {text: _read(kind, text, codes) for text in set(texts)}
    values = [read[text][0] for text in texts]
    wrong: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        if reason := read[text][1]:
            wrong.setdefault(reason, []).append(row)
    misfits = [
        Misfit(str(column.name), kind, reason, tuple(rows), tuple(texts[row] for row in rows))
        for reason, rows in wrong.items()
    ]
    return pd.Series(values, index=column.index, name=column.name, dtype=_DTYPES[kind]), misfits


def _read(kind: ValueKind, text: str, codes: frozenset[str]) -> tuple[Any, str]:
    """The value, and why there is none; None and blank for a blank cell."""
    if text == "":
        return None, ""
    if text in codes:
        return None, MISSING_DATA_CODE
    try:
        return value_of(kind, text), ""
    except ValueError as error:
        return None, str(error)
