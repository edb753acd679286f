"""What REDCap refuses for one record does not hold the others back; a right that is gone stops everything."""

import pytest

from pipelines.writeback import WritebackStopped
from pipelines.writeback.send.bisection import about_records, rejected_proposals
from pipelines.writeback.send.rights import may_import
from redcap_source import RedcapClient, Token, errors
from redcap_source.simulator import Behaviour
from tests.support.writeback_site import row, values
from tests.writeback.send.test_requests import cell

FOREIGN = 'The record "%s" does not exist in your Data Access Group.'


@pytest.fixture
def grouped(site, study):
    """The study, with a token whose user is in a data access group by now; records 2 and 3 are in another."""
    for record in study.records():
        study.assign_dag(record, "south" if record in ("2", "3") else "north")
    token = study.add_user("kim", dag="north")
    site.monkeypatch.setenv("TOKEN_STUDY", token)
    return study


def test_a_record_outside_the_tokens_group_is_refused_alone(site, grouped):
    site.propose([row(record, "weight", "60.5", seen_value="") for record in ("4", "2", "3")])
    outcome = site.apply(new_records=True)
    assert (outcome.confirmed, outcome.failed) == (1, 2)
    assert outcome.messages == {"The record '…' does not exist in your Data Access Group.": 2}
    assert (grouped.value("4", "weight"), grouped.value("2", "weight")) == ("60.5", "81.0")
    assert [change[0] for change in site.changes() if change[1] == "weight"] == ["4"]
    # Nothing of it comes back at the next run.
    assert site.apply(new_records=True).sent == 0


def test_a_record_redcap_refuses_to_show_is_invalid_and_one_it_hides_afterwards_not_called_confirmed(site, grouped):
    site.simulator.behaviour = Behaviour(foreign_records="refuse")
    site.propose([row(record, "remarks", "clean") for record in ("1", "2", "3", "4", "5")])

    def step(name):
        if name == "read back":
            grouped.assign_dag("4", "south")

    outcome = site.apply(step=step)
    assert outcome.counts.reasons == {"REDCap refuses the token this record": 2}
    assert (outcome.confirmed, outcome.not_confirmed) == (2, 1)
    assert list(outcome.messages) == ["REDCap does not let the token read this record, so its value is not known"]
    assert grouped.value("2", "remarks") == "remark 2"
    # The others are in the warehouse all the same.
    assert [change[0] for change in site.changes() if change[1] == "remarks"] == ["1", "5"]


def test_a_right_to_import_that_is_gone_stops_everything_and_leaves_the_proposals_open(site, study):
    site.propose([row(record, "weight", "60.5") for record in ("1", "2", "3")])
    study.set_rights(api_import=0)
    with pytest.raises(WritebackStopped, match="lacks a right"):
        site.apply()
    # The import, and the question whether the right is gone.
    assert site.imports() == 2
    assert site.work("SELECT DISTINCT status FROM writeback.proposals") == [("open",)]
    why = "not sent: The token's user lacks a right that this call needs."
    assert site.work("SELECT DISTINCT status, message FROM writeback.journal") == [("failed", why)]
    study.set_rights(api_import=1)
    assert site.apply().confirmed == 3


def test_a_right_to_export_that_is_gone_is_no_record_out_of_reach(site, study):
    site.propose([row(record, "weight", "60.5") for record in ("1", "2", "3")])
    refusal = b'{"error": "You do not have API Export privileges"}'
    site.simulator.faults.add("answer", content="record", action="export", status=403, body=refusal, times=None)
    with pytest.raises(errors.MissingRight):
        site.plan()
    asked = [request for request in site.simulator.requests if request.content == "record"]
    assert len(asked) == 2


def test_the_question_about_the_right_to_import_changes_nothing(site, study):
    before = values(study)
    with RedcapClient(site.simulator.url, Token(study.token)) as client:
        assert may_import(client)
        study.set_rights(api_import=0)
        assert not may_import(client)
    assert values(study) == before


def test_a_refusal_names_the_records_it_quotes():
    cells = [cell(1, "1"), cell(2, "1", "notes"), cell(3, "12"), cell(4, "2")]
    lines = about_records(cells, FOREIGN % "1", "refused")
    assert rejected_proposals(cells, lines) == {1: "refused", 2: "refused"}
    assert about_records(cells, "The record 1 does not exist", "refused") == []
