"""Reading exactly the cells in question from REDCap, now.

A cell that is read as blank may be overwritten, so an answer that lacks a record is not believed before REDCap has
been asked once more, and a record that is not there is looked for under the ids that REDCap may take for it. Deciding
is done in decide.py, what is asked for in exports.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from pipelines.errors import VerificationFailed
from pipelines.interrupts import workers
from pipelines.warehouse.database.connection import private_files
from pipelines.wording import counted
from pipelines.writeback.decide.decide import Decided, Live, Place
from pipelines.writeback.decide.record_ids import taken_for, trimmed
from pipelines.writeback.decide.rulebook import Rulebook
from pipelines.writeback.exports import RecordExport, export_rows, visible_records
from redcap_source import RedcapClient, dictionary

# About as much as servers answer in a second or two.
ANSWER_CELLS = 50_000
ANSWER_RECORDS = 1_000
# How often an answer that lacks records is asked again before the run is given up.
LOOKS = 3


def read_live(
    client: RedcapClient, rulebook: Rulebook, cells: Sequence[Decided], staging: Path, *, concurrency: int = 1
) -> Live:
    """What REDCap holds of these cells, of the rows they stand in and of their forms' statuses.

    Answers are parsed in the private staging folder and leave nothing there. Raises what stops the reading; nothing is
    ever taken for blank because an answer was short.
    """
    parts = list(_parts(rulebook, cells))
    readings = [_Reading(client, rulebook, staging / f"live-{number}.json") for number in range(len(parts))]
    # Around all of it: the mask belongs to the process, not to a thread.
    with private_files():
        with workers(max(1, min(concurrency, len(parts)))) as pool:
            for _ in pool.map(_Reading.read, readings, parts):
                pass
        elsewhere = _elsewhere(client, rulebook, cells, readings, staging / "live.json")
        if elsewhere:
            readings.append(_Reading(client, rulebook, staging / "live-elsewhere.json"))
            readings[-1].read(_moved(cells, elsewhere))
        taken = _taken(client, rulebook, cells, staging / "live.json")
    return Live(
        rows=_joined(readings),
        records=frozenset().union(*(reading.records for reading in readings)),
        alike=elsewhere,
        refused=frozenset().union(*(reading.refused for reading in readings)),
        hidden=frozenset().union(*(reading.hidden for reading in readings)),
        taken=taken,
    )


def _joined(readings: Sequence[_Reading]) -> dict[Place, Mapping[str, str]]:
    """The rows of all readings. One that is asked for under two ids comes twice, each time with other columns."""
    rows: dict[Place, Mapping[str, str]] = {}
    for reading in readings:
        for place, row in reading.rows.items():
            rows[place] = {**rows[place], **row} if place in rows else row
    return rows


def _parts(rulebook: Rulebook, cells: Sequence[Decided]) -> Iterator[list[Decided]]:
    """The cells in even portions that make an answer of a bearable size, those of a record together."""
    by_record: defaultdict[str, list[Decided]] = defaultdict(list)
    for cell in cells:
        by_record[cell.place.record].append(cell)
    # A few records more than an answer may have are no reason to ask for those few alone.
    most = ceil(len(by_record) / max(1, ceil(len(by_record) / ANSWER_RECORDS)))
    part: list[Decided] = []
    records = 0
    columns: set[str] = set()
    for own in by_record.values():
        wider = columns | {cell.column for cell in own}
        if part and (records >= most or (records + 1) * len(wider) > ANSWER_CELLS):
            yield part
            part, records, wider = [], 0, {cell.column for cell in own}
        part += own
        records += 1
        columns = wider
    if part:
        yield part


class _Reading:
    """What one portion's answers bring."""

    def __init__(self, client: RedcapClient, rulebook: Rulebook, path: Path) -> None:
        self._rulebook = rulebook
        self._export = RecordExport(client, path, rulebook.record_id_field)
        self.rows: dict[Place, Mapping[str, str]] = {}
        self.records: set[str] = set()
        self.hidden: set[str] = set()

    @property
    def refused(self) -> set[str]:
        """Records about which REDCap refuses to answer."""
        return self._export.refused

    def read(self, cells: Sequence[Decided]) -> None:
        """Ask for these cells, and again for records that should have come."""
        rules = [self._rulebook.rules[column] for column in dict.fromkeys(cell.column for cell in cells)]
        # The status of each form comes along: it tells a form that was never opened, and an instance that is empty.
        statuses = [dictionary.complete_column(name) for name in dict.fromkeys(rule.instrument for rule in rules)]
        fields = list(dict.fromkeys([self._rulebook.record_id_field, *(rule.base for rule in rules), *statuses]))
        events = tuple(dict.fromkeys(cell.place.event for cell in cells if cell.place.event))
        due = list(dict.fromkeys(cell.place.record for cell in cells))
        for _ in range(LOOKS):
            # A server that trims ids answers to both.
            asked = list(dict.fromkeys([*due, *map(trimmed, due)]))
            came = self._take(self._export.rows(fields, asked, events), [rule.column for rule in rules])
            due = [record for record in due if record not in came and record not in self.refused]
            if not due:
                return
            due = self._still_due(due, events)
            if not due:
                return
        raise VerificationFailed(
            reason=f"it lacks {counted(len(due), 'record')} that REDCap has, and did so {LOOKS} times. Nothing was "
            "decided by it. Try again later."
        )

    def _take(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> set[str]:
        came: set[str] = set()
        for row in rows:
            texts = {name: str(value) for name, value in row.items()}
            place = _place(self._rulebook, texts)
            self.rows[place] = texts
            self.hidden.update(column for column in columns if column not in texts)
            came.add(place.record)
        self.records |= came
        return came

    def _still_due(self, records: Sequence[str], events: Sequence[str]) -> list[str]:
        """Of records that did not come, those that should have: they have rows in these events."""
        id_field = self._rulebook.record_id_field
        there = {str(row[id_field]) for row in self._export.rows([id_field], records) if id_field in row}
        self.records |= there & set(records)
        if not events:
            return [record for record in records if record in there]
        rows = self._export.rows([id_field], [record for record in records if record in there], events)
        inside = {str(row[id_field]) for row in rows if id_field in row}
        return [record for record in records if record in inside]


def _place(rulebook: Rulebook, row: Mapping[str, str]) -> Place:
    repeat_instrument, repeat_instance = dictionary.REPEAT_COLUMNS
    return Place(
        record=row.get(rulebook.record_id_field, ""),
        event=row.get(dictionary.EVENT_COLUMN, ""),
        repeat_instrument=row.get(repeat_instrument, ""),
        instance=row.get(repeat_instance, ""),
    )


def _elsewhere(
    client: RedcapClient, rulebook: Rulebook, cells: Sequence[Decided], readings: Sequence[_Reading], path: Path
) -> Mapping[str, str]:
    """For records that are not there the existing ones REDCap may take them for; reads all ids only if any is not."""
    known = set().union(*(reading.records | reading.refused for reading in readings))
    absent = {cell.place.record for cell in cells} - known
    return taken_for(absent, visible_records(client, path, rulebook.record_id_field)) if absent else {}


def _moved(cells: Sequence[Decided], elsewhere: Mapping[str, str]) -> list[Decided]:
    """The cells of records that are not there, as cells of the records REDCap may take them for."""
    return [
        replace(cell, place=cell.place._replace(record=elsewhere[cell.place.record]))
        for cell in cells
        if cell.place.record in elsewhere
    ]


def _taken(client: RedcapClient, rulebook: Rulebook, cells: Sequence[Decided], path: Path) -> dict[str, frozenset[str]]:
    """Who has the values that are to go into the secondary unique field; asked only if any are."""
    name = rulebook.secondary_unique
    wanted = {cell.proposal.new for cell in cells if cell.column == name and cell.proposal.new}
    if not wanted:
        return {}
    id_field = rulebook.record_id_field
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for row in export_rows(client, path, fields=[id_field, name]):
        if (value := str(row.get(name, ""))) in wanted:
            holders[value].add(str(row[id_field]))
    return {value: frozenset(records) for value, records in holders.items()}
