"""The project's log, in the wording of REDCap 12 and later.

Times are server-local text with seconds, as in REDCap's database; the API shows minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["export", "manage", "user", "record_add", "record_edit", "record_delete", "lock_record", "page_view"]
# How a row affects a record's data, for dateRange.
Effect = Literal["none", "data", "rename", "group"]
MINUTE = len("2024-01-01 10:00")
PAGE_VIEW = "Page View"


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the log."""

    at: str
    user: str
    kind: Kind
    action: str
    details: str = ""
    record: str = ""
    effect: Effect = "none"


class Log:
    """The rows in the order in which they were written."""

    def __init__(self) -> None:
        self.rows: list[LogRow] = []

    def __iter__(self) -> Iterator[LogRow]:
        return iter(self.rows)

    def add(self, row: LogRow) -> None:
        """Append a row."""
        self.rows.append(row)

    def relabel(self, old: str, new: str, events: frozenset[str] | None = None) -> None:
        """Give the rows of a renamed record its new id: all, or only those about events with these labels."""
        endings = ("",) if events is None else tuple(f" ({event})" for event in events)
        self.rows = [
            replace(row, record=new) if row.record == old and row.action.endswith(endings) else row for row in self.rows
        ]

    def erase_content(self, record: str) -> None:
        """Blank the details of a record deleted together with its logging."""
        self.rows = [
            replace(row, details="[*DATA REMOVED*]") if row.record == record and row.effect == "data" else row
            for row in self.rows
        ]

    def records_touched(
        self, begin: str, end: str, *, effects: frozenset[Effect], inclusive: tuple[bool, bool]
    ) -> set[str]:
        """The records whose data changed between two local times; a blank is no limit."""
        after, before = inclusive
        return {
            row.record
            for row in self.rows
            if row.effect in effects
            and (not begin or row.at > begin or (after and row.at == begin))
            and (not end or row.at < end or (before and row.at == end))
        }

    def select(
        self, *, logtype: str, user: str, record: str, begin: str, end: str, inclusive: tuple[bool, bool] = (True, True)
    ) -> list[LogRow]:
        """The rows that a log request asks for, newest first; times are minutes."""
        after, before = inclusive
        return [
            row
            for row in reversed(self.rows)
            if _is_of_type(row.kind, logtype)
            and (not user or row.user == user)
            and (not record or row.record == record)
            and (not begin or row.at[:MINUTE] > begin or (after and row.at[:MINUTE] == begin))
            and (not end or row.at[:MINUTE] < end or (before and row.at[:MINUTE] == end))
        ]


def _is_of_type(kind: Kind, logtype: str) -> bool:
    if not logtype:
        return kind != "page_view"
    if logtype == "record":
        return kind.startswith("record_")
    return kind == logtype


def log_minute(text: str, *, is_end: bool) -> str:
    """A time of a log request in minutes; a bare date is its whole day."""
    text = text.strip().replace("T", " ")
    if len(text) == len("2024-01-01"):
        return f"{text} 23:59" if is_end else f"{text} 00:00"
    return text[:MINUTE]


def details_of(values: Mapping[str, str], checkbox_codes: Mapping[str, tuple[str, str]], instance: int = 0) -> str:
    """The text `field = 'value', box(code) = checked`, with a prefix for instances after the first."""
    prefix = f"[instance = {instance}], " if instance >= 2 else ""
    return prefix + ", ".join(_detail(name, value, checkbox_codes.get(name)) for name, value in values.items())


def _detail(name: str, value: str, box: tuple[str, str] | None) -> str:
    if box is not None:
        return f"{box[0]}({box[1]}) = {'checked' if value == '1' else 'unchecked'}"
    # REDCap neither escapes quotes nor keeps line breaks here.
    return f"{name} = '{value.replace(chr(13), ' ').replace(chr(10), ' ')}'"
