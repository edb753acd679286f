"""What is read of REDCap before and after: whole, whatever an answer lacks; and what happens where it cannot be had."""

import pytest

from pipelines.errors import VerificationFailed, WarehouseError
from pipelines.writeback import WritebackRefused, withdraw
from tests.support.writeback_site import row


@pytest.mark.fuzz
def test_records_that_an_answer_lacks_are_asked_for_again_and_written(site, study):
    site.propose([row(record, "remarks", f"new {record}") for record in study.records()])
    site.simulator.faults.add("drop_records", content="record", action="export", every=2)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.counts.reasons) == (len(study.records()), {})


def test_instances_that_an_answer_lacks_are_asked_for_again_and_written(site, repeating):
    handle = repeating.put_into(site)
    event = next(iter(handle.project.events)).unique_name
    site.propose([row(record, "height", "171", event=event) for record in handle.records()])
    wanted = site.plan().counts.write
    assert wanted == len(handle.records())
    site.simulator.faults.add("drop_records", content="record", action="export", every=2)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.counts.reasons) == (wanted, {})


def test_records_that_are_left_out_again_and_again_stop_the_run_before_anything_is_sent(site, study):
    site.propose([row(record, "remarks", f"new {record}") for record in study.records()])
    # The cells are asked for, then the ids of records that did not come, and so on; a fault does not count requests
    # that others strike.
    for nth in (1, 2, 3):
        site.simulator.faults.add("drop_records", content="record", action="export", nth=nth, every=2)
    with pytest.raises(VerificationFailed, match="lacks 1 record that REDCap has, and did so 3 times"):
        site.apply()
    assert site.imports() == 0


def test_a_value_of_the_secondary_unique_field_that_another_record_has_is_not_sent(site, study):
    study.project.settings["secondary_unique_field"] = "remarks"
    site.propose([row("1", "remarks", "remark 2"), row("3", "remarks", "nobody has it"), row("4", "weight", "70.0")])
    outcome = site.apply()
    taken = "another record has this value, and the field is the secondary unique one"
    assert (outcome.confirmed, outcome.counts.reasons) == (2, {taken: 1})
    assert (study.value("1", "remarks"), study.value("3", "remarks")) == ("remark 1", "nobody has it")


# --- After it was written ---


def dies(name):
    def step(at):
        if at == name:
            raise KeyboardInterrupt

    return step


def test_where_bringing_in_fails_after_confirmed_writes_the_next_run_looks_and_brings_them(site, study):
    site.propose([row("1", "weight", "60.5"), row("2", "weight", "61.5")], author="rw")
    with pytest.raises(KeyboardInterrupt):
        site.apply(step=dies("account"))
    # What was confirmed in memory only counts as intended, and the warehouse is as it was.
    assert [entry[5] for entry in site.journal()] == ["intended"] * 2
    assert site.changes() == []
    sent = site.imports()
    outcome = site.apply()
    assert (outcome.settled, outcome.confirmed, outcome.sent, site.imports()) == (2, 2, 0, sent)
    told = [change[::4] for change in site.changes() if change[1] == "weight"]
    assert told == [("1", "writeback"), ("2", "writeback")]


# The other tests here have cells that cannot be looked at.
@pytest.mark.fuzz
def test_a_cell_whose_field_is_gone_before_it_could_be_looked_at_is_not_confirmed(site, study):
    site.propose([row("1", "weight", "60.5"), row("1", "remarks", "new")])
    with pytest.raises(KeyboardInterrupt):
        site.apply(step=dies("read back"))
    with pytest.raises(WritebackRefused, match="has been sent already"):
        withdraw(site.config, site.project(), "b", ())
    study.remove_field("remarks")
    # The warehouse knows the field yet, so the record waits for the next load; what became of the cells does not.
    outcome = site.apply()
    assert (outcome.settled, outcome.confirmed, outcome.not_confirmed) == (2, 1, 1)
    assert outcome.messages == {"the project has no such field any more": 1}
    assert (outcome.rows_changed, site.changes()) == (0, [])
    site.load()
    assert [change[4] for change in site.changes() if change[1] == "weight"] == ["writeback"]


@pytest.mark.fuzz
def test_a_batch_is_stopped_where_it_cannot_be_read_back_and_is_settled_by_the_next_run(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.simulator.faults.add("502", content="record", action="export", nth=3, times=None)
    with pytest.raises(WarehouseError, match="It is not known whether REDCap saved 1 cell"):
        site.apply()
    site.simulator.faults.clear()
    assert site.plan().unsettled == 1
    assert site.apply().settled == 1
    assert study.value("1", "weight") == "60.5"
