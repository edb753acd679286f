"""Each way in which a server or a network fails, at each request: recovered, or one clear error and nothing lost."""

import pytest

from pipelines.errors import WarehouseError
from tests.support.writeback_site import row

# Goes as soon as Mirror.finish calls journal.attribute.
KINDS = ("500", "502", "504", "reset", "truncate", "html", "empty", "memory", "php_warning")
# What `make test` has time for.
USUAL = ("502", "reset", "truncate")


def lost_answer(site, study, kind, after_work):
    site.propose([row("1", "weight", "60.5"), row("2", "remarks", None, clear=True)])
    site.simulator.faults.add(kind, content="record", action="import", after_work=after_work)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.complete) == (2, True)
    assert (study.value("1", "weight"), study.value("2", "remarks")) == ("60.5", "")
    assert [entry[5] for entry in site.journal()] == ["confirmed"] * 2
    # Where it had come through, it is not sent again; the request that erases is a request of its own.
    carried_out = after_work or kind in ("truncate", "php_warning")
    assert site.imports() == (2 if carried_out else 3)
    written = [change[:2] for change in site.changes() if change[4] == "writeback"]
    assert written == [("1", "bmi"), ("1", "weight"), ("2", "remarks")]


def test_an_import_whose_answer_fails_is_settled_by_looking(site, study):
    lost_answer(site, study, "502", True)


@pytest.mark.fuzz
@pytest.mark.parametrize("after_work", [False, True], ids=["refused", "lost"])
@pytest.mark.parametrize(
    "kind", [kind if kind in USUAL else pytest.param(kind, marks=pytest.mark.fuzz) for kind in KINDS]
)
def test_every_way_in_which_an_answer_fails_is_settled_by_looking(site, study, kind, after_work):
    lost_answer(site, study, kind, after_work)


# The test of a run that died has cells that arrived unseen.
@pytest.mark.fuzz
def test_what_arrived_with_a_request_said_to_be_too_large_is_ours_and_no_persons(site, study):
    """Halved, the first half's answer is lost; the second half is looked at again, and holds what was sent before."""
    site.propose([row(str(n), "weight", f"6{n}.5") for n in (1, 2, 3, 4)])
    site.simulator.faults.add("memory", content="record", action="import", after_work=True)
    site.simulator.faults.add("502", content="record", action="import", nth=2)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.complete, outcome.counts.conflict) == (4, True, 0)
    assert [entry[5] for entry in site.journal()] == ["confirmed"] * 4
    assert site.revert().confirmed == 4
    assert study.value("1", "weight") == "80.0"


def test_a_server_that_stays_away_leaves_the_cells_intended_and_the_next_run_finishes(site, study):
    site.propose([row(record, "weight", "60.5") for record in ("1", "2", "3")])
    site.simulator.faults.add("502", content="record", action="import", times=None)
    with pytest.raises(WarehouseError, match="not known whether REDCap saved") as stopped:
        site.apply()
    assert "saved 3 cells" in str(stopped.value)
    assert [entry[5] for entry in site.journal()] == ["intended"] * 3
    assert site.plan().unsettled == 3
    site.simulator.faults.clear()
    # Who types before the lost request was looked at wins.
    study.save("3", {"weight": "99.9"})
    outcome = site.apply()
    assert (outcome.settled, outcome.confirmed, outcome.not_confirmed, outcome.complete) == (3, 2, 1, False)
    assert outcome.messages == {"REDCap holds another value than was sent": 1}
    assert sorted(entry[5] for entry in site.journal()) == ["confirmed"] * 2 + ["failed"] * 2 + ["not confirmed"]
    assert [study.value(record, "weight") for record in "123"] == ["60.5", "60.5", "99.9"]


