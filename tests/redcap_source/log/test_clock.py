"""The server's clock: learned from its answers, so that no change is before the requested window."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redcap_source import RedcapClient, Token
from redcap_source.log import clock
from redcap_source.log.changes import changed_records, record_changes
from redcap_source.log.clock import ServerClock, newest_call, offset_between
from redcap_source.model import LogRow
from redcap_source.simulator import Simulator, make_study

NOON = datetime(2024, 7, 1, 12, 0, 20)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def call(stamp: str, *, action="Data export (API) ", details="", record="", username="api_user"):
    return LogRow(timestamp=stamp, username=username, action=action, details=details, record=record)


def offset_seen(entries, answered_at, username=None):
    """How far the server is ahead of UTC, by the newest row of an API call."""
    newest = newest_call(entries, username=username)
    return None if newest is None else offset_between(newest, answered_at)


# --- The offset -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "offset"),
    [
        ("2024-07-01 07:00", -5),
        ("2024-07-01 07:00:59", -5),
        ("2024-07-01 06:56", -5),
        ("2024-07-01 12:00", 0),
        # The header's clock is some seconds behind the log's.
        ("2024-07-01 12:01", 0),
        ("2024-07-01 17:30", 5.5),
        ("2024-07-01 17:45", 5.75),
        ("2024-07-01 08:29", -3.5),
        ("2024-07-02 02:00", 14),
        ("2024-07-01 00:00", -12),
        # Older than a few minutes, or of an offset that no place has.
        ("2024-07-01 06:53", None),
        ("2024-07-01 06:40", None),
        ("2024-07-01 07:15", None),
        ("2024-07-01 06:45", None),
        ("2024-07-02 03:00", None),
        ("2024-06-30 23:00", None),
        ("2024-06-30 07:00", None),
        ("a while ago", None),
    ],
)
def test_the_offset_by_the_newest_call(stamp, offset):
    expected = None if offset is None else hours(offset)
    for answered_at in (NOON, NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=UTC).astimezone(ZoneInfo("Asia/Tokyo"))):
        assert offset_seen([call(stamp)], answered_at) == expected


def test_only_calls_over_the_api_are_evidence():
    now = "2024-07-01 07:00"
    assert offset_seen([], NOON) is None
    assert offset_seen([call(now, action="Manage/Design", details="Create project field")], NOON) is None
    assert offset_seen([call(now, action="Data Export")], NOON) is None
    assert offset_seen([call(now, action="Update record (API) 7", details="note = '(API)", record="7")], NOON) is None
    assert offset_seen([call(now, action="Manage/Design ", details="Export Logging (API)")], NOON) == hours(-5)
    assert offset_seen([call(now, action="Datenexport (API)")], NOON) == hours(-5)


def test_somebody_elses_calls_can_be_left_out():
    entries = [call("2024-07-01 07:00", username="Somebody"), call("2024-07-01 06:40", username="API_user")]
    assert offset_seen(entries, NOON) == hours(-5)
    assert offset_seen(entries, NOON, username="api_user") is None
    assert offset_seen(entries, NOON, username="somebody") == hours(-5)


def test_in_the_repeated_hour_the_newest_row_is_not_the_one_with_the_latest_stamp():
    entries = [call("2024-11-03 01:05"), call("2024-11-03 01:50"), call("2024-11-03 01:05")]
    assert offset_seen(entries, datetime(2024, 11, 3, 7, 5, 30)) == hours(-6)


@settings(deadline=None, database=None)
@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from([-12, -9.5, -5, -3.5, 0, 1, 5.5, 5.75, 8.75, 10.5, 12.75, 13.75, 14]),
    st.integers(0, 180),
    st.integers(-20, 20),
)
def test_any_true_offset_is_found_though_calls_take_minutes_and_clocks_differ_by_seconds(now, offset, age, skew):
    written = now + hours(offset) - timedelta(seconds=age)
    seen = offset_seen([call(f"{written:%Y-%m-%d %H:%M}")], now + timedelta(seconds=skew))
    assert seen == hours(offset)


# --- The window -----------------------------------------------------------------------------------------------


ZONES = ("America/Chicago", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "UTC")
ODD_ZONES = (*ZONES, "Antarctica/Troll", "America/St_Johns", "Asia/Kathmandu", "Pacific/Chatham", "Africa/Casablanca")
# Moments (UTC) close to which some zone's clock was set: Chicago, Berlin, Lord Howe, Apia skipping a day, Troll.
CHANGES = [
    datetime(2024, 3, 10, 8), datetime(2024, 11, 3, 7), datetime(2024, 3, 31, 1), datetime(2024, 10, 27, 1),
    datetime(2024, 4, 6, 15), datetime(2024, 10, 5, 15, 30), datetime(2011, 12, 30, 10), datetime(2011, 9, 24, 14),
    datetime(2021, 4, 3, 14), datetime(2023, 7, 1),
]  # fmt: skip
SECONDS = st.one_of(st.integers(-8_000, 8_000), st.integers(-200_000, 200_000))
SPANS = st.one_of(st.integers(0, 9_000), st.integers(0, 200_000), st.integers(0, 40_000_000))


@st.composite
def moments(draw):
    """Since when, an event after it, and now (UTC), near a change of some clock."""
    since = draw(st.sampled_from(CHANGES)) + timedelta(seconds=draw(SECONDS))
    event = since + timedelta(seconds=draw(SPANS))
    return since, event, event + timedelta(seconds=draw(SPANS))


def stamp(zone: str, moment: datetime) -> datetime:
    """What the log of a server there shows of this moment."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None, second=0, microsecond=0)


