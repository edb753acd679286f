"""Which records may differ from what the warehouse has, by REDCap's own word.

Two sources that do not depend on each other are asked: the records REDCap says changed in a range of dates, and its
log where the token may read it. A third, the census, is read anyway (warehouse.census). Whatever one of them names is
looked at again; what comes back as it was is not written.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pipelines.extract import ABOUT_THE_REQUEST
from redcap_source import RedcapClient, changes, errors, model
from redcap_source.clock import ServerClock, offset_seen

log = logging.getLogger("redcap_warehouse")

# REDCap's log has no paging, and a long one ends in a time-out.
SLICE = timedelta(days=7)
# After so long a pause everything is read again: it is cheaper than years of log, and surer.
LONGEST = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What REDCap says happened since the last load."""

    changed: frozenset[str] | None = field(repr=False)
    """Records that may hold other data than before; None where only reading everything can tell."""
    rows: tuple[model.LogRow, ...] | None = field(repr=False)
    """The log, newest first; None where the token may not read it, or REDCap could not deliver it."""
    logged: tuple[changes.RecordChange, ...] = field(repr=False)
    readable: bool
    """Whether the token may read the log."""
    begin: datetime
    """From when on the log was asked for, on the server's wall clock."""
    clock: ServerClock


def gather(
    client: RedcapClient,
    *,
    record_id_field: str,
    columns: Collection[str],
    since: datetime | None,
    upto: datetime,
    offset_before: timedelta | None,
    zone: str | None,
    everything: bool,
) -> Evidence:
    """Ask both sources for what changed since a moment (UTC), or `upto` where nothing was loaded before.

    With `everything` the range of dates is not asked, as all records are read anyway; the log still tells who made
    the changes. `columns` are those of a flat export, so that no other word of the log is taken for one.
    """
    begun = since if since is not None and upto - since <= LONGEST else upto
    clock = ServerClock(offset_before, zone=zone)
    begin = clock.window_begin(begun)
    rows, readable = _log(client, begin, upto)
    answered = client.server_date or upto
    clock = ServerClock(offset_before, offset_seen(rows or (), answered), zone, seen_at=answered)
    narrower = clock.window_begin(begun)
    if narrower < begin:
        # The clock turned out to be set back further than was thought: what lies between was not asked for.
        rows, readable = _log(client, narrower, upto)
    begin = narrower
    logged = changes.record_changes(rows or (), record_id_field=record_id_field, known=columns)
    logged = tuple(change for change in logged if change.at is None or change.at >= begin)
    # A row that is about a record nobody can name could be about any.
    whole_log = not changes.unread(rows, record_id_field=record_id_field) if rows is not None else not readable
    ids = None if everything or begun != since or not whole_log else _by_date(client, record_id_field, begin)
    changed = None if ids is None else ids | frozenset(changes.changed_records(logged))
    return Evidence(changed, rows, logged, readable, begin, clock)


def _log(client: RedcapClient, begin: datetime, upto: datetime) -> tuple[tuple[model.LogRow, ...] | None, bool]:
    """The log from a moment of the server's wall clock on, and whether the token may read it at all."""
    found: list[model.LogRow] = []
    try:
        for start, end in _slices(begin, upto):
            # Whether the edges belong to a range is not documented: a minute more is asked for, and cut off here.
            rows = client.log(begin=start - timedelta(minutes=1), end=end and end + timedelta(minutes=1))
            found[:0] = [row for row in rows if _within(stamp(row), start, end)]
    except (errors.MissingRight, errors.RequestRefused):
        return None, False
    except ABOUT_THE_REQUEST as problem:
        log.warning("%s: the log could not be had, so every record is read: %s", client.project, problem)
        return None, True
    return tuple(found), True


def _slices(begin: datetime, upto: datetime) -> Iterator[tuple[datetime, datetime | None]]:
    """Ranges of at most a week; the last has no end, as the server's wall clock may be ahead of UTC."""
    while upto - begin > SLICE:
        yield begin, begin + SLICE
        begin += SLICE
    yield begin, None


def _within(moment: datetime | None, start: datetime, end: datetime | None) -> bool:
    return moment is None or (start < moment and (end is None or moment <= end))


def stamp(row: model.LogRow) -> datetime | None:
    """When a row of the log was written, on the server's wall clock; None where that cannot be read."""
    try:
        return datetime.fromisoformat(row.timestamp)
    except ValueError:
        return None


def _by_date(client: RedcapClient, record_id_field: str, begin: datetime) -> frozenset[str] | None:
    """Records REDCap says were created or modified since; None where it could not say."""
    try:
        return frozenset(client.record_ids(record_id_field, date_range_begin=begin))
    except (*ABOUT_THE_REQUEST, errors.RequestRefused) as problem:
        log.warning("%s: what changed could not be had, so every record is read: %s", client.project, problem)
        return None


def refresh_is_due(refreshed: datetime | None, upto: datetime | None, every: timedelta) -> bool:
    """Whether everything has to be read again; a night that comes a little early counts as the night it stands for."""
    return refreshed is None or upto is None or upto - refreshed >= every - timedelta(hours=2)


def as_utc(moment: datetime | None) -> datetime | None:
    """A moment as the warehouse stores times: UTC, without a zone."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def kept_details(details: str | None, columns: Sequence[str], *, whole: bool) -> str | None:
    """A log row's details as they may be kept: as they are, or only the fields where some values are left out."""
    return details if whole else ", ".join(columns) or None


def told_deleted(evidence: Evidence | None) -> frozenset[str]:
    """Records of which the last thing that REDCap's log says is that they were deleted."""
    last: dict[str, changes.Happening] = {}
    for change in evidence.logged if evidence is not None else ():
        last.setdefault(change.record, change.what)
    return frozenset(record for record, what in last.items() if what is changes.Happening.DELETED)


def unexplained(vanished: Collection[str], evidence: Evidence | None) -> tuple[str, ...] | None:
    """Records that are gone without REDCap's log saying that they were deleted; None where the log may not be read."""
    if evidence is None or evidence.rows is None:
        return None
    told = {change.record for change in evidence.logged if change.what is changes.Happening.DELETED}
    renamed = sum(change.what is changes.Happening.RENAMED for change in evidence.logged)
    silent = tuple(record for record in vanished if record not in told)
    # A renamed record leaves its old id without a word.
    return silent if len(silent) > renamed else ()
