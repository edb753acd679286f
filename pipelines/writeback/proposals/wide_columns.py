"""What each column of a table with a column for each field is: a key, a field to compare, or never written. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.writeback.decide.reasons import Reason
from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.proposals.columns import (
    EVENT,
    OWN_COLUMNS,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    ProjectColumns,
)
from pipelines.writeback.proposals.files import Unreadable
from pipelines.writeback.proposals.label_export import LABEL_EXPORT, is_label_export
from redcap_source.dictionary import ValueKind

OTHER_INSTRUMENT = "a field of another instrument than the one that was asked for"
UNKNOWN = "no field of the project as it was last loaded"
_KEYS = {EVENT: "event", REPEAT_INSTRUMENT: "instrument", REPEAT_INSTANCE: "instance"}


@dataclass(frozen=True, slots=True)
class WideColumns:
    """The columns of a wide table."""

    keys: dict[str, int]
    """The position of each of KEY_COLUMNS; separate from the fields, because a field may have such a name."""
    positions: dict[str, int]
    """The position of each field that is compared."""
    written: dict[str, list[str]]
    """The columns that may be written, by instrument."""
    ignored: dict[str, str]
    """The columns that are never written, with the reason."""
    watched: dict[str, list[str]] = field(default_factory=dict)
    """Those of them in which an edit can be seen, by instrument."""

    @property
    def instruments(self) -> list[str]:
        """The instruments that have columns in the table."""
        return list(dict.fromkeys((*self.written, *self.watched)))

    @property
    def compared(self) -> list[str]:
        """All columns that are compared."""
        return [name for listed in (*self.written.values(), *self.watched.values()) for name in listed]


def wide_columns(names: Sequence[str], columns: ProjectColumns, instrument: str | None = None) -> WideColumns:
    """Return what each column of a table is. Raises Unreadable if the table is not one of this project."""
    if is_label_export(names, columns):
        raise Unreadable(LABEL_EXPORT)
    at = {name.strip(): position for position, name in enumerate(names)}
    if len(at) != len(names):
        raise Unreadable("two of its columns have the same name.")
    if columns.record_id not in at:
        raise Unreadable(
            f"it has neither the columns record, field and new_value nor the record id {columns.record_id}."
        )
    if instrument is not None and instrument not in columns.dictionary.instruments:
        raise Unreadable(f"the project has no instrument {instrument} in the warehouse.")
    sorter = _ColumnSorter(columns, instrument)
    for name, position in at.items():
        sorter.add(name, position)
    if not sorter.written:
        raise Unreadable("it has no field of the project that may be written.")
    return sorter.sorted_columns(at)


class _ColumnSorter:
    """Sorts the columns of a table, one after another."""

    def __init__(self, columns: ProjectColumns, instrument: str | None) -> None:
        self.columns = columns
        self.instrument = instrument
        self.timestamps = columns.timestamps()
        self.written: defaultdict[str, list[str]] = defaultdict(list)
        self.watched: defaultdict[str, list[str]] = defaultdict(list)
        self.ignored: dict[str, str] = {}
        self.group_columns: list[str] = []

    def add(self, name: str, position: int) -> None:
        rule = self.columns.rules.get(name)
        if name == self.columns.record_id or name in _KEYS:
            return
        if rule is None:
            self._add_other(name, position)
        elif self.instrument not in (None, rule.instrument):
            self.ignored[name] = OTHER_INSTRUMENT
        elif (reason := self.columns.why_ignored(rule)) is None:
            self.written[rule.instrument].append(name)
        else:
            self._add_ignored(name, rule, reason)

    def _add_ignored(self, name: str, rule: Rule, reason: str) -> None:
        self.ignored[name] = reason
        # For a file, an export has a name, an id or a placeholder; values that may not be kept are not compared.
        if rule.kind not in (ValueKind.FILE, ValueKind.DESCRIPTIVE) and not self.columns.withheld(rule):
            self.watched[rule.instrument].append(name)

    def _add_other(self, name: str, position: int) -> None:
        if name in OWN_COLUMNS:
            self.ignored[name] = Reason.OWN_COLUMN
            if name == OWN_COLUMNS[0]:
                self.group_columns.append(name)
        elif name in self.timestamps:
            self.ignored[name] = Reason.OWN_COLUMN
        elif name in self.columns.options:
            self.ignored[name] = Reason.CHECKBOX_WHOLE
        else:
            # The name is not repeated: a file without a header has a participant's values in its first line.
            self.ignored[f"column {position + 1}"] = UNKNOWN

    def sorted_columns(self, at: dict[str, int]) -> WideColumns:
        if self.group_columns:
            # Every instrument's table has the group; it is compared in one of them.
            self.watched[next(iter(self.written))] += self.group_columns
        keys = {"record": at[self.columns.record_id]}
        keys |= {key: at[name] for name, key in _KEYS.items() if name in at}
        compared = [name for listed in (*self.written.values(), *self.watched.values()) for name in listed]
        positions = {name: at[name] for name in compared}
        return WideColumns(keys, positions, dict(self.written), self.ignored, dict(self.watched))
