"""Which records may differ from what the warehouse has, according to REDCap.

Two independent sources are asked: the records that REDCap lists as changed in a range of dates, and its log, where the
token may read it. A third, the census, is read anyway (warehouse/staging/census.py). A record that any of them names is
fetched again; what is then found to be the same is not written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.extract.chunks import ABOUT_THE_REQUEST
from pipelines.extract.log_reading import LogRead, LogTerms, read_log
from pipelines.extract.server_time import ServerTime, stale_log
from pipelines.wording import counted
from redcap_source import RedcapClient, errors
from redcap_source.log.clock import OVERLAP, ServerClock, newest_call, offset_between

log = logging.getLogger("redcap_warehouse")

# After a pause this long every record is read again: that is cheaper than years of log, and more reliable.
LONGEST = timedelta(days=60)
# To learn the log's clock, its last days are read: our own calls are in its newest rows.
LATELY = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Since:
    """The time from which a load asks for changes, and what was known about the server's clocks; UTC except `wall`."""

    moment: datetime | None
    """None if nothing was loaded before."""
    wall: datetime | None = None
    """The same moment on the server's wall clock, where its log shows it."""
    offset: timedelta | None = None
    """How far the wall clock was ahead of UTC."""


@dataclass(frozen=True, slots=True)
class DetectedChanges:
    """What REDCap says happened since the last load."""

    changed: frozenset[str] | None = field(repr=False)
    """Records that may hold other data than before; None if every record has to be read."""
    log: LogRead | None = field(repr=False)
    """What the log says; None if the token may not read it, or REDCap could not deliver it."""
    readable: bool
    """Whether the token may read the log."""
    begin: datetime
    """The start of the range of the log that was read, on the server's wall clock."""
    clock: ServerClock
    wall: datetime | None = None
    """The load's beginning on the server's wall clock, where the log shows it."""
    remark: str | None = None
    """What is odd about the log's clock, or why every record is read."""


def detect_changes(
    client: RedcapClient,
    *,
    terms: LogTerms,
    folder: Path,
    since: Since,
    upto: datetime,
    elapsed: Callable[[], timedelta],
    zone: str | None,
    everything: bool,
) -> DetectedChanges:
    """Ask both sources for what changed since a moment, or since `upto` (UTC) where nothing was loaded before.

    With `everything` the range of dates is not asked for, as every record is read anyway; the log still shows who made
    the changes. The log's rows are written to files in the folder. `elapsed` returns how long ago `upto` was.
    """
    known = since.moment is not None and upto - since.moment <= LONGEST
    found = _ask_log(client, terms, folder, since if known else Since(upto, None, since.offset), upto, elapsed, zone)
    read, readable = found.read, found.readable
    # A row whose record cannot be determined may be about any record.
    whole_log = read.unparsed == 0 if read is not None else not readable
    by_date = known and whole_log and not everything
    ids = _by_date(client, terms.record_id_field, found.begin) if by_date else None
    remarks = (
        None if found.newest is None else stale_log(found.answered, found.newest, since.offset),
        _why_everything(read, readable, ids) if known and not everything else None,
    )
    return DetectedChanges(
        changed=None if ids is None else ids | (read.changed_since(found.begin) if read is not None else frozenset()),
        log=read,
        readable=readable,
        begin=found.begin,
        clock=found.clock,
        wall=None if found.newest is None else found.newest - (found.answered - upto),
        remark=" ".join(filter(None, remarks)) or None,
    )


@dataclass(frozen=True, slots=True)
class _LogAnswer:
    """REDCap's log from some moment on, and what it shows about the server's wall clock."""

    read: LogRead | None
    readable: bool
    begin: datetime
    clock: ServerClock
    newest: datetime | None
    """The wall clock according to the newest row of one of our own calls."""
    answered: datetime
    """When that call was answered, in UTC."""


