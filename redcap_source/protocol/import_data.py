"""Rows on their way into REDCap: mappings, values of model.py or a DataFrame become the text of a `data` parameter.

Nothing is guessed from a cell: what has no plain spelling in REDCap is refused, and what is missing is left out of
its row, because a blank would erase in an overwriting import.
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
    """The rows as JSON text; text is passed on as it is."""
    if isinstance(rows, str):
        return rows
    if isinstance(rows, Mapping):
        # REDCap answers a single object with a count of 0 and no error.
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
    """A cell as REDCap spells it: text as it is, truth as 1 or 0, numbers as Python writes them, dates Y-M-D.

    TypeError, naming the column but not the value, for anything else: of a datetime only its column knows whether
    seconds belong. Mappings (rights by instrument) are left for JSON.
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
    raise TypeError(f"Column {name} holds a {type(value).__name__}: spell it as text the way REDCap does.")


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
        raise ValueError("Two columns have the same name, so it is not certain what should be imported.")
    columns = [str(name) for name in table.columns]
    return (dict(zip(columns, row, strict=True)) for row in table.itertuples(index=False, name=None))
