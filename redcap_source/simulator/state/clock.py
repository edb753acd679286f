"""The server's clock, and its local time, which is the only time that REDCap stores.

The log holds wall-clock text, as REDCap's database does: in the hour that is repeated in autumn, two moments have the
same text.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from redcap_source.simulator.errors import SimulatorError


def utc_now() -> datetime:
    """The computer's own time."""
    return datetime.now(UTC)


class Clock:
    """A clock that can be set, moved and read as server-local text."""

    def __init__(self, time_zone: str, source: Callable[[], datetime] = utc_now) -> None:
        self._source = source
        self._offset = timedelta(0)
        self.zone = zone_named(time_zone)

    def now(self) -> datetime:
        """The moment, in UTC."""
        return self._source() + self._offset

    def server_time(self) -> datetime:
        """The moment, in the server's time zone."""
        return self.now().astimezone(self.zone)

    def local(self, moment: datetime | None = None) -> str:
        """Server-local time with seconds, as in a dateRange."""
        return f"{(moment or self.now()).astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    def http_date(self, ahead: float = 0.0) -> str:
        """The Date header of an answer, by a clock that is so many seconds ahead of this one."""
        moment = self.now().astimezone(UTC) + timedelta(seconds=ahead)
        return format_datetime(moment.replace(microsecond=0), usegmt=True)

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move the clock forward."""
        self._offset += timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)

    def set(self, moment: datetime) -> None:
        """Set the clock; it keeps running. Raises SimulatorError for a moment without a time zone."""
        if moment.tzinfo is None:
            raise SimulatorError("The clock needs a moment with a time zone, for example 2024-11-03T06:30:00+00:00.")
        self._offset = moment - self._source()


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError) as error:
        raise SimulatorError(f"There is no time zone '{name}'; use a name such as Europe/Amsterdam.") from error
