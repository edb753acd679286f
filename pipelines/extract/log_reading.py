"""Reads REDCap's log row by row into files of the staging folder, and collects what it says about records.

A busy project writes hundreds of thousands of rows in a week, so they are never all in memory. Not here: what a
row means (redcap_source/log/changes.py), and how the files get into the mirror (warehouse/mirror/audit_log.py).
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
from redcap_source.log.setup import is_setup_read, may_change_setup

log = logging.getLogger("redcap_warehouse")

# REDCap's log has no paging, and a long one ends in a time-out.
SLICE = timedelta(days=7)
MINUTE = timedelta(minutes=1)
LATEST = datetime.fromisoformat("9999-12-31")


@dataclass(frozen=True, slots=True)
class LogTerms:
    """What is needed to understand a project's log, and how much of its details may be kept."""

    record_id_field: str
    columns: frozenset[str]
    """The columns that are loaded; only their names are recognised in the details."""
    whole: bool
    """Whether details are kept verbatim; otherwise only the names of columns, as details quote what is left out."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """From a column's name in the log to its present name, where they differ."""


@dataclass(slots=True)
class LogRead:
    """What a log, or one answer of it, says of records; its rows are in the files.

    Moments are the server's wall clock; a change whose moment cannot be read counts as the latest possible.
    """

    files: list[Path] = field(default_factory=list)
    newest_call: datetime | None = None
    """The wall clock according to the newest row of an API call."""
    unparsed: int = 0
    """How many rows may be about a record whose id cannot be determined."""
    setup_changes: int = 0
    """How many rows may be about a change of the project's design, users, roles, groups or settings."""
    oldest_setup_read: datetime | None = None
    """The wall clock according to the oldest row of an API request that read the setup."""
    stamps: set[datetime] = field(default_factory=set)
    """Every time that occurs in the files."""
    changed: dict[str, datetime] = field(default_factory=dict, repr=False)
    """When each record that may hold other data was last changed."""
    latest: dict[str, tuple[ChangeKind, datetime]] = field(default_factory=dict, repr=False)
    """The last change of each record."""
    deleted: dict[str, datetime] = field(default_factory=dict, repr=False)
    """When each record was last deleted, even if it was created again."""
    renamed: list[datetime] = field(default_factory=list)
    """When records were renamed; the log gives only their new names."""

    def add(self, change: RecordChange) -> None:
        """Add what a row says; rows are added from the newest to the oldest."""
        at = change.at or LATEST
        self.latest.setdefault(change.record, (change.kind, at))
        if changes.changed_records((change,)):
            self.changed[change.record] = max(at, self.changed.get(change.record, at))
        if change.kind is ChangeKind.DELETED:
            self.deleted[change.record] = max(at, self.deleted.get(change.record, at))
        if change.kind is ChangeKind.RENAMED:
            self.renamed.append(at)

    def add_older(self, older: LogRead) -> None:
        """Add what the answer for an earlier range says."""
        self.files += older.files
        self.newest_call = self.newest_call or older.newest_call
        self.unparsed += older.unparsed
        self.setup_changes += older.setup_changes
        self.oldest_setup_read = older.oldest_setup_read or self.oldest_setup_read
        self.stamps |= older.stamps
        self.changed = older.changed | self.changed
        self.latest = older.latest | self.latest
        self.deleted = older.deleted | self.deleted
        self.renamed += older.renamed

    def changed_since(self, begin: datetime) -> frozenset[str]:
        """Records that may hold other data than at that moment."""
        return frozenset(record for record, at in self.changed.items() if at >= begin)

    def gone_since(self, begin: datetime) -> frozenset[str]:
        """Records whose last change is their deletion."""
        return frozenset(
            record for record, (what, at) in self.latest.items() if what is ChangeKind.DELETED and at >= begin
        )

    def deleted_since(self, begin: datetime) -> frozenset[str]:
        """Records that were deleted, even if they were created again."""
        return frozenset(record for record, at in self.deleted.items() if at >= begin)

    def renames_since(self, begin: datetime) -> int:
        """How many records were renamed."""
        return sum(at >= begin for at in self.renamed)


def read_log(
    client: RedcapClient, begin: datetime, upto: datetime, folder: Path, terms: LogTerms
) -> tuple[LogRead | None, bool]:
    """The log from a moment of the server's wall clock on, and whether the token may read it at all.

    None if REDCap could not deliver it. The newest range is read first, right after other calls of our own.
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

    def open_answer() -> Callable[[model.LogRow], object]:
        for earlier in attempts:
            earlier.file.close()
        attempts[:] = [_Answer(path, start, end, terms)]
        return attempts[0].add

    try:
        # Whether a range includes its ends is not documented: a minute more is requested, and cut off in `_Answer`.
        client.read_log(open_answer, begin=start - MINUTE, end=end and end + MINUTE)
    finally:
        for attempt in attempts:
            attempt.file.close()
    return attempts[0].read


class _Answer:
    """Writes one answer's rows into a file, one JSON object per line."""

    def __init__(self, path: Path, start: datetime, end: datetime | None, terms: LogTerms) -> None:
        self.read = LogRead([path])
        self.file = _private_text(path)
        self._start, self._end, self._terms = start, end, terms

    def add(self, row: model.LogRow) -> None:
        moment = stamp(row)
        if moment is not None and not (self._start < moment and (self._end is None or moment <= self._end)):
            return
        read, terms = self.read, self._terms
        read.newest_call = read.newest_call or newest_call((row,))
        read.setup_changes += may_change_setup(row)
        if moment is not None and is_setup_read(row):
            read.oldest_setup_read = moment
        read.unparsed += changes.unparsed((row,), record_id_field=terms.record_id_field)
        found = changes.record_changes((row,), record_id_field=terms.record_id_field, known=terms.columns)
        for change in found:
            read.add(change)
        if moment is not None:
            read.stamps.add(moment)
        self.file.write(json.dumps(_as_saved(row, moment, found, terms), ensure_ascii=False) + "\n")


def _private_text(path: Path) -> TextIO:
    with private_files():
        # Truncated details may end with half a character, which cannot be written: it becomes a question mark.
        return path.open("w", encoding="utf-8", errors="replace")


def _as_saved(
    row: model.LogRow, moment: datetime | None, found: tuple[RecordChange, ...], terms: LogTerms
) -> dict[str, object]:
    """A row as it is written to the file: for auditors, with what it says about records."""
    columns = dict.fromkeys(name for change in found for name in change.columns)
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
            for change in found
        ],
    }


def stamp(row: model.LogRow) -> datetime | None:
    """When a row of the log was written, on the server's wall clock; None if that cannot be read."""
    try:
        return datetime.fromisoformat(row.timestamp.strip()).replace(tzinfo=None)
    except ValueError:
        return None
