"""Which cells to ask for together, so that the server does not have to send millions of blanks. Pure.

A flat row has a cell for every field of the project, and in a longitudinal project most of them can hold nothing:
their instruments are not designated for the row's event. Instruments that share events are therefore asked for
together, with those events only. Values that the setup rules out are looked for separately (`Scope.undesignated`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NotRequired, TypedDict

from pipelines.extract.selection import Selection
from pipelines.warehouse.tables.layout import InstrumentTable, Layout, key_columns, work_columns

# What one more request may cost, in cells: servers answer 20 to 50 thousand a second, the rate limit is about two
# requests a second, and each has its own start-up.
REQUEST_CELLS = 50_000
# The most cells in an answer; servers are known to fail at about a million.
ANSWER_CELLS = 1_000_000
MOST_SCOPES = 8


class ExportOptions(TypedDict):
    """The parameters of a flat export of a scope."""

    fields: tuple[str, ...]
    forms: tuple[str, ...]
    events: NotRequired[tuple[str, ...]]
    export_survey_fields: bool
    export_data_access_groups: bool
    blank_for_gray_form_status: bool


@dataclass(frozen=True, slots=True)
class Undesignated:
    """The events that a scope's fields are not designated for."""

    fields: tuple[str, ...]
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """The cells one request asks for: some fields or instruments, in some events or (where empty) in all."""

    fields: tuple[str, ...]
    forms: tuple[str, ...]
    events: tuple[str, ...]
    columns: tuple[str, ...]
    """The columns that an answer must have, in REDCap's order."""
    cells: int = 0
    """About how many cells the whole project has in it."""
    undesignated: Undesignated | None = None

    def options(self) -> ExportOptions:
        """The parameters of a flat export that holds all there is to load of the scope."""
        options: ExportOptions = {
            "fields": self.fields,
            "forms": self.forms,
            "export_survey_fields": True,
            "export_data_access_groups": True,
            "blank_for_gray_form_status": True,
        }
        if self.events:
            options["events"] = self.events
        return options


def whole_scope(selection: Selection, columns: Sequence[str] = (), rows: int = 0) -> Scope:
    """Everything there is to load, in every event."""
    return Scope(selection.fields, selection.forms, (), tuple(columns), rows * len(columns))


def instruments_scope(layout: Layout, selection: Selection, instruments: Collection[str]) -> Scope:
    """Some instruments only, in every event."""
    group = _group(frozenset(), [table for table in layout.instruments if table.name in instruments])
    return replace(_scope(layout, selection, group, {}), undesignated=None)


def narrow_scopes(layout: Layout, selection: Selection, rows: Mapping[str, int]) -> tuple[Scope, ...]:
    """The scopes that together hold the project, or none if one request for everything costs no more.

    `rows` says how many rows each event of the project has.
    """
    if not layout.longitudinal:
        return ()
    chosen = cheapest(_by_events(layout), rows, keys=len(key_columns(layout)))
    scopes = tuple(_scope(layout, selection, group, rows) for group in chosen)
    # To name no event is to ask for all of them.
    return scopes if len(scopes) > 1 and all(scope.events for scope in scopes) else ()


@dataclass(frozen=True, slots=True)
class Group:
    """Instruments that are asked for together, and the events of any of them."""

    events: frozenset[str]
    width: int
    """How many columns the instruments have."""
    instruments: tuple[InstrumentTable, ...] = ()

    def __or__(self, other: Group) -> Group:
        return Group(self.events | other.events, self.width + other.width, self.instruments + other.instruments)

    def cells(self, rows: Mapping[str, int], keys: int) -> int:
        """How many cells an answer for the whole project has."""
        return sum(rows.get(event, 0) for event in self.events) * (self.width + keys)


def cheapest(groups: Sequence[Group], rows: Mapping[str, int], *, keys: int) -> list[Group]:
    """The cheapest grouping found by merging, from all apart to all together, the pair that adds least in each step."""
    present = list(groups)
    best: list[Group] | None = None
    least = 0
    while present:
        cost = _cost(present, rows, keys)
        if len(present) <= MOST_SCOPES and (best is None or cost <= least):
            best, least = present, cost
        present = _merged(present, rows, keys)
    return best or []


def _cost(groups: Sequence[Group], rows: Mapping[str, int], keys: int) -> int:
    """What requesting the groups costs, in cells: those sent, and the equivalent of the requests."""
    cells = [group.cells(rows, keys) for group in groups]
    chunks = 1 + max(cells) // ANSWER_CELLS
    # Apart, each group needs one more request, which looks for undesignated values.
    requests = len(groups) * (chunks + (len(groups) > 1))
    return sum(cells) + requests * REQUEST_CELLS


def _merged(groups: Sequence[Group], rows: Mapping[str, int], keys: int) -> list[Group]:
    """The groups with one pair merged; none at all after the last."""
    if len(groups) < 2:
        return []
    cells = [group.cells(rows, keys) for group in groups]

    def added(pair: tuple[int, int]) -> int:
        one, other = pair
        return (groups[one] | groups[other]).cells(rows, keys) - cells[one] - cells[other]

    one, other = min(combinations(range(len(groups)), 2), key=added)
    rest = [group for at, group in enumerate(groups) if at not in (one, other)]
    return [*rest, groups[one] | groups[other]]


def _by_events(layout: Layout) -> list[Group]:
    """One group for each set of events that instruments share."""
    found: dict[frozenset[str], list[InstrumentTable]] = {}
    for table in layout.instruments:
        found.setdefault(table.events or frozenset(), []).append(table)
    # An instrument designated for no event joins a group that has events, as to name none would mean every event.
    undesignated = found.pop(frozenset(), [])
    groups = [_group(events, tables) for events, tables in found.items()]
    return [groups[0] | _group(frozenset(), undesignated), *groups[1:]] if groups else []


def _group(events: frozenset[str], tables: Sequence[InstrumentTable]) -> Group:
    return Group(events, sum(len(table.columns) for table in tables), tuple(tables))


def _scope(layout: Layout, selection: Selection, group: Group, rows: Mapping[str, int]) -> Scope:
    inside = tuple(event for event in rows if event in group.events)
    outside = tuple(event for event in rows if event not in group.events)
    fields = tuple(dict.fromkeys(column.field for table in group.instruments for column in table.columns))
    named = bool(selection.fields) and not selection.forms
    wanted = set(key_columns(layout))
    wanted.update(name for table in group.instruments for _, name in work_columns(layout, table))
    return Scope(
        fields=(layout.record_id_field, *fields) if named else (layout.record_id_field,),
        forms=() if named else tuple(table.name for table in group.instruments),
        events=inside,
        columns=tuple(name for name in layout.answer_columns if name in wanted),
        cells=group.cells(rows, len(key_columns(layout))),
        undesignated=Undesignated(fields, outside) if outside else None,
    )