def offset(zone: str, moment: datetime) -> timedelta:
    found = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert found is not None
    return found


thorough = settings(deadline=None, database=None, max_examples=100)


@thorough
@given(st.sampled_from(ODD_ZONES), moments())
@example("Antarctica/Troll", (datetime(2024, 10, 27, 0, 50), datetime(2024, 10, 27, 1, 5), datetime(2024, 10, 28)))
def test_the_configured_zone_alone_misses_nothing(zone, when):
    since, event, _ = when
    assert stamp(zone, event) >= ServerClock(zone=zone).window_begin(since)


@thorough
@given(st.sampled_from(ZONES), moments())
def test_the_offsets_of_two_runs_miss_nothing(zone, when):
    since, event, now = when
    known = ServerClock(offset_before=offset(zone, since), offset_now=offset(zone, now))
    assert stamp(zone, event) >= known.window_begin(since)


@thorough
@given(st.sampled_from([zone for zone in ZONES if zone != "Pacific/Apia"]), moments())
def test_one_offset_misses_nothing_where_clocks_are_set_by_an_hour(zone, when):
    since, event, now = when
    assert stamp(zone, event) >= ServerClock(offset_now=offset(zone, now)).window_begin(since)
    assert stamp(zone, event) >= ServerClock(offset_before=offset(zone, since)).window_begin(since)


@thorough
@given(st.sampled_from(ZONES), st.sampled_from(ODD_ZONES), moments())
def test_a_wrong_zone_misses_nothing_once_the_server_has_been_seen(zone, wrong, when):
    since, event, now = when
    known = ServerClock(offset(zone, since), offset(zone, now), wrong, seen_at=now)
    assert stamp(zone, event) >= known.window_begin(since)


@thorough
@given(st.sampled_from(ODD_ZONES), moments())
def test_an_unknown_clock_misses_nothing(zone, when):
    since, event, _ = when
    assert stamp(zone, event) >= ServerClock().window_begin(since)


def test_the_window_is_no_wider_than_it_must_be():
    since = datetime(2024, 7, 1, 12, 0, 40)
    for known in (ServerClock(offset_now=hours(2)), ServerClock(zone="Europe/Berlin"), ServerClock(hours(2), hours(2))):
        assert known.window_begin(since) == datetime(2024, 7, 1, 12, 55)
        assert known.window_begin(since.replace(tzinfo=UTC)) == datetime(2024, 7, 1, 12, 55)
    assert ServerClock().window_begin(since) == since.replace(second=0) - hours(12) - clock.OVERLAP
    assert ServerClock(hours(2), hours(1)).window_begin(since) == datetime(2024, 7, 1, 11, 55)


# --- Whether the configured zone can be true ------------------------------------------------------------------


def test_a_zone_that_the_server_contradicts():
    seen_at = datetime(2024, 7, 1, 12, tzinfo=UTC)
    assert not ServerClock(None, hours(2), "Europe/Berlin", seen_at).contradicted
    assert ServerClock(None, hours(-5), "Europe/Berlin", seen_at).contradicted
    assert ServerClock(None, hours(1), "Europe/Berlin", seen_at).contradicted
    # Nothing to compare.
    assert not ServerClock(None, None, "Europe/Berlin", seen_at).contradicted
    assert not ServerClock(None, hours(-5), None, seen_at).contradicted
    assert not ServerClock(None, hours(-5), "Europe/Berlin").contradicted


