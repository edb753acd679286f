"""Proposals that end without being sent: taken back by a person, or found invalid."""

import json

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.writeback import WritebackRefused, publish_results, withdraw
from tests.support.writeback_site import row

STATUSES = "SELECT record, status FROM writeback.proposals ORDER BY proposal"
NARROW = "{fields: [remarks], max_record_share: 1}"


def take_back(site, batch="b", records=(), **more):
    return withdraw(site.config, site.project(), batch, records, **more)


# --- Withdrawn ---


def test_a_batch_is_withdrawn_and_is_not_sent_and_what_it_contradicted_is(site, study):
    mine, others = [("1", "60.5"), ("2", "61.5")], [("3", "62.5"), ("1", "63.5")]
    site.propose([row(record, "weight", new) for record, new in mine])
    site.propose([row(record, "weight", new) for record, new in others], batch="c")
    assert site.plan().counts.invalid == 2
    done = take_back(site, author="rw")
    assert (done.withdrawn, done.sent, done.ended) == (2, 0, 0)
    assert publish_results(site.config, site.project(), done)
    # It is kept, and readers see it.
    kept = site.kept("proposals", "record, status, decision, decision_reason")
    assert kept[:3] == [
        ("1", "withdrawn", "invalid", "withdrawn by rw"),
        ("2", "withdrawn", "write", "withdrawn by rw"),
        ("3", "open", "write", None),
    ]
    assert site.kept("batches", "batch, proposals, open") == [("b", 2, 0), ("c", 2, 2)]
    assert site.apply().sent == 2
    assert [study.value(record, "weight") for record in "123"] == ["63.5", "81.0", "62.5"]


def test_single_records_are_withdrawn_and_what_was_sent_cannot_be(site, study):
    cells = [row(record, "weight", "60.5") for record in ("1", "2", "3")]
    site.propose([*cells, row("4", "weight", "60.5", batch="d")])
    with pytest.raises(WritebackRefused, match=r"there is no batch c\. The latest are: (b, d|d, b)\."):
        take_back(site, "c")
    with pytest.raises(WritebackRefused, match="b has no proposal for 1 of the 2 records that you named") as refused:
        take_back(site, records=["1", "canary-record"])
    assert "canary" not in str(refused.value)
    assert take_back(site, records=["2", "3"]).withdrawn == 2
    assert take_back(site, "d").withdrawn == 1
    with pytest.raises(WritebackRefused, match="nothing is left to withdraw in the batch d: 1 proposal ended before"):
        take_back(site, "d")
    told = site.work("SELECT record, status, decision_reason FROM writeback.proposals ORDER BY proposal")
    # By nobody who is named.
    assert told == [("1", "open", None), *((record, "withdrawn", "withdrawn") for record in "234")]
    assert site.apply().confirmed == 1
    assert study.value("2", "weight") == "81.0"
    with pytest.raises(WritebackRefused, match=r"what was sent cannot be withdrawn.*revert study \"b\""):
        take_back(site)
    # Withdrawn is no verdict about the value: it may be proposed again.
    site.propose([row("2", "weight", "60.5"), row("3", "weight", "61.5")])
    done = take_back(site, records=["3"])
    assert (done.withdrawn, done.sent) == (1, 0)
    with pytest.raises(WritebackRefused, match="cannot be withdrawn"):
        take_back(site, records=["1"])
    assert site.apply().confirmed == 1
    assert study.value("2", "weight") == "60.5"


def test_of_a_project_that_was_never_loaded_nothing_can_be_withdrawn(site):
    site.study()
    with pytest.raises(WritebackRefused, match="never been loaded"):
        take_back(site)
    assert not site.warehouse.mirror("study").exists()


# The test above withdraws a batch.
@pytest.mark.fuzz
def test_a_revert_is_withdrawn_like_any_other_batch_and_proposed_anew_by_asking_for_it(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.apply()
    site.revert(apply=False)
    assert take_back(site, "revert b").withdrawn == 1
    # So is one that a plan found invalid.
    site.allowed["study"] = NARROW
    assert site.revert(apply=False).counts.invalid == 1
    site.allowed["study"] = ""
    assert site.revert().confirmed == 1


def test_the_command_says_what_it_withdrew(site, study):
    def command(*words):
        return CliRunner().invoke(app, ["withdraw", *words, "--config", str(site.path)])

    site.propose([row("1", "weight", "60.5"), row("1", "remarks", "x"), row("2", "weight", "61.5")])
    done = command("study", "b", "--record", "1", "--author", "rw")
    assert (done.exit_code, done.output) == (0, 'study: 2 proposals withdrawn from the batch "b".\n')
    assert site.kept("proposals", "record, status") == [("1", "withdrawn"), ("1", "withdrawn"), ("2", "open")]
    document = json.loads(command("study", "b", "--json").stdout)
    assert (document["withdrawn"], document["ended"], document["published"]) == (1, 2, True)
    refused = command("study", "b")
    assert (refused.exit_code, isinstance(refused.exception, WritebackRefused)) == (1, True)
    assert "--record" in CliRunner().invoke(app, ["withdraw", "--help"]).output


# --- Invalid ---


# The rules themselves are tested in tests/writeback/decide.
@pytest.mark.fuzz
def test_what_was_found_invalid_is_not_sent_when_the_rules_have_changed(site, study):
    site.allowed["study"] = NARROW
    cells = [row("1", "weight", "60.5"), row("2", "remarks", "new"), row("3", "weight", "62.5", batch="planned")]
    site.propose(cells)
    assert site.plan().counts.invalid == 2
    assert (site.apply(batch="b").confirmed, site.work(STATUSES)) == (
        1,
        [("1", "invalid"), ("2", "confirmed"), ("3", "open")],
    )
    assert site.work("SELECT open, invalid FROM writeback.batches WHERE batch = 'b'") == [(0, 1)]
    site.allowed["study"] = ""
    again = "was invalid when it was last decided about; propose it again if it is still wanted"
    # However often it is looked at.
    assert (site.plan().counts.reasons, site.plan().counts.reasons) == ({again: 1}, {again: 1})
    outcome = site.apply()
    assert (outcome.sent, outcome.counts.total, outcome.counts.reasons) == (0, 1, {again: 1})
    assert site.work(STATUSES)[2] == ("3", "invalid")
    assert [study.value(record, "weight") for record in "13"] == ["80.0", "82.0"]
    outcome = site.apply()
    assert (outcome.sent, outcome.counts.total, outcome.complete) == (0, 0, True)
    site.propose([row("1", "weight", "60.5")])
    assert site.apply().confirmed == 1