@pytest.mark.fuzz
def test_an_import_that_came_through_after_all_is_found_by_the_next_run(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.simulator.faults.add("502", content="record", action="import", after_work=True)
    site.simulator.faults.add("502", content="record", action="export", nth=3, times=None)
    with pytest.raises(WarehouseError):
        site.apply()
    site.simulator.faults.clear()
    sent = site.imports()
    outcome = site.apply()
    assert (outcome.sent, outcome.settled, site.imports()) == (0, 1, sent)
    assert site.journal() == [("1", "weight", "80.0", "60.5", "60.5", "confirmed")]
    assert [change[4] for change in site.changes() if change[1] == "weight"] == ["writeback"]


def test_the_load_after_a_run_that_died_tells_its_cells_as_ours(site, study):
    """Where the next night comes before the next write-back, the night finds what was written."""
    site.propose([row("1", "weight", "60.5")])
    site.simulator.faults.add("502", content="record", action="import", after_work=True)
    site.simulator.faults.add("502", content="record", action="export", nth=3, times=None)
    with pytest.raises(WarehouseError):
        site.apply()
    site.simulator.faults.clear()
    site.load()
    assert [change[4] for change in site.changes() if change[1] == "weight"] == ["writeback"]
    assert site.apply().confirmed == 1
    site.load()
    assert [change[4] for change in site.changes() if change[1] == "weight"] == ["writeback"]


def test_an_answer_that_lacks_records_is_never_taken_for_blank_cells(site, study):
    site.propose([row(record, "remarks", f"new {record}", seen_value=None) for record in study.records()])
    typed = {record: f"old {record}" for record in study.records()}
    for record, text in typed.items():
        study.save(record, {"remarks": text})
    for times in (1, 2, None):
        site.simulator.faults.add("drop_records", content="record", action="export", times=times, every=2)
        assert site.apply().confirmed == 0
        site.simulator.faults.clear()
    assert site.imports() == 0
    assert {record: study.value(record, "remarks") for record in typed} == typed


@pytest.mark.fuzz
@pytest.mark.parametrize("nth", [2, 4])
def test_a_read_that_fails_once_is_asked_again(site, study, nth):
    site.propose([row("1", "weight", "60.5")])
    site.simulator.faults.add("truncate", content="record", action="export", nth=nth)
    assert site.apply().confirmed == 1
    assert [change[4] for change in site.changes() if change[1] == "weight"] == ["writeback"]


def written_but_not_fetched(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.simulator.faults.add("504", content="record", action="export", nth=4, times=None)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.rows_changed) == (1, 0)
    site.simulator.faults.clear()


@pytest.mark.fuzz
def test_records_that_cannot_be_fetched_after_writing_wait_for_the_next_night(site, study):
    written_but_not_fetched(site, study)
    site.night()
    assert [change[4] for change in site.changes() if change[1] == "weight"] == ["writeback"]


def test_records_that_could_not_be_fetched_are_brought_in_by_the_next_run(site, study):
    written_but_not_fetched(site, study)
    site.propose([row("2", "weight", "61.5")])
    assert site.apply().sent == 1
    told = [change[::4] for change in site.changes() if change[1] == "weight"]
    assert told == [("1", "writeback"), ("2", "writeback")]


@pytest.mark.fuzz
def test_the_same_value_another_month_is_somebody_elses(site, study):
    """A write that no night could see, because a person overtook it, is not looked for for ever."""
    written_but_not_fetched(site, study)
    study.save("1", {"weight": "99.9"})
    site.night()
    study.save("1", {"weight": "60.5"})
    site.night()
    told = [change[2:5] for change in site.changes() if change[1] == "weight"]
    assert told == [("80.0", "99.9", "redcap"), ("99.9", "60.5", "redcap")]


def test_a_message_that_quotes_values_is_counted_without_them(site, study):
    site.propose([row("1", "remarks", "canary-new"), row("2", "initials", "zq")])
    refusal = b'{"error": "canary-new is not valid for record 1, nor zq for 2."}'
    site.simulator.faults.add("answer", content="record", action="import", status=400, body=refusal, times=None)
    messages = " ".join(site.apply().messages)
    assert "is not valid for record" in messages
    assert "canary" not in site.apply().messages
    assert "…" in messages
