"""What time it is at REDCap, by independent clocks. Pure.

There are three: the `Date` header of REDCap's answers, this computer's clock, and the newest rows of REDCap's log,
which our own calls have just written. A time from which the next load may begin needs two of them, and where they
differ the earliest that is not outvoted is used: beginning too early costs extra reading, beginning too late loses
edits. Not here: how the log's wall clock becomes UTC (redcap_source/log/clock.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from redcap_source.log.clock import OVERLAP, offset_between

# The header and a computer's clock are both UTC: they differ by the duration of a request and by drift.
NEAR = timedelta(minutes=5)
# The log's wall clock moves by an hour in spring and autumn.
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ServerTime:
    """The moment before a load's first request, by each clock; UTC without a zone, except `wall`."""

    own: datetime
    """This computer's clock."""
    header: datetime | None
    """The `Date` header; None if the answer had none."""
    wall: datetime | None = None
    """The server's wall clock by its log; None if the log does not show it."""
    offset: timedelta | None = None
    """How far that was ahead of UTC in an earlier load."""

    @property
    def agree(self) -> bool:
        """Whether there is a header and this computer's clock confirms it."""
        return self.header is not None and abs(self.header - self.own) <= NEAR

    @property
    def upto(self) -> datetime | None:
        """The moment in UTC; None if only this computer's clock shows it, as nothing confirms that."""
        if self.agree or (self.header is not None and self.wall is None):
            return min(self.own, self.header or self.own)
        if self.wall is None:
            return None
        return min(self._confirmed() or self._all_clocks(self.wall))

    @property
    def ahead(self) -> timedelta:
        """How far the moment is ahead of this computer's clock."""
        return timedelta(0) if self.upto is None else self.upto - self.own

    def _confirmed(self) -> list[datetime]:
        """Which of header and computer's clock the log confirms; both where no earlier load knows the offset."""
        clocks = (clock for clock in (self.header, self.own) if clock is not None)
        return [clock for clock in clocks if self._fits(clock)]

    def _fits(self, clock: datetime) -> bool:
        offset = None if self.wall is None else offset_between(self.wall, clock)
        return offset is not None and (self.offset is None or abs(offset - self.offset) <= HOUR)

    def _all_clocks(self, wall: datetime) -> list[datetime]:
        clocks = (self.header, self.own, None if self.offset is None else wall - self.offset)
        return [clock for clock in clocks if clock is not None]

    def remark(self) -> str | None:
        """What people should know about clocks that differ or are missing; None if there is nothing to report."""
        if self.upto is None:
            return (
                "REDCap's answers have no Date header, and this token cannot read REDCap's log, so the time at REDCap "
                "is unknown and every record was read."
            )
        if self.header is None:
            return None if self._fits(self.own) else f"{_LOG} and this computer's clock {_DIFFER}. {_EARLIEST}"
        if self.agree:
            return None
        difference = abs(self.header - self.own)
        way = "ahead of" if self.header > self.own else "behind"
        seen = f"The Date header of REDCap's answers is {in_words(difference)} {way} this computer's clock"
        return f"{seen}{self._vote()}. {_EARLIEST}"

    def _vote(self) -> str:
        if self.wall is None:
            return ""
        match self._confirmed():
            case [clock]:
                right = "the header" if clock == self.header else "this computer's clock"
                return f", and REDCap's log agrees with {right}"
            case []:
                return ", and REDCap's log agrees with neither"
            case _:
                return ""


_LOG = "REDCap's log"
_DIFFER = "differ by more than time zones explain"
_EARLIEST = "The load asked for changes since the earliest possible time, so none is missed. Check the clocks."


def why_everything(before: timedelta | None, planned_until: datetime | None, now: ServerTime) -> str | None:
    """Why a load reads every record because clocks were set since the last one; None if they were not."""
    if by := set_back(before, now):
        return (
            f"REDCap's clock was set back by {in_words(by)} against this computer's since the last load, so every "
            "record was read."
        )
    if planned_until is not None and now.upto is not None and now.upto < planned_until:
        return "All clocks show an earlier time than when the last load began, so every record was read."
    return None


def set_back(before: timedelta | None, now: ServerTime) -> timedelta:
    """By how much the server's clock was set back against this computer's since the last load, if it was.

    `before` is how far it was ahead then. What was entered since may be stamped with a time before that load began.
    """
    if before is None or now.upto is None:
        return timedelta(0)
    by = before - now.ahead
    return by if by > NEAR else timedelta(0)


def stale_log(answered: datetime, wall: datetime, offset: timedelta | None) -> str | None:
    """A remark if the newest row of the log is older than clocks, time zones and a busy server can explain."""
    if offset is None or answered + offset - wall <= OVERLAP:
        return None
    return (
        f"The newest row of REDCap's log is {in_words(answered + offset - wall)} older than the time of REDCap's "
        f"answers and of this computer's clock. {_EARLIEST}"
    )


def in_words(span: timedelta) -> str:
    """A span of time for people: `13 h`, `7 min`."""
    minutes = round(span.total_seconds() / 60)
    return f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"