def test_minutes_around_a_change_of_the_clock_contradict_nothing():
    just_before = datetime(2024, 10, 27, 0, 58)
    for seen in (hours(1), hours(2)):
        assert not ServerClock(None, seen, "Europe/Berlin", just_before).contradicted
    assert ServerClock(None, hours(3), "Europe/Berlin", just_before).contradicted


# --- Stamps as moments ----------------------------------------------------------------------------------------


def test_a_stamp_in_utc():
    local = datetime(2024, 7, 1, 12, 30)
    assert ServerClock().to_utc(local) is None
    assert ServerClock(offset_before=hours(2)).to_utc(local) is None
    assert ServerClock(offset_now=hours(5.5)).to_utc(local) == datetime(2024, 7, 1, 7, 0)
    # In winter an hour less, which only the zone knows.
    berlin = ServerClock(offset_now=hours(2), zone="Europe/Berlin", seen_at=datetime(2024, 7, 1, 12))
    assert berlin.to_utc(local) == datetime(2024, 7, 1, 10, 30)
    assert berlin.to_utc(datetime(2024, 1, 1, 12)) == datetime(2024, 1, 1, 11)
    assert ServerClock(zone="Europe/Berlin").to_utc(local) == datetime(2024, 7, 1, 10, 30)


def test_the_server_overrides_the_configuration():
    known = ServerClock(offset_now=hours(-5), zone="Europe/Berlin", seen_at=datetime(2024, 7, 1, 12))
    assert known.contradicted
    assert known.to_utc(datetime(2024, 7, 1, 7)) == datetime(2024, 7, 1, 12)


def test_hours_that_are_repeated_or_skipped():
    chicago = ServerClock(zone="America/Chicago")
    assert chicago.to_utc(datetime(2024, 11, 3, 1, 30)) == datetime(2024, 11, 3, 6, 30)
    assert chicago.to_utc(datetime(2024, 11, 3, 1, 30, fold=1)) == datetime(2024, 11, 3, 6, 30)
    assert chicago.to_utc(datetime(2024, 3, 10, 2, 30)) == datetime(2024, 3, 10, 8, 30)


@settings(deadline=None, database=None)
@given(st.sampled_from(ODD_ZONES), st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)))
def test_with_a_zone_a_stamp_is_its_minute_or_that_minute_the_first_time(zone, moment):
    minute = moment.replace(second=0, microsecond=0)
    read = ServerClock(zone=zone).to_utc(stamp(zone, moment))
    assert read is not None
    assert stamp(zone, read) == stamp(zone, moment)
    assert read == minute or minute - hours(2) <= read < minute


# --- Against the simulator ------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_the_offset_is_found_in_every_zone(zone):
    # Its clock is years from ours, which plays no part.
    moment = datetime(2031, 1, 20, 23, 59, 30, tzinfo=UTC)
    with Simulator(time_zone=zone) as simulator:
        project = simulator.add_project(make_study("classic", records=2), name="heart")
        simulator.clock.set(moment)
        with RedcapClient(simulator.url, Token(project.token), project="heart") as client:
            client.project_info()
            entries = client.log()
            assert offset_seen(entries, client.server_date) == offset(zone, moment.replace(tzinfo=None))


@pytest.mark.parametrize("minutes", [1, 20, 45, 75])
def test_a_change_while_the_clock_is_set_back_lies_in_the_window(minutes):
    # The clock in Chicago is set back at 7:00 UTC, from 2:00 to 1:00.
    with Simulator(time_zone="America/Chicago") as simulator:
        project = simulator.add_project(make_study("classic", records=3), name="heart")
        simulator.clock.set(datetime(2031, 11, 2, 6, 50, tzinfo=UTC))
        with RedcapClient(simulator.url, Token(project.token), project="heart") as client:
            id_field = client.data_dictionary()[0].field_name
            gone = client.record_ids(id_field)[0]
            before, since = offset_seen(client.log(), client.server_date), client.server_date
            simulator.clock.advance(minutes=minutes)
            project.delete(gone)
            simulator.clock.advance(hours=3)
            client.project_info()
            known = ServerClock(before, offset_seen(client.log(), client.server_date), seen_at=client.server_date)
            entries = client.log(begin=known.window_begin(since))
    assert (known.offset_before, known.offset_now) == (hours(-5), hours(-6))
    assert changed_records(record_changes(entries, record_id_field=id_field)) == {gone}
