"""Which records may differ from what the warehouse has, by REDCap's own word.

Two sources that do not depend on each other are asked: the records REDCap says changed in a range of dates, and its
log where the token may read it. A third, the census, is read anyway (warehouse.census). Whatever one of them names is
looked at again; what comes back as it was is not written.
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

# After so long a pause everything is read again: it is cheaper than years of log, and surer.
LONGEST = timedelta(days=60)
# Of our own calls, which stand at the top of the log, so many days are asked for to learn its clock.
LATELY = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Since:
    """From when on a load asks, and what was known of the server's clocks then; UTC but for `wall`."""

    moment: datetime | None
    """None where nothing was loaded before."""
    wall: datetime | None = None
    """The same moment on the server's wall clock, where its log told."""
    offset: timedelta | None = None
    """How far the wall clock was ahead of UTC."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What REDCap says happened since the last load."""

    changed: frozenset[str] | None = field(repr=False)
    """Records that may hold other data than before; None where only reading everything can tell."""
    log: LogRead | None = field(repr=False)
    """What the log says; None where the token may not read it, or REDCap could not deliver it."""
    readable: bool
    """Whether the token may read the log."""
    begin: datetime
    """From when on the log was asked for, on the server's wall clock."""
    clock: ServerClock
    wall: datetime | None = None
    """The load's beginning on the server's wall clock, where the log tells."""
    remark: str | None = None
    """What is odd about the log's clock, or why every record is read."""


def gather(
    client: RedcapClient,
    *,
    terms: LogTerms,
    folder: Path,
    since: Since,
    upto: datetime,
    elapsed: Callable[[], timedelta],
    zone: str | None,
    everything: bool,
) -> Evidence:
    """Ask both sources for what changed since a moment, or `upto` (UTC) where nothing was loaded before.

    With `everything` the range of dates is not asked, as all records are read anyway; the log still tells who made
    the changes. Its rows go into files of the folder. `elapsed` tells how long ago `upto` was.
    """
    known = since.moment is not None and upto - since.moment <= LONGEST
    begun = since.moment if known and since.moment is not None else upto
    clock = ServerClock(since.offset, zone=zone)
    begin = _begin(clock, begun, since if known else None)
    read, readable = read_log(client, begin, upto, folder, terms)
    answered = upto + elapsed()
    newest = read.newest_call if read is not None else None
    offset = None if newest is None else offset_between(newest, answered)
    clock = ServerClock(since.offset, offset, zone, seen_at=answered)
    narrower = _begin(clock, begun, since if known else None)
    if narrower < begin:
        # The clock turned out to be set back further than was thought: what lies between was not asked for.
        read, readable = read_log(client, narrower, upto, folder, terms)
    begin = narrower
    # A row that is about a record nobody can name could be about any.
    whole_log = read.unparsed == 0 if read is not None else not readable
    ids = _by_date(client, terms.record_id_field, begin) if known and whole_log and not everything else None
    remarks = (
        None if newest is None else stale_log(answered, newest, since.offset),
        _why_everything(read, readable, ids) if known and not everything else None,
    )
    return Evidence(
        changed=None if ids is None else ids | (read.changed_since(begin) if read is not None else frozenset()),
        log=read,
        readable=readable,
        begin=begin,
        clock=clock,
        wall=None if newest is None else newest - (answered - upto),
        remark=" ".join(filter(None, remarks)) or None,
    )


def _why_everything(read: LogRead | None, readable: bool, ids: frozenset[str] | None) -> str | None:
    """Why a load that knew since when to ask reads every record all the same; None where it does not."""
    if read is None and readable:
        return "REDCap could not deliver its log, so every record was read."
    if read is not None and read.unparsed:
        return f"{counted(read.unparsed, 'row')} of REDCap's log may concern any record, so every record was read."
    return (
        None if ids is not None else "REDCap could not list what changed since the last load, so every record was read."
    )


def _begin(clock: ServerClock, begun: datetime, since: Since | None) -> datetime:
    """From when on to ask, on the server's wall clock: the earliest that UTC and the log's own clock make of it."""
    begin = clock.window_begin(begun)
    if since is None or since.wall is None:
        return begin
    return min(begin, (since.wall - OVERLAP).replace(second=0, microsecond=0))


def look_at_clocks(
    client: RedcapClient, own: datetime, *, last_wall: datetime | None, offset: timedelta | None
) -> ServerTime:
    """What time it is by REDCap's last answer and by this computer's clock; where these differ, by the log, too.

    `last_wall` and `offset` are what an earlier load learned from the log.
    """
    time = ServerTime(own, as_utc(client.server_date), offset=offset)
    if time.agree:
        return time
    return replace(time, wall=wall_now(client, min(own, time.header or own), last_wall))


def wall_now(client: RedcapClient, about: datetime, last: datetime | None) -> datetime | None:
    """The server's wall clock, by the newest row of its log; None where the log does not tell.

    `about` is what time it may be (UTC), `last` what the wall clock was in an earlier load. Asking is itself a call
    that REDCap logs, so that the second answer begins with the first question. Only design calls are asked for, which
    are few.
    """
    begin = ServerClock().window_begin(about) - LATELY
    begin = begin if last is None else min(begin, last)
    try:
        client.log(begin=begin, logtype="manage")
        return newest_call(client.log(begin=begin, logtype="manage"))
    except (errors.MissingRight, errors.RequestRefused):
        return None
    except ABOUT_THE_REQUEST as problem:
        log.warning("%s: the log could not be asked for the time: %s", client.project, problem)
        return None


def _by_date(client: RedcapClient, record_id_field: str, begin: datetime) -> frozenset[str] | None:
    """Records REDCap says were created or modified since; None where it could not say."""
    try:
        return frozenset(client.record_ids(record_id_field, date_range_begin=begin))
    except (*ABOUT_THE_REQUEST, errors.RequestRefused) as problem:
        log.warning("%s: REDCap could not list what changed, so every record is read: %s", client.project, problem)
        return None


def refresh_is_due(refreshed: datetime | None, upto: datetime | None, every: timedelta) -> bool:
    """Whether everything has to be read again; a night that comes a little early counts as the night it stands for."""
    return refreshed is None or upto is None or upto - refreshed >= every - timedelta(hours=2)


def as_utc(moment: datetime | None) -> datetime | None:
    """A moment as the warehouse stores times: UTC, without a zone."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def told_deleted(evidence: Evidence | None) -> frozenset[str]:
    """Records of which the last thing that REDCap's log says is that they were deleted."""
    if evidence is None or evidence.log is None:
        return frozenset()
    return evidence.log.gone_since(evidence.begin)


def unexplained(vanished: Collection[str], evidence: Evidence | None) -> tuple[str, ...] | None:
    """Records that are gone without REDCap's log saying that they were deleted; None where the log may not be read."""
    if evidence is None or evidence.log is None:
        return None
    told = evidence.log.deleted_since(evidence.begin)
    silent = tuple(record for record in vanished if record not in told)
    # A renamed record leaves its old id without a word.
    return silent if len(silent) > evidence.log.renames_since(evidence.begin) else ()