def _ask_log(
    client: RedcapClient,
    terms: LogTerms,
    folder: Path,
    since: Since,
    upto: datetime,
    elapsed: Callable[[], timedelta],
    zone: str | None,
) -> _LogAnswer:
    """Read the log since a moment, and again from earlier where it shows that the clock was set back further."""
    begin = _begin(ServerClock(since.offset, zone=zone), since, upto)
    read, readable = read_log(client, begin, upto, folder, terms)
    answered = upto + elapsed()
    newest = read.newest_call if read is not None else None
    offset = None if newest is None else offset_between(newest, answered)
    clock = ServerClock(since.offset, offset, zone, seen_at=answered)
    by_log = _begin(clock, since, upto)
    if by_log < begin:
        read, readable = read_log(client, by_log, upto, folder, terms)
    return _LogAnswer(read, readable, by_log, clock, newest, answered)


def _why_everything(read: LogRead | None, readable: bool, ids: frozenset[str] | None) -> str | None:
    """Why a load that could ask for changes only reads every record anyway; None if it does not."""
    if read is None and readable:
        return "REDCap could not deliver its log, so every record was read."
    if read is not None and read.unparsed:
        return f"{counted(read.unparsed, 'row')} of REDCap's log may concern any record, so every record was read."
    return (
        None if ids is not None else "REDCap could not list what changed since the last load, so every record was read."
    )


def _begin(clock: ServerClock, since: Since, upto: datetime) -> datetime:
    """The time on the server's wall clock from which to ask: the earlier of those by UTC and by the log's clock."""
    begin = clock.window_begin(since.moment or upto)
    return begin if since.wall is None else min(begin, (since.wall - OVERLAP).replace(second=0, microsecond=0))


def compare_clocks(
    client: RedcapClient, own: datetime, *, last_wall: datetime | None, offset: timedelta | None
) -> ServerTime:
    """The time by REDCap's last answer and by this computer's clock, and by the log too if these differ.

    `last_wall` and `offset` are what an earlier load learned from the log.
    """
    time = ServerTime(own, as_utc(client.server_date), offset=offset)
    if time.agree:
        return time
    return replace(time, wall=wall_now(client, min(own, time.header or own), last_wall))


def wall_now(client: RedcapClient, about: datetime, last: datetime | None) -> datetime | None:
    """The server's wall clock, by the newest row of its log; None if the log does not show it.

    `about` is the approximate time (UTC), `last` the wall clock in an earlier load. REDCap logs the request itself, so
    the log is requested twice: the second answer begins with the first request. Only design calls are requested, of
    which there are few.
    """
    begin = ServerClock().window_begin(about) - LATELY
    begin = begin if last is None else min(begin, last)
    try:
        client.log(begin=begin, logtype="manage")
        return newest_call(client.log(begin=begin, logtype="manage"))
    except (errors.MissingRight, errors.RequestRefused):
        return None
    except ABOUT_THE_REQUEST as problem:
        log.warning("%s: the time could not be read from REDCap's log: %s", client.project, problem)
        return None


def _by_date(client: RedcapClient, record_id_field: str, begin: datetime) -> frozenset[str] | None:
    """Records that REDCap lists as created or modified since; None if it could not list them."""
    try:
        return frozenset(client.record_ids(record_id_field, date_range_begin=begin))
    except (*ABOUT_THE_REQUEST, errors.RequestRefused) as problem:
        log.warning("%s: REDCap could not list what changed, so every record is read: %s", client.project, problem)
        return None


def refresh_is_due(refreshed: datetime | None, upto: datetime | None, every: timedelta) -> bool:
    """Whether every record has to be read again; a load may start up to two hours early and still count for its day."""
    return refreshed is None or upto is None or upto - refreshed >= every - timedelta(hours=2)


def as_utc(moment: datetime | None) -> datetime | None:
    """A moment as the warehouse stores times: UTC, without a zone."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def logged_deletions(detected: DetectedChanges | None) -> frozenset[str]:
    """Records whose last entry in REDCap's log is their deletion."""
    if detected is None or detected.log is None:
        return frozenset()
    return detected.log.gone_since(detected.begin)


def unlogged_deletions(vanished: Collection[str], detected: DetectedChanges | None) -> tuple[str, ...] | None:
    """Vanished records that REDCap's log does not show as deleted; None if the log cannot be read."""
    if detected is None or detected.log is None:
        return None
    logged = detected.log.deleted_since(detected.begin)
    unlogged = tuple(record for record in vanished if record not in logged)
    # The log does not name the old id of a renamed record.
    return unlogged if len(unlogged) > detected.log.renames_since(detected.begin) else ()
