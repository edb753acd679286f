"""The server's local time: its offset from UTC, and the times from which to ask for changes.

The log has the server's local time, in whole minutes and without a zone; nothing in the API names the zone. But every
answer has a `Date` header in UTC, and our most recent calls are at the top of the log: together they give the offset.
This computer's clock is never used.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from redcap_source.model import LogRow

# A clock set back repeats an hour, and a stamp does not say which of the two it is in; the other five minutes are for
# stamps without seconds, for rows written a moment after their change, and because bounds may be inclusive or not.
OVERLAP = timedelta(minutes=65)
WESTERNMOST, EASTERNMOST = timedelta(hours=-12), timedelta(hours=14)

_QUARTER, _HALF_HOUR, _HOUR = timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1)
# Offsets in use are whole or half hours, except in Nepal, Eucla and the Chatham Islands.
_UNEVEN = frozenset(hours * _HOUR + 3 * _QUARTER for hours in (5, 8, 12, 13))
# The row was written before the answer; it may look older by the seconds that its stamp lacks and by slow calls, and
# younger only where the header and the log have different clocks.
_OLDEST, _YOUNGEST = timedelta(minutes=5), timedelta(minutes=-1)
# No zone ever changed by more than a day, so local times more than a day apart stay in order.
_LONGEST_MOVE = timedelta(hours=26)


def newest_call(entries: Iterable[LogRow], *, username: str | None = None) -> datetime | None:
    """The server's local time in the newest row of an API call; None if there is none.

    Rows are newest first, as REDCap sends them. With `username` only that user's rows count.
    """
    ours = (stamp_of(entry.timestamp) for entry in entries if _is_api_call(entry, username))
    # In the hour that is repeated in autumn, the newest row does not have the latest stamp, so the order decides.
    return next((stamp for stamp in ours if stamp is not None), None)


def offset_between(stamp: datetime, answered_at: datetime) -> timedelta | None:
    """How far local time is ahead of UTC, for a call that has `stamp` in the log, and was answered at `answered_at`.

    `answered_at` is the `Date` of the answer (naive: UTC). None if no zone in use fits both, so that one of them is
    wrong or too old. An older row gives None or an offset that is too small, which makes `window_begin` earlier:
    slower, not wrong.
    """
    ahead = stamp - _naive_utc(answered_at)
    offset = -((-(ahead + _YOUNGEST)) // _QUARTER) * _QUARTER
    return offset if _is_in_use(offset) and offset - ahead <= _OLDEST else None


def _is_in_use(offset: timedelta) -> bool:
    if offset % _HALF_HOUR:
        return offset in _UNEVEN
    return WESTERNMOST <= offset <= EASTERNMOST


def _is_api_call(entry: LogRow, username: str | None) -> bool:
    """Whether the row is an export or a design call over the API; REDCap translates actions, but not the `(API)`."""
    about_no_record = not entry.record
    own = username is None or (entry.username or "").casefold() == username.casefold()
    action, details = (entry.action or "").strip(), (entry.details or "").strip()
    return own and about_no_record and (action.endswith("(API)") or details.endswith("(API)"))


def stamp_of(text: str) -> datetime | None:
    """A time of the log, server-local and in whole minutes; None if it cannot be parsed."""
    try:
        return datetime.fromisoformat(text.strip()).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class ServerClock:
    """What is known of a server's local time.

    `offset_before` was observed by an earlier run, about when the requested window begins; `offset_now` by this one, at
    the UTC moment `seen_at`. `zone` is the configured IANA name. Any of them may be None.
    """

    offset_before: timedelta | None = None
    offset_now: timedelta | None = None
    zone: str | None = None
    seen_at: datetime | None = None

    @property
    def contradicted(self) -> bool:
        """Whether the server's own time is not that of the configured zone, so that the configuration is wrong."""
        if self.zone is None or self.offset_now is None or self.seen_at is None:
            return False
        seen_at = _naive_utc(self.seen_at)
        # Within minutes of a change of the clock, either offset is right.
        possible = {_offset_at(self.zone, seen_at + aside) for aside in (-_QUARTER, timedelta(0), _QUARTER)}
        return self.offset_now not in possible

    def window_begin(self, since_utc: datetime) -> datetime:
        """The local time from which to ask: all that changed at `since_utc` or later has this stamp or a later one.

        That holds for clocks set forward or back in between, and for a configured zone that is wrong: the lowest of all
        known offsets is used, and the lowest in the world if none is known.
        """
        since = _naive_utc(since_utc)
        known = [offset for offset in (self.offset_before, self.offset_now) if offset is not None]
        if self.zone is not None:
            known.append(_lowest_offset(self.zone, since))
        return (since + min(known, default=WESTERNMOST) - OVERLAP).replace(second=0, microsecond=0)

    def to_utc(self, local: datetime) -> datetime | None:
        """A stamp of the log in naive UTC; None if the server's offset is unknown.

        The configured zone is used, unless the server contradicts it; in a repeated hour, the first is assumed. Without
        a zone the present offset is used, which is an hour off for stamps from before the last change of the clock.
        """
        plain = local.replace(tzinfo=None)
        if self.zone is not None and not self.contradicted:
            return plain.replace(tzinfo=ZoneInfo(self.zone), fold=0).astimezone(UTC).replace(tzinfo=None)
        return None if self.offset_now is None else plain - self.offset_now


def _lowest_offset(zone: str, since: datetime) -> timedelta:
    hours = range(_LONGEST_MOVE // _HOUR + 1)
    return min(_offset_at(zone, since + hour * _HOUR) for hour in hours)


def _offset_at(zone: str, moment: datetime) -> timedelta:
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)


def _naive_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
