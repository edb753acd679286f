"""What time it is at REDCap: header, own clock and log held against each other, and no edit lost whichever is wrong."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from pipelines.cli.main import main
from pipelines.extract.server_time import ServerTime, set_back, stale_log
from redcap_source.simulator import Simulator
from tests.support.export_oracle import expected, published
from tests.support.load_site import Site

NOON = datetime(2026, 3, 10, 12, 0)
CHICAGO = timedelta(hours=-5)


def hours(number):
    return timedelta(hours=number)


def at(off):
    """Noon, by a clock that is so many hours off; None where there is none."""
    return None if off is None else NOON + hours(off)


def wall(off):
    """The log's newest stamp: Chicago's wall clock, by a clock so many hours off."""
    return None if off is None else NOON + CHICAGO + hours(off)


# -- the rule ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "own", "log", "offset", "upto"),
    [
        (0, 0, None, None, 0),  # as on most nights: the log is not asked beforehand
        (0.05, 0, None, None, 0),  # minutes apart: the earlier
        (13, 0, 0, CHICAGO, 0),  # the log bears out this computer
        (13, 0, 0, None, 0),  # and by so much does so without an earlier load
        (3, 0, 0, None, 0),  # either could be right: the earlier
        (0, 3, 0, CHICAGO, 0),  # the log bears out the header
        (0, -30, 0, CHICAGO, 0),
        (-3, 0, 0, CHICAGO, 0),
        (2, 3, 0, CHICAGO, 0),  # both are ahead: the log's own time
        (13, 0, None, None, 0),  # nobody can tell: the earlier
        (0, 3, None, None, 0),
        (None, 0, 0, CHICAGO, 0),  # no header: this computer, borne out by the log
        (None, 3, 0, CHICAGO, 0),
        (None, 0, None, None, None),  # no header and no log: nothing bears this computer out
    ],
)
def test_the_time_is_the_earliest_that_is_not_outvoted(header, own, log, offset, upto):
    assert ServerTime(at(own), at(header), wall(log), offset).upto == at(upto)


@pytest.mark.parametrize(
    ("header", "own", "log", "words"),
    [
        (0.05, 0, None, None),
        (None, 0, 0, None),
        (
            13,
            0,
            0,
            ["13 h ahead of this computer's clock", "log agrees with this computer's clock", "so none is missed"],
        ),
        (0, 0.2, 0, ["12 min behind this computer's clock", "log agrees with the header"]),
        (2, 3, 0, ["60 min behind", "agrees with neither"]),
        (-3, 0, None, ["3 h behind this computer's clock"]),
        (None, 3, 0, ["log and this computer's clock differ"]),
        (None, 0, None, ["no Date header", "every record was read"]),
    ],
)
def test_clocks_that_differ_are_told(header, own, log, words):
    remark = ServerTime(at(own), at(header), wall(log), CHICAGO).remark()
    assert (remark is None) == (words is None)
    assert all(word in remark for word in words or ())


def test_a_clock_that_was_set_back_is_noticed_against_this_computers():
    assert set_back(hours(13), ServerTime(NOON, NOON)) == hours(13)
    assert set_back(hours(0), ServerTime(NOON, at(-3))) == hours(3)
    assert set_back(hours(0), ServerTime(NOON, at(3))) == hours(0)
    assert set_back(timedelta(minutes=4), ServerTime(NOON, NOON)) == hours(0)
    assert set_back(None, ServerTime(NOON, at(-3))) == hours(0)


def test_a_log_is_stale_only_beyond_what_zones_and_busy_servers_explain():
    assert stale_log(NOON, wall(-1), CHICAGO) is None
    assert stale_log(NOON, wall(-13), None) is None
    assert "13 h older" in stale_log(NOON, wall(-13), CHICAGO)


# -- against a server ----------------------------------------------------------------------------------------


def whole(site):
    return published(site, "study") == expected(site.simulator.url, site.handles["study"].token)


def ledger(site, report):
    [row] = site.rows(
        f"SELECT outcome, mode, message, watermark_to FROM redcap.sync_runs WHERE run_id = '{report.run_id}'"
    )
    return row


def edit(site, number, word):
    handle = site.handles["study"]
    handle.save(handle.records()[number], {"town": word})


# The rule itself is tested above, and the next test has nights without the header.
@pytest.mark.fuzz
def test_without_a_date_header_the_log_tells_the_time(site):
    site.study("classic", 12)
    site.simulator.faults.add("no_date", times=None)
    first = site.load()
    site.simulator.clock.advance(hours=24)
    edit(site, 4, "Neuland")
    report = site.night()
    assert (report.mode, report.records_loaded, report.message) == ("incremental", 1, None)
    assert whole(site)
    assert abs(ledger(site, report)[3] - site.now()) < hours(1)
    assert ledger(site, first)[3] < ledger(site, report)[3]


def test_without_a_date_header_and_a_log_every_night_reads_everything_and_says_so(site, capsys, monkeypatch):
    handle = site.study("classic", 12)
    handle.set_rights(logging=0)
    site.simulator.faults.add("no_date", times=None)
    site.load()
    site.simulator.clock.advance(hours=24)
    edit(site, 4, "Neuland")
    report = site.night()
    outcome, mode, message, watermark = ledger(site, report)
    assert (outcome, mode, report.records_loaded, watermark) == ("ok", "full", 12, None)
    assert "no Date header" in message and "every record was read" in message
    assert whole(site)
    monkeypatch.setattr("sys.argv", ["redcap-warehouse", "status", "--config", str(site.path)])
    with pytest.raises(SystemExit):
        main()
    assert f"study: {message}" in capsys.readouterr().out
    # The night after, with the header there, goes on from what is known.
    site.simulator.faults.clear()
    site.load()
    site.simulator.clock.advance(hours=24)
    assert site.load().mode == "incremental"


@pytest.mark.parametrize("logging", [1, pytest.param(0, marks=pytest.mark.fuzz)])
def test_a_date_header_that_is_hours_ahead_loses_no_edit_and_is_told(site, logging):
    handle = site.study("classic", 12)
    handle.set_rights(logging=logging)
    site.load()
    site.simulator.clock.advance(hours=24)
    site.simulator.faults.add("false_date", times=None, ahead=13 * 3600)
    report = site.load()
    assert "13 h ahead of this computer's clock" in report.message
    site.simulator.clock.advance(hours=2)
    edit(site, 3, "Neuland")
    site.simulator.clock.advance(hours=22)
    report = site.night()
    assert report.mode == "incremental"
    assert whole(site)
    # And when the header is right again, what was entered meanwhile is not overlooked either.
    edit(site, 4, "Altort")
    site.simulator.faults.clear()
    site.simulator.clock.advance(hours=3)
    assert site.night().message is None
    assert whole(site)


# The rule itself is tested above.
@pytest.mark.fuzz
def test_a_header_and_a_computer_that_are_ahead_together_lose_no_edit(site):
    site.loaded_study("classic", 12)
    site.simulator.clock.advance(hours=24)
    site.clock_off = hours(13)
    site.simulator.faults.add("false_date", times=None, ahead=13 * 3600)
    assert "log is 13 h older" in site.load().message
    site.simulator.clock.advance(hours=2)
    edit(site, 3, "Neuland")
    site.simulator.clock.advance(hours=22)
    site.night()
    assert whole(site)


def test_a_server_that_is_set_back_after_running_ahead_is_read_whole(site):
    site.loaded_study("classic", 12)
    site.simulator.clock.advance(hours=24 + 13)
    site.clock_off = -hours(13)
    assert "behind" not in site.load().message
    site.simulator.clock.advance(hours=-13)
    site.clock_off = hours(0)
    site.simulator.clock.advance(hours=2)
    edit(site, 3, "Neuland")
    site.simulator.clock.advance(hours=22)
    report = site.night()
    assert report.mode == "full"
    assert "set back by 13 h against this computer's" in ledger(site, report)[2]
    assert whole(site)


# -- any clock wrong in any night ----------------------------------------------------------------------------

ZONES = ("UTC", "America/Chicago", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago")
OFF = (0, 0, 0.2, -0.2, 3, -3, 13, -13, 30, -30, 200)


@dataclass
class Wrongs:
    """Which clocks are wrong in the nights of one story: those the log can make up for, or one alone."""

    chance: Random
    log: bool = field(init=False)
    header: bool = field(init=False)
    own: bool = field(init=False)
    server: bool = field(init=False)

    def __post_init__(self):
        self.log = self.chance.random() < 0.6
        wrong = self.chance.choice(("header", "own", "server", "both"))
        self.header = wrong == "header" or (wrong == "both" and self.log)
        self.own = wrong == "own" or (wrong == "both" and self.log)
        self.server = wrong == "server"


def tell_a_story(site, seed, nights):
    """Nights with edits between them, of which some clock is wrong; each must end as a fresh export."""
    chance = Random(seed)
    wrongs = Wrongs(chance)
    handle = site.study("classic", 5)
    handle.set_rights(logging=int(wrongs.log))
    site.night()
    kind, ahead = "false_date", 0
    for night in range(nights):
        site.simulator.clock.advance(hours=chance.choice((0.5, 2, 5, 20, 30)))
        turn = chance.randrange(2)
        for part in range(2):
            if part == turn and wrongs.server and chance.random() < 0.5:
                by = chance.choice(OFF)
                site.simulator.clock.advance(hours=by)
                # This computer's clock goes on as before.
                site.clock_off -= hours(by)
            edit(site, chance.randrange(5), f"Ort {night} {part}")
            site.simulator.clock.advance(minutes=chance.choice((1, 50, 200)))
        site.simulator.faults.clear()
        # What is wrong may last for nights: a clock that stays ahead is not seen to be set back.
        if wrongs.header and (night == 0 or chance.random() < 0.4):
            kind, ahead = chance.choice(("no_date", "false_date", "false_date")), 3600 * chance.choice(OFF)
        if wrongs.header:
            site.simulator.faults.add(kind, times=None, nth=chance.choice((1, 1, 5)), ahead=ahead)
        if wrongs.own and (night == 0 or chance.random() < 0.4):
            site.clock_off = hours(chance.choice(OFF))
        report = site.night()
        assert report.outcome == "ok"
        assert whole(site), f"night {night} of story {seed} lost an edit: {wrongs}"


def story_at(tmp_path, monkeypatch, seed, nights):
    with Simulator(time_zone=Random(seed).choice(ZONES)) as simulator:
        # Not on the edge of a day in which clocks are set.
        simulator.clock.set(datetime(2026, 5, 4, 7, 30, tzinfo=UTC) + hours(Random(seed).randrange(24)))
        tell_a_story(Site(simulator, tmp_path, monkeypatch), seed, nights)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", [4, 36])
def test_no_edit_is_lost_whichever_clock_is_wrong(tmp_path, monkeypatch, seed):
    story_at(tmp_path, monkeypatch, seed, nights=4)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(150))
def test_no_edit_is_lost_in_many_nights_whichever_clock_is_wrong(tmp_path, monkeypatch, seed):
    story_at(tmp_path, monkeypatch, seed, nights=8)
