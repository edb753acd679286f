"""REDCap's log, taken row by row: the rows go to files of the staging folder, and what they say of records is noted.

A busy project writes hundreds of thousands of rows in a week, so they never stand in memory together. What a row says
is redcap_source.changes' business; warehouse.audit_log puts the files into the working file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TextIO

from pipelines.extract.chunks import ABOUT_THE_REQUEST
from pipelines.warehouse.database.connection import private_files, private_folder
from redcap_source import RedcapClient, errors, model
from redcap_source.log import changes
from redcap_source.log.changes import ChangeKind, RecordChange
from redcap_source.log.clock import newest_call

log = logging.getLogger("redcap_warehouse")

# REDCap's log has no paging, and a long one ends in a time-out.
SLICE = timedelta(days=7)
MINUTE = timedelta(minutes=1)
LATEST = datetime.fromisoformat("9999-12-31")


@dataclass(frozen=True, slots=True)
class LogTerms:
    """What is needed to read a project's log, and how much of its details may be kept."""

    record_id_field: str
    columns: frozenset[str]
    """The columns that are loaded: no other word of the details is taken for one."""
    whole: bool
    """Whether details are kept as they are; else only the names of the columns, as they quote what is left out."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """What columns are called now that the log knows under another name."""


@dataclass(slots=True)
class LogRead:
    """What a log, or one answer of it, says; its rows are in the files.

    Moments are the server's wall clock; a change whose moment cannot be read counts as the latest there could be.
    """

    files: list[Path] = field(default_factory=list)
    newest_call: datetime | None = None
    """The wall clock by the newest row of a call over the API."""
    unparsed: int = 0
    """How many rows may be about a record that nobody can name."""
    stamps: set[datetime] = field(default_factory=set)
    """Every moment that stands in the files."""
    changed: dict[str, datetime] = field(default_factory=dict, repr=False)
    """When each record that may hold other data was last changed."""
    latest: dict[str, tuple[ChangeKind, datetime]] = field(default_factory=dict, repr=False)
    """The last that is said of each record."""
    deleted: dict[str, datetime] = field(default_factory=dict, repr=False)
    """When each record was last deleted, whatever became of it."""
    renamed: list[datetime] = field(default_factory=list)
    """When a record, of which only the new name is told, was renamed."""

    def note(self, change: RecordChange) -> None:
        """Take in what a row says; the newest row comes first."""
        at = change.at or LATEST
        self.latest.setdefault(change.record, (change.kind, at))
        if changes.changed_records((change,)):
            self.changed[change.record] = max(at, self.changed.get(change.record, at))
        if change.kind is ChangeKind.DELETED:
            self.deleted[change.record] = max(at, self.deleted.get(change.record, at))
        if change.kind is ChangeKind.RENAMED:
            self.renamed.append(at)

    def add_older(self, older: LogRead) -> None:
        """Take in what the answer for an earlier range says."""
        self.files += older.files
        self.newest_call = self.newest_call or older.newest_call
        self.unparsed += older.unparsed
        self.stamps |= older.stamps
        self.changed = older.changed | self.changed
        self.latest = older.latest | self.latest
        self.deleted = older.deleted | self.deleted
        self.renamed += older.renamed

    def changed_since(self, begin: datetime) -> frozenset[str]:
        """Records that may hold other data than at that moment."""
        return frozenset(record for record, at in self.changed.items() if at >= begin)

    def gone_since(self, begin: datetime) -> frozenset[str]:
        """Records of which the last that is said is that they were deleted."""
        return frozenset(
            record for record, (what, at) in self.latest.items() if what is ChangeKind.DELETED and at >= begin
        )

    def deleted_since(self, begin: datetime) -> frozenset[str]:
        """Records that were deleted, though they may have been entered anew."""
        return frozenset(record for record, at in self.deleted.items() if at >= begin)

    def renames_since(self, begin: datetime) -> int:
        """How many records were renamed."""
        return sum(at >= begin for at in self.renamed)


def read_log(
    client: RedcapClient, begin: datetime, upto: datetime, folder: Path, terms: LogTerms
) -> tuple[LogRead | None, bool]:
    """The log from a moment of the server's wall clock on, and whether the token may read it at all.

    None where REDCap could not deliver it. The newest range is asked for first, moments after other calls of ours.
    """
    private_folder(folder)
    found = LogRead()
    try:
        for number, (start, end) in enumerate(reversed(list(ranges(begin, upto)))):
            found.add_older(_read_range(client, start, end, folder / f"log-{number:03d}.json", terms))
    except (errors.MissingRight, errors.RequestRefused):
        return None, False
    except ABOUT_THE_REQUEST as problem:
        log.warning("%s: REDCap's log could not be fetched, so every record is read: %s", client.project, problem)
        return None, True
    return found, True


def ranges(begin: datetime, upto: datetime) -> Iterator[tuple[datetime, datetime | None]]:
    """Ranges of at most a week; the last has no end, as the server's wall clock may be ahead of UTC."""
    while upto - begin > SLICE:
        yield begin, begin + SLICE
        begin += SLICE
    yield begin, None


