"""Which cells to ask for together, so that the server does not have to send millions of blanks. Pure.

A flat row has a cell for every field of the project, and most of them can hold nothing: their instruments are not
designated for the row's event, or the row is an instance of one repeating instrument. Instruments that share events are
therefore asked for together, with those events only, and repeating instruments apart. Values that the setup rules out
are looked for separately (`Scope.undesignated`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from operator import or_
from typing import NotRequired, TypedDict

from pipelines.extract.selection import Selection
from pipelines.extract.speed.schedule import Capacity, fewest, pieces
from pipelines.warehouse.tables.layout import InstrumentTable, Layout, key_columns, work_columns

# Stands for the only event of a classic project, which has no name.
CLASSIC = ""
# A record's scopes are the bits of a number of 64 bits.
MOST_SCOPES = 60


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
    group = _group(frozenset(), [table for table in layout.instruments if table.name in instruments], {})
    return replace(_scope(layout, selection, group, {}), undesignated=None)


def narrow_scopes(
    layout: Layout,
    selection: Selection,
    rows: Mapping[str, int],
    capacity: Capacity,
    instances: Mapping[str, int] | None = None,
    records: int = 0,
) -> tuple[Scope, ...]:
    """The scopes that together hold the project, or none if one request for everything takes no longer.

    `rows` says how many rows each event of a longitudinal project has without those of repeating instruments; a classic
    one has as many as `records`. `instances` says about how many rows each repeating instrument has.
    """
    counted = rows if layout.longitudinal else {CLASSIC: records}
    groups = _groups(layout, counted, instances or {})
    chosen = cheapest(groups, counted, keys=len(key_columns(layout)), capacity=capacity)
    scopes = tuple(_scope(layout, selection, group, counted) for group in chosen)
    # In a longitudinal project, to name no event is to ask for all of them.
    return scopes if len(scopes) > 1 and all(scope.events or not layout.longitudinal for scope in scopes) else ()


@dataclass(frozen=True, slots=True)
class Group:
    """Instruments that are asked for together, and the events of any of them."""

    events: frozenset[str]
    width: int
    """How many columns the instruments have."""
    instruments: tuple[InstrumentTable, ...] = ()
    instances: int = 0
    """How many rows those of them have that repeat."""

    def __or__(self, other: Group) -> Group:
        return Group(
            self.events | other.events,
            self.width + other.width,
            self.instruments + other.instruments,
            self.instances + other.instances,
        )

    def cells(self, rows: Mapping[str, int], keys: int) -> int:
        """How many cells an answer for the whole project has."""
        return (sum(rows.get(event, 0) for event in self.events) + self.instances) * (self.width + keys)

    def is_searched_for(self, rows: Mapping[str, int]) -> bool:
        """Whether another request has to look for values in the events that are left out."""
        return not self.events.issuperset(rows)


# Of ways to group, those that take no longer than this many times the cheapest are looked at again, if no more moves of
# one group to another have to be compared, and all takes longer than this many seconds: looking takes 0.03 of one.
_NEARLY = 1.3
_MOST_MOVES = 150
_WORTH_SECONDS = 1.0
# Of all ways, the one with the fewest requests is taken that takes no longer than this many times the cheapest. Each
# answer is later cut by the same rule, with a margin of its own, and the two add up.
_HARDLY = 1.03


def cheapest(groups: Sequence[Group], rows: Mapping[str, int], *, keys: int, capacity: Capacity) -> list[Group]:
    """The cheapest grouping found, from all apart to all together.

    In each step the pair is merged that adds least; of the best ways, groups are then moved from one merged group to
    another as long as that spares cells, since what was merged early may fit better with what was merged later.
    """

    def way(blocks: list[list[Group]]) -> tuple[int, float, list[list[Group]]]:
        answers = _answers([_together(block) for block in blocks], rows, keys, capacity)
        return len(answers), capacity.cost(answers), blocks

    ways = []
    blocks = [[group] for group in groups]
    while blocks:
        if len(blocks) <= MOST_SCOPES:
            ways.append(way(blocks))
        blocks = _merged(blocks, rows, keys)
    if not ways:
        return []
    least, few = min(cost for _, cost, _ in ways), _MOST_MOVES // len(groups)
    if least >= _WORTH_SECONDS:
        again = [blocks for _, cost, blocks in ways if cost <= least * _NEARLY and len(blocks) <= few]
        ways += [way(_rearranged(blocks, rows, keys)) for blocks in again]
    return [_together(block) for block in fewest(ways, _HARDLY)]


def _together(groups: Sequence[Group]) -> Group:
    return reduce(or_, groups)


def _answers(groups: Sequence[Group], rows: Mapping[str, int], keys: int, capacity: Capacity) -> list[float]:
    """The cells of all answers, if the groups are requested: their own, and those of the searches, which have none."""
    cells = [group.cells(rows, keys) for group in groups]
    searches = [0.0 for group in groups if group.is_searched_for(rows)] if len(groups) > 1 else []
    return pieces(cells, capacity.piece(cells, capacity.most_cells, searches)) + searches


def _merged(blocks: Sequence[list[Group]], rows: Mapping[str, int], keys: int) -> list[list[Group]]:
    """The groups with one pair merged; none at all after the last."""
    if len(blocks) < 2:
        return []
    groups = [_together(block) for block in blocks]
    cells = [group.cells(rows, keys) for group in groups]

    def added(pair: tuple[int, int]) -> int:
        one, other = pair
        return (groups[one] | groups[other]).cells(rows, keys) - cells[one] - cells[other]

    one, other = min(combinations(range(len(groups)), 2), key=added)
    rest = [block for at, block in enumerate(blocks) if at not in (one, other)]
    return [*rest, blocks[one] + blocks[other]]


def _rearranged(blocks: Sequence[Sequence[Group]], rows: Mapping[str, int], keys: int) -> list[list[Group]]:
    """The merged groups, with groups moved from one to another where that spares cells; the best move first."""
    found = [list(block) for block in blocks]

    def cells(groups: Sequence[Group]) -> int:
        return _together(groups).cells(rows, keys)

    def spared(move: tuple[int, int, int]) -> int:
        one, at, other = move
        less, more = found[one][:at] + found[one][at + 1 :], [*found[other], found[one][at]]
        return cells(found[one]) + cells(found[other]) - cells(less) - cells(more)

    # Each move spares cells, so none is ever undone; the number is limited all the same.
    for _ in range(sum(map(len, found))):
        moves = [
            (one, at, other)
            for one, block in enumerate(found)
            if len(block) > 1
            for at in range(len(block))
            for other in range(len(found))
            if other != one
        ]
        if not moves or spared(best := max(moves, key=spared)) <= 0:
            break
        one, at, other = best
        found[other].append(found[one].pop(at))
    return found


def _groups(layout: Layout, rows: Mapping[str, int], instances: Mapping[str, int]) -> list[Group]:
    """One group for each set of events that instruments share, and one for each repeating instrument."""
    everywhere = frozenset(rows)
    found: dict[tuple[frozenset[str], str], list[InstrumentTable]] = {}
    for table in layout.instruments:
        events = (table.events or frozenset()) if layout.longitudinal else everywhere
        found.setdefault((events, table.name if table.name in instances else ""), []).append(table)
    groups = [_group(events, tables, instances) for (events, _), tables in found.items()]
    # An instrument designated for no event joins a group that has events, as to name none would mean every event.
    placed = [group for group in groups if group.events]
    for group in groups:
        if placed and not group.events:
            placed[0] |= group
    return placed


def _group(events: frozenset[str], tables: Sequence[InstrumentTable], instances: Mapping[str, int]) -> Group:
    width = sum(len(table.columns) for table in tables)
    return Group(events, width, tuple(tables), sum(instances.get(table.name, 0) for table in tables))


def _scope(layout: Layout, selection: Selection, group: Group, rows: Mapping[str, int]) -> Scope:
    inside = tuple(event for event in rows if event in group.events and event != CLASSIC)
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
