"""When a load began, by every available clock, and which changes it therefore asks for.

Not here: how clocks are compared (extract/server_time.py), how changes are asked for (extract/change_detection.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.extract.change_detection import DetectedChanges, Since, as_utc, compare_clocks, refresh_is_due
from pipelines.extract.server_time import ServerTime, set_back, why_everything
from pipelines.run import Now
from pipelines.sync.reports import LoadOptions
from pipelines.warehouse.mirror.state import PlannedUntil, PreviousLoad
from redcap_source import RedcapClient


@dataclass(frozen=True, slots=True)
class LoadClock:
    """The moment before a load's first request, what the previous load knew, and how much time has passed."""

    client: RedcapClient
    previous: PreviousLoad
    now: ServerTime
    own_clock: Now
    ticks: float
    """What the monotonic clock showed."""

    def elapsed(self) -> timedelta:
        """How long ago it was, by the clock that shows most: one may have been set, another may have stopped."""
        spans = [timedelta(seconds=time.monotonic() - self.ticks), self.own_clock() - self.now.own]
        header = as_utc(self.client.server_date)
        if header is not None and self.now.header is not None:
            spans.append(header - self.now.header)
        return max(spans)

    def reads_everything(self, options: LoadOptions, refresh_every: timedelta) -> bool:
        """Whether the load reads every record, whatever REDCap says changed."""
        before = self.previous.planned_until
        if before is None or self.now.upto is None or options.full:
            return True
        if why_everything(before.ahead, before.upto, self.now):
            # What happened since the last load may be stamped with an earlier time.
            return True
        due = refresh_is_due(self.previous.refreshed, self.now.upto, refresh_every)
        # One that was begun continues from the list of what is still to do.
        return due and not self.previous.refreshing and options.since is None

    def since(self, asked: datetime | None) -> Since:
        """The time from which to ask for changes: a clock that was set back has stamped later ones with earlier times.

        `asked` is a moment (UTC) that a person named.
        """
        previous, before = self.previous, self.previous.planned_until
        if before is None or (asked is not None and asked > before.upto):
            return Since(asked, None, previous.offset)
        back = set_back(before.ahead, self.now)
        moment = (before.upto if asked is None else asked) - back
        wall = None if before.wall is None else before.wall - back
        return Since(min(moment, self.now.upto or moment), wall, previous.offset)

    def planned_until(self, detected: DetectedChanges | None, asked: datetime | None) -> PlannedUntil | None:
        """The time from which the next load will ask, once this one has planned what to fetch.

        None if the time is unknown, or if `asked` left a gap after the previous load.
        """
        before = self.previous.planned_until
        if self.now.upto is None or (asked is not None and (before is None or asked > before.upto)):
            return None
        wall = self.now.wall or (detected.wall if detected is not None else None)
        return PlannedUntil(self.now.upto, wall, self.now.ahead)

    def remarks(self, detected: DetectedChanges | None) -> tuple[str, ...]:
        """What the ledger should say about the clocks."""
        before = self.previous.planned_until
        found = (
            self.now.remark(),
            None if before is None else why_everything(before.ahead, before.upto, self.now),
            None if detected is None else detected.remark,
        )
        return tuple(remark for remark in found if remark)


def read_clocks(client: RedcapClient, own_clock: Now, previous: PreviousLoad) -> LoadClock:
    """The time right after an answer from REDCap: its header is compared with this computer's clock."""
    wall = previous.planned_until.wall if previous.planned_until is not None else None
    now = compare_clocks(client, own_clock(), last_wall=wall, offset=previous.offset)
    return LoadClock(client, previous, now, own_clock, time.monotonic())
