"""Rows for an import: mappings, values of model/ or a DataFrame become the text of a `data` parameter.

No cell is guessed: a value without a plain spelling in REDCap is a TypeError, and a missing one is left out of its
row, because a blank would erase in an overwriting import.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeAlias

from redcap_source.model import ApiRow

if TYPE_CHECKING:
    import pandas as pd

Rows: TypeAlias = "str | pd.DataFrame | Iterable[Mapping[str, Any] | ApiRow]"


def data_text(rows: Any) -> str:
    """The rows as JSON text; text is returned unchanged.

    TypeError for a single mapping or a cell without a plain spelling, ValueError for columns of the same name.
    """
    if isinstance(rows, str):
        return rows
    if isinstance(rows, Mapping):
        # REDCap's answer to a single object is a count of 0, without an error.
        raise TypeError("Rows are a list of mappings: put a single row in a list.")
    listed = _rows_of_frame(rows) if hasattr(rows, "to_dict") else rows
    return json.dumps([_row(row) for row in listed], ensure_ascii=False)


def settings_text(settings: Mapping[str, Any]) -> str:
    """One mapping of settings as a JSON object."""
    return json.dumps(_row(settings), ensure_ascii=False)


def _row(row: Mapping[str, Any] | ApiRow) -> dict[str, Any]:
    pairs = row.as_row().items() if isinstance(row, ApiRow) else row.items()
    return {str(name): cell_text(str(name), value) for name, value in pairs if not _is_missing(value)}


def cell_text(name: str, value: Any) -> Any:
    """A cell in REDCap's spelling: text unchanged, booleans as 1 or 0, numbers as Python writes them, dates Y-M-D.

    TypeError, naming the column but not the value, for anything else: whether a datetime has seconds depends on its
    column. Mappings (rights by instrument) are left for JSON.
    """
    if isinstance(value, str | Mapping):
        return value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Integral | Decimal):
        return str(value)
    if isinstance(value, Real):
        return repr(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"Column {name} has a {type(value).__name__}: give it as text in REDCap's spelling.")


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    # NaN and NaT differ from themselves; pandas' NA answers every comparison with NA, which has no truth.
    differs = value != value
    return (not isinstance(differs, bool) and type(differs).__name__ == "NAType") or differs is True


def _rows_of_frame(frame: "pd.DataFrame") -> Iterable[Mapping[str, Any]]:
    named = [name for name in frame.index.names if name is not None]
    table = frame.reset_index() if named else frame
    if not table.columns.is_unique:
        raise ValueError("Two columns have the same name, so it is unclear which to import.")
    columns = [str(name) for name in table.columns]
    return (dict(zip(columns, row, strict=True)) for row in table.itertuples(index=False, name=None))
