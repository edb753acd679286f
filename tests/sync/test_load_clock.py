"""From when on a load asks, and whether it reads every record, by what the previous load left."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipelines.extract.change_detection import Since
from pipelines.extract.server_time import ServerTime
from pipelines.sync.load_clock import LoadClock
from pipelines.sync.reports import LoadOptions
from pipelines.warehouse.mirror.state import PlannedUntil, PreviousLoad

DAY, HOUR, WEEK = timedelta(days=1), timedelta(hours=1), timedelta(days=7)
NOW = datetime.fromisoformat("2026-03-02T04:00")
BEFORE = PlannedUntil(NOW - DAY, wall=NOW - DAY + HOUR)
LOADED = PreviousLoad(
    project_id=7,
    record_id_field="id",
    visible_columns=(),
    watermark=BEFORE.upto,
    chunk_records=None,
    planned_until=BEFORE,
    refreshed=BEFORE.upto,
    refreshing=False,
    in_group=None,
    ended=True,
    offset=HOUR,
)
NEVER = replace(LOADED, planned_until=None, watermark=None, refreshed=None, ended=False, offset=None)
KNOWN, UNKNOWN = ServerTime(NOW, NOW), ServerTime(NOW, None)


class Client:
    """The clock that the server's answers show."""

    server_date = None


def clock(previous=LOADED, now=KNOWN, *, own=NOW):
    return LoadClock(Client(), previous, now, lambda: own, ticks=0.0)


@pytest.mark.parametrize(
    ("previous", "now", "options", "everything"),
    [
        (LOADED, KNOWN, {}, False),
        (NEVER, KNOWN, {}, True),
        (LOADED, UNKNOWN, {}, True),
        (LOADED, KNOWN, {"full": True}, True),
        (replace(LOADED, refreshed=NOW - WEEK), KNOWN, {}, True),
        # One that was begun continues from what is pending.
        (replace(LOADED, refreshed=NOW - WEEK, refreshing=True), KNOWN, {}, False),
        (replace(LOADED, refreshed=NOW - WEEK), KNOWN, {"since": NOW - WEEK}, False),
        # All clocks show an earlier time than the previous load did.
        (replace(LOADED, planned_until=PlannedUntil(NOW + DAY)), KNOWN, {}, True),
    ],
)
def test_when_a_load_reads_every_record(previous, now, options, everything):
    assert clock(previous, now).reads_everything(LoadOptions(**options), WEEK) == everything


@pytest.mark.parametrize(
    ("previous", "asked", "since"),
    [
        (LOADED, None, Since(BEFORE.upto, BEFORE.wall, HOUR)),
        (NEVER, None, Since(None)),
        (LOADED, NOW - WEEK, Since(NOW - WEEK, BEFORE.wall, HOUR)),
        # After the previous load: its wall clock says nothing about this moment.
        (LOADED, NOW - HOUR, Since(NOW - HOUR, None, HOUR)),
    ],
)
def test_a_load_asks_from_where_the_previous_one_planned_or_as_it_is_told(previous, asked, since):
    assert clock(previous).since(asked) == since


def test_after_a_clock_was_set_back_a_load_asks_from_that_much_earlier():
    ahead = replace(LOADED, planned_until=replace(BEFORE, ahead=2 * HOUR))
    found = clock(ahead).since(None)
    assert (found.moment, found.wall) == (BEFORE.upto - 2 * HOUR, NOW - DAY + HOUR - 2 * HOUR)


@pytest.mark.parametrize(
    ("previous", "now", "asked", "until"),
    [
        (LOADED, KNOWN, None, NOW),
        (NEVER, KNOWN, None, NOW),
        (LOADED, UNKNOWN, None, None),
        (LOADED, KNOWN, NOW - WEEK, NOW),
        # What happened between the previous load and this moment was not asked for.
        (LOADED, KNOWN, NOW - HOUR, None),
        (NEVER, KNOWN, NOW - HOUR, None),
    ],
)
def test_the_next_load_begins_here_unless_this_one_left_a_gap(previous, now, asked, until):
    found = clock(previous, now).planned_until(None, asked)
    assert (found and found.upto) == until


def test_time_passes_by_the_clock_that_says_longest():
    started = clock(own=NOW + DAY * 1000)
    assert started.elapsed() == DAY * 1000