def _read_range(client: RedcapClient, start: datetime, end: datetime | None, path: Path, terms: LogTerms) -> LogRead:
    attempts: list[_Answer] = []

    def open_taker() -> Callable[[model.LogRow], object]:
        for earlier in attempts:
            earlier.file.close()
        attempts[:] = [_Answer(path, start, end, terms)]
        return attempts[0].take

    try:
        # Whether the edges belong to a range is not documented: a minute more is asked for, and cut off here.
        client.read_log(open_taker, begin=start - MINUTE, end=end and end + MINUTE)
    finally:
        for attempt in attempts:
            attempt.file.close()
    return attempts[0].read


class _Answer:
    """One answer's rows on their way into a file, a JSON object a line."""

    def __init__(self, path: Path, start: datetime, end: datetime | None, terms: LogTerms) -> None:
        self.read = LogRead([path])
        self.file = _private_text(path)
        self._start, self._end, self._terms = start, end, terms

    def take(self, row: model.LogRow) -> None:
        moment = stamp(row)
        if moment is not None and not (self._start < moment and (self._end is None or moment <= self._end)):
            return
        read, terms = self.read, self._terms
        read.newest_call = read.newest_call or newest_call((row,))
        read.unparsed += changes.unparsed((row,), record_id_field=terms.record_id_field)
        told = changes.record_changes((row,), record_id_field=terms.record_id_field, known=terms.columns)
        for change in told:
            read.note(change)
        if moment is not None:
            read.stamps.add(moment)
        self.file.write(json.dumps(_kept(row, moment, told, terms), ensure_ascii=False) + "\n")


def _private_text(path: Path) -> TextIO:
    with private_files():
        # Half a character, as cut details may end with, cannot be written: it becomes a question mark.
        return path.open("w", encoding="utf-8", errors="replace")


def _kept(
    row: model.LogRow, moment: datetime | None, told: tuple[RecordChange, ...], terms: LogTerms
) -> dict[str, object]:
    """A row as it goes into the file: what auditors are to find, and what it says of records."""
    columns = dict.fromkeys(name for change in told for name in change.columns)
    return {
        "timestamp": None if moment is None else moment.isoformat(),
        "username": row.username or "",
        "action": row.action or "",
        "details": row.details if terms.whole else ", ".join(columns) or None,
        "record": row.record or None,
        "changes": [
            {
                "record": change.record,
                "what": change.kind.value,
                "columns": [terms.renamed.get(name, name) for name in change.columns],
                "instance": change.instance,
                "event_label": change.event_label,
            }
            for change in told
        ],
    }


def stamp(row: model.LogRow) -> datetime | None:
    """When a row of the log was written, on the server's wall clock; None where that cannot be read."""
    try:
        return datetime.fromisoformat(row.timestamp.strip()).replace(tzinfo=None)
    except ValueError:
        return None
