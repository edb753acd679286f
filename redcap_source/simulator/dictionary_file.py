"""A data dictionary as people have it in a file: whether it is one, and the fields it makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from redcap_source.simulator.dictionary import FIELD_KEYS, UI_HEADERS, Field, fields_from_rows
from redcap_source.simulator.errors import SimulatorError

# Every dictionary has a column of field names, under the web page's header or the API's.
NAME_HEADERS = (UI_HEADERS[0], FIELD_KEYS[0])
SHOWN_HEADERS = 8


def fields_from_table(rows: Mapping[int, Mapping[str, str]], *, source: str) -> list[Field]:
    """The fields of a dictionary's numbered rows."""
    _require_dictionary(rows, source)
    return fields_from_rows(rows.values(), source=source)


def _require_dictionary(rows: Mapping[int, Mapping[str, str]], source: str) -> None:
    headers = next(iter(rows.values()), {})
    if any(name in headers for name in NAME_HEADERS):
        return
    found = f"Its headers are {_listed(headers)}" if headers else "It has no rows"
    raise SimulatorError(
        f"{source} is no data dictionary. {found}; REDCap's dictionary has {_listed(UI_HEADERS[:4])}, its API "
        f"{_listed(FIELD_KEYS[:4])}. Download it from the project's Data Dictionary page."
    )


def _listed(names: Iterable[str]) -> str:
    listed = [f"'{name if len(name) <= 40 else name[:40] + '…'}'" for name in names]
    return ", ".join(listed[:SHOWN_HEADERS]) + (" and others" if len(listed) > SHOWN_HEADERS else "")
