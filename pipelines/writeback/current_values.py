"""Reads from REDCap what it holds now for exactly the cells in question.

A cell that is read as blank may be overwritten. So an answer that lacks a record is not trusted before REDCap has been
asked again, and a record that does not exist is looked for under the ids that REDCap may take for it. Not here: how
records are exported (exports.py), what is decided (decide/decide.py).
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
from pipelines.writeback.decide.cells import CurrentValues, PlannedCell, RowKey
from pipelines.writeback.decide.record_ids import taken_for, trimmed
from pipelines.writeback.decide.rulebook import Rulebook
from pipelines.writeback.exports import RecordExport, export_rows, visible_records
from redcap_source import RedcapClient, dictionary

# About as much as servers answer in a second or two.
ANSWER_CELLS = 50_000
ANSWER_RECORDS = 1_000
# How often the records that an answer lacks are requested before the run is stopped.
ATTEMPTS = 3


def read_current_values(
    client: RedcapClient, rulebook: Rulebook, cells: Sequence[PlannedCell], staging: Path, *, concurrency: int = 1
) -> CurrentValues:
    """Read what REDCap holds for these cells, for their rows, and for the status of their forms.

    Answers are parsed in the private staging folder and deleted. Raises what prevents the reading; no cell is ever
    treated as blank because an answer was incomplete.
    """
    parts = list(_parts(rulebook, cells))
    readers = [_PartReader(client, rulebook, staging / f"live-{number}.json") for number in range(len(parts))]
    # Around all of it: the file mask belongs to the process, not to a thread.
    with private_files():
        with workers(max(1, min(concurrency, len(parts)))) as pool:
            for _ in pool.map(_PartReader.read, readers, parts):
                pass
        alike = _alike(client, rulebook, cells, readers, staging / "live.json")
        if alike:
            readers.append(_PartReader(client, rulebook, staging / "live-elsewhere.json"))
            readers[-1].read(_cells_elsewhere(cells, alike))
        taken = _taken(client, rulebook, cells, staging / "live.json")
    return CurrentValues(
        rows=_merged(readers),
        records=frozenset().union(*(reader.records for reader in readers)),
        alike=alike,
        refused=frozenset().union(*(reader.refused for reader in readers)),
        hidden=frozenset().union(*(reader.hidden for reader in readers)),
        taken=taken,
    )


def _merged(readers: Sequence[_PartReader]) -> dict[RowKey, Mapping[str, str]]:
    """The rows of all readers. A row requested under two ids is returned twice, each time with other columns."""
    rows: dict[RowKey, Mapping[str, str]] = {}
    for reader in readers:
        for key, row in reader.rows.items():
            rows[key] = {**rows[key], **row} if key in rows else row
    return rows


def _parts(rulebook: Rulebook, cells: Sequence[PlannedCell]) -> Iterator[list[PlannedCell]]:
    """Split the cells into even parts whose answers are small enough, without splitting a record."""
    by_record: defaultdict[str, list[PlannedCell]] = defaultdict(list)
    for cell in cells:
        by_record[cell.key.record].append(cell)
    # Parts of even size, so that no request is for the few records above ANSWER_RECORDS alone.
    most = ceil(len(by_record) / max(1, ceil(len(by_record) / ANSWER_RECORDS)))
    part: list[PlannedCell] = []
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


class _PartReader:
    """Reads one part's cells, and collects the rows, the records that exist and the columns that are hidden."""

    def __init__(self, client: RedcapClient, rulebook: Rulebook, path: Path) -> None:
        self._rulebook = rulebook
        self._export = RecordExport(client, path, rulebook.record_id_field)
        self.rows: dict[RowKey, Mapping[str, str]] = {}
        self.records: set[str] = set()
        self.hidden: set[str] = set()

    @property
    def refused(self) -> set[str]:
        """Records that REDCap does not let the token read."""
        return self._export.refused

    def read(self, cells: Sequence[PlannedCell]) -> None:
        """Request these cells, and again the records that an answer lacks although they exist."""
        rules = [self._rulebook.rules[column] for column in dict.fromkeys(cell.column for cell in cells)]
        # With the status of each form, which distinguishes a form that was never opened from an empty instance.
        statuses = [dictionary.complete_column(name) for name in dict.fromkeys(rule.instrument for rule in rules)]
        fields = list(dict.fromkeys([self._rulebook.record_id_field, *(rule.base for rule in rules), *statuses]))
        events = tuple(dict.fromkeys(cell.key.event for cell in cells if cell.key.event))
        pending = list(dict.fromkeys(cell.key.record for cell in cells))
        for _ in range(ATTEMPTS):
            # Under both ids, because a server that trims ids has the record under the trimmed one.
            ids = list(dict.fromkeys([*pending, *map(trimmed, pending)]))
            found = self._collect(self._export.rows(fields, ids, events), [rule.column for rule in rules])
            pending = [record for record in pending if record not in found and record not in self.refused]
            if not pending:
                return
            pending = self._existing(pending, events)
            if not pending:
                return
        raise VerificationFailed(
            reason=f"it lacks {counted(len(pending), 'record')} that REDCap has, and did so {ATTEMPTS} times. Nothing "
            "was decided based on it. Try again later."
        )

    def _collect(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for row in rows:
            texts = {name: str(value) for name, value in row.items()}
            key = _row_key(self._rulebook, texts)
            self.rows[key] = texts
            self.hidden.update(column for column in columns if column not in texts)
            found.add(key.record)
        self.records |= found
        return found

    def _existing(self, records: Sequence[str], events: Sequence[str]) -> list[str]:
        """Of records that an answer lacks, return those that have rows in these events."""
        id_field = self._rulebook.record_id_field
        there = {str(row[id_field]) for row in self._export.rows([id_field], records) if id_field in row}
        self.records |= there & set(records)
        if not events:
            return [record for record in records if record in there]
        rows = self._export.rows([id_field], [record for record in records if record in there], events)
        inside = {str(row[id_field]) for row in rows if id_field in row}
        return [record for record in records if record in inside]


def _row_key(rulebook: Rulebook, row: Mapping[str, str]) -> RowKey:
    repeat_instrument, repeat_instance = dictionary.REPEAT_COLUMNS
    return RowKey(
        record=row.get(rulebook.record_id_field, ""),
        event=row.get(dictionary.EVENT_COLUMN, ""),
        repeat_instrument=row.get(repeat_instrument, ""),
        instance=row.get(repeat_instance, ""),
    )


def _alike(
    client: RedcapClient, rulebook: Rulebook, cells: Sequence[PlannedCell], readers: Sequence[_PartReader], path: Path
) -> Mapping[str, str]:
    """Map records that do not exist to those REDCap may take them for; all ids are exported only if any is missing."""
    known = set().union(*(reader.records | reader.refused for reader in readers))
    absent = {cell.key.record for cell in cells} - known
    return taken_for(absent, visible_records(client, path, rulebook.record_id_field)) if absent else {}


def _cells_elsewhere(cells: Sequence[PlannedCell], alike: Mapping[str, str]) -> list[PlannedCell]:
    """The cells of records that do not exist, as cells of the records that REDCap may take them for."""
    return [
        replace(cell, key=cell.key._replace(record=alike[cell.key.record]))
        for cell in cells
        if cell.key.record in alike
    ]


def _taken(
    client: RedcapClient, rulebook: Rulebook, cells: Sequence[PlannedCell], path: Path
) -> dict[str, frozenset[str]]:
    """The records that hold the proposed values of the secondary unique field; exported only if there are any."""
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
