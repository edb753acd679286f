"""The whole way: proposed, planned, sent, read back, brought into the warehouse, undone; over HTTP."""

from datetime import timedelta

import pytest

from pipelines.run import utc_now
from pipelines.warehouse.tables.layout import rows_now
from pipelines.writeback import NotProposed, WritebackOptions, WritebackRefused, WritebackStopped, plan_writeback
from redcap_source.simulator import make_study
from tests.support.writeback_site import row, values


def test_a_plan_sends_nothing_and_tells_what_would_be_done(site, study):
    site.propose(
        [row("1", "weight", "60.5"), row("2", "weight", "81.0"), row("3", "bmi", "1"), row("4", "weight", "300")]
    )
    study.save("4", {"weight": "99.9"})
    before = values(study)
    plan = site.plan()
    assert (plan.counts.write, plan.counts.already_there, plan.counts.conflict, plan.counts.invalid) == (1, 1, 0, 2)
    assert plan.counts.reasons == {"calculated by REDCap": 1, "does not follow the field's validation": 1}
    assert (plan.records, plan.batches, plan.refusal) == (1, ("b",), "")
    assert site.imports() == 0
    assert values(study) == before
    decided = "SELECT record, decision, decision_reason, status FROM writeback.proposals ORDER BY proposal"
    assert site.work(decided)[:2] == [("1", "write", None, "open"), ("2", "already there", None, "open")]


def test_what_is_applied_is_in_redcap_in_the_journal_and_in_the_warehouse_once(site, study):
    site.propose([row("1", "weight", "60.5", reason="typo"), row("4", "weight", "70.0")], author="rw")
    study.save("2", {"weight": "99.9"})
    outcome = site.apply()
    assert (outcome.sent, outcome.confirmed, outcome.complete) == (2, 2, True)
    assert (outcome.not_confirmed, outcome.rows_changed) == (0, 2)
    assert study.value("1", "weight") == "60.5"
    assert site.journal() == [
        ("1", "weight", "80.0", "60.5", "60.5", "confirmed"),
        ("4", "weight", None, "70.0", "70.0", "confirmed"),
    ]
    assert site.journal("reason, author")[0] == ("typo", "rw")
    written = [change for change in site.changes() if change[1] == "weight"]
    assert written == [
        ("1", "weight", "80.0", "60.5", "writeback", "rw"),
        ("4", "weight", None, "70.0", "writeback", "rw"),
    ]
    # The body mass index moved with the weight.
    followed = site.work("SELECT record, field, status, message FROM writeback.journal WHERE status = 'followed'")
    assert ("1", "bmi", "followed", "calculated anew by REDCap") in followed
    assert [change[4] for change in site.changes() if change[1] == "bmi"] == ["writeback", "writeback"]
    # The next night finds what a person did, and nothing of ours again.
    known = len(site.changes())
    site.night()
    assert {change[0] for change in site.changes()[known:]} == {"2"}


def test_a_batch_applied_again_sends_nothing(site, study):
    site.propose(
        [row("1", "weight", "60.5"), row("2", "weight", "no number"), row("3", "weight", "70.0", seen_value="1.0")]
    )
    first = site.apply()
    assert (first.sent, first.counts.invalid, first.counts.conflict, first.complete) == (1, 1, 1, False)
    sent = site.imports()
    second = site.apply()
    # What is invalid has ended; a conflict is compared anew.
    assert (second.sent, second.counts.invalid, second.counts.conflict) == (0, 0, 1)
    assert site.imports() == sent
    assert len(site.journal()) == 1


def test_what_a_person_changed_since_it_was_seen_stays(site, study):
    site.propose([row("1", "weight", "60.5"), row("2", "weight", "60.5")])
    study.save("1", {"weight": "99.9"})
    outcome = site.apply()
    assert (outcome.counts.conflict, outcome.confirmed) == (1, 1)
    assert (study.value("1", "weight"), study.value("2", "weight")) == ("99.9", "60.5")


def test_who_looks_again_and_proposes_anew_supersedes_the_conflict(site, study):
    site.propose([row("1", "weight", "60.5")])
    study.save("1", {"weight": "99.9"})
    assert site.apply().counts.conflict == 1
    site.propose([row("1", "weight", "60.5", seen_value="99.9")], batch="again")
    assert site.apply().complete
    assert study.value("1", "weight") == "60.5"
    assert site.work("SELECT status FROM writeback.proposals ORDER BY proposal") == [("superseded",), ("confirmed",)]


def test_two_proposals_that_want_different_values_are_decided_by_nobody(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.propose([row("1", "weight", "61.5")], batch="c")
    assert site.apply().counts.reasons == {"the same cell is proposed twice, with different values": 2}
    assert study.value("1", "weight") == "80.0"


def test_an_edit_between_the_plan_and_the_look_before_sending_stays(site, study):
    site.propose([row("1", "weight", "60.5"), row("2", "weight", "61.5")])

    def step(name):
        if name == "look":
            study.save("1", {"weight": "99.9"})

    outcome = site.apply(step=step)
    assert (outcome.counts.write, outcome.counts.conflict) == (1, 1)
    assert study.value("1", "weight") == "99.9"
    assert [entry[0] for entry in site.journal()] == ["2"]


def test_erasing_takes_an_explicit_clear_and_touches_nothing_else(site, study):
    proposed = site.propose(
        [row("1", "remarks", None, clear=True), row("2", "remarks", ""), row("1", "complaints___1", None, clear=True)]
    )
    assert (proposed.accepted, proposed.left) == (2, 1)
    before = values(study)
    assert site.apply().confirmed == 2
    after = values(study)
    assert {key[2] for key in before.keys() - after.keys()} == {"remarks", "complaints___1"}
    assert all(after[key] == before[key] for key in after)
    assert site.journal()[0] == ("1", "remarks", "remark 1", None, None, "confirmed")


def test_a_value_redcap_pads_is_confirmed_as_redcap_holds_it(site, study):
    site.propose([row("1", "t_hm", "9:05"), row("1", "d_ymd", "2024-1-5")])
    assert site.apply().confirmed == 2
    assert [entry[3:] for entry in site.journal()] == [
        ("9:05", "09:05", "confirmed"),
        ("2024-1-5", "2024-01-05", "confirmed"),
    ]
    assert [change[4] for change in site.changes() if change[1] in ("t_hm", "d_ymd")] == ["writeback"] * 2


def test_revert_restores_exactly_what_the_batch_wrote(site, study):
    before = values(study)
    site.propose(
        [row("1", "weight", "60.5"), row("4", "weight", "70.0"), row("1", "remarks", None, clear=True),
         row("2", "complaints___1", "0"), row("3", "complaints___2", "1"), row("3", "bmi", "7")]
    )  # fmt: skip
    assert site.apply().confirmed == 5
    study.save("5", {"remarks": "a person's"})
    plan = site.revert(apply=False)
    assert plan.counts.write == 5
    assert site.revert().confirmed == 5
    after = values(study)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {key[0] for key in changed} == {"5"}
    assert site.revert().sent == 0
    assert site.work("SELECT batch, reverts, confirmed FROM writeback.batches ORDER BY created_at") == [
        ("b", None, 5),
        ("revert b", "b", 5),
    ]


def test_revert_leaves_a_cell_that_somebody_changed_since(site, study):
    site.propose([row("1", "weight", "60.5"), row("2", "weight", "61.5")])
    site.apply()
    study.save("1", {"weight": "77.7"})
    outcome = site.revert()
    assert (outcome.confirmed, outcome.counts.conflict) == (1, 1)
    assert (study.value("1", "weight"), study.value("2", "weight")) == ("77.7", "81.0")


def test_a_revert_that_was_only_looked_at_is_not_sent_with_the_next_batch(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.apply()
    assert site.revert(apply=False).counts.write == 1
    site.propose([row("2", "weight", "61.5")], batch="c")
    assert (site.plan().counts.write, site.apply().sent) == (1, 1)
    assert study.value("1", "weight") == "60.5"


def test_revert_undoes_what_a_batch_has_written_since_it_was_last_undone(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.apply()
    site.revert(apply=False)
    site.propose([row("2", "weight", "61.5")])
    site.apply()
    assert site.revert().confirmed == 2
    assert (study.value("1", "weight"), study.value("2", "weight")) == ("80.0", "81.0")


@pytest.mark.fuzz
def test_revert_of_a_batch_that_wrote_again_goes_back_to_what_it_found_then(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.apply()
    site.revert()
    study.save("1", {"weight": "70.0"})
    site.propose([row("1", "weight", "55.5", seen_value="70.0")])
    assert site.apply().confirmed == 1
    assert site.revert().confirmed == 1
    assert study.value("1", "weight") == "70.0"
    assert site.revert().sent == 0


def test_revert_can_be_tried_again_when_redcap_refused_it(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.apply()
    study.lock_record("1", instrument="examination")
    assert site.revert().failed == 1
    study.unlock_record("1")
    assert site.revert().confirmed == 1
    assert study.value("1", "weight") == "80.0"


@pytest.mark.parametrize("at", [pytest.param("read back", marks=pytest.mark.fuzz), "account"])
def test_revert_undoes_what_a_run_that_died_had_written(site, study, at):
    site.propose([row("1", "weight", "60.5")])

    def step(name):
        if name == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.apply(step=step)
    assert study.value("1", "weight") == "60.5"
    outcome = site.revert()
    assert (outcome.settled, outcome.confirmed, study.value("1", "weight")) == (1, 2, "80.0")


def test_who_changes_a_cell_directly_after_it_was_written_is_told_as_they(site, study):
    site.propose([row("1", "weight", "60.5"), row("2", "weight", "61.5")])

    def step(name):
        if name == "fetch":
            study.save("1", {"weight": "99.9"})
            study.save("2", {"weight": "81.0"})

    outcome = site.apply(step=step)
    assert (outcome.confirmed, outcome.not_confirmed) == (0, 2)
    assert outcome.messages == {"somebody changed it directly after it was written": 2}
    assert site.journal("record, after_value, status") == [
        ("1", "99.9", "not confirmed"),
        ("2", "81.0", "not confirmed"),
    ]
    changed = [(record, new, origin) for record, name, _, new, origin, _ in site.changes() if name == "weight"]
    assert changed == [("1", "99.9", "redcap")]


def test_revert_of_nothing_is_refused(site, study):
    with pytest.raises(WritebackRefused, match="is not known"):
        site.revert("nothing")
    site.propose([row("1", "bmi", "1")])
    site.apply()
    with pytest.raises(WritebackRefused, match="wrote nothing"):
        site.revert()


# --- What REDCap refuses ---


def test_one_bad_cell_is_reported_with_redcaps_own_words_and_the_rest_lands(site, study):
    study.lock_record("2", instrument="examination")
    site.propose(
        [row(str(n), "weight", f"6{n}.5") for n in (1, 2, 3)] + [row("2", "remarks", "x"), row("2", "town", "y")]
    )
    outcome = site.apply()
    assert (outcome.confirmed, outcome.failed) == (3, 2)
    locked = "This field is located on a form that is locked. You must first unlock this form for this record."
    assert outcome.messages == {locked: 2}
    assert site.imports() == 2
    assert study.value("2", "weight") == "81.0"
    assert ("2", "weight", "81.0", "62.5", "81.0", "failed") in site.journal()
    # Refused is refused: doing it again needs a new proposal.
    assert site.apply().sent == 0


def test_4999_of_5000_land_and_one_is_reported_with_one_request_more(site):
    """The phone numbers of Australia are a validation that only the server knows."""
    handle = site.study("classic", 500)
    site.night()
    new = {
        "first_name": "A", "last_name": "B", "street": "C", "town": "D", "remarks": "E", "initials": "zz",
        "glucose": "99", "systolic": "999", "diastolic": "998", "phone_au": "02 9999 0000",
    }  # fmt: skip
    rows = [row(record, name, value) for record in handle.records() for name, value in new.items()]
    rows[3459]["new_value"] = "1"
    assert rows[3459]["field"] == "phone_au"
    site.propose(rows)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.failed) == (4999, 1)
    assert outcome.messages == {
        "The value you provided could not be validated because it does not follow the expected format. "
        "Please try again.": 1
    }
    assert site.imports() == 2
    assert site.apply().sent == 0


def test_a_refusal_that_names_no_cell_is_found_by_halves(site, study):
    """Half of what was refused goes through, and so on, until what is left goes through alone."""
    site.propose([row(record, "remarks", f"new {record}") for record in study.records()])
    refusal = b'{"error": "The data could not be saved."}'
    site.simulator.faults.add("answer", content="record", action="import", status=400, body=refusal)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.failed) == (len(study.records()), 0)
    assert site.imports() <= 6
    site.propose([row(r, "remarks", "newer", seen_value=f"new {r}") for r in ("1", "2")], batch="c")
    site.simulator.faults.add("answer", content="record", action="import", status=400, body=refusal, times=None)
    outcome = site.apply()
    assert (outcome.failed, outcome.messages) == (2, {"The data could not be saved.": 2})


@pytest.mark.parametrize(
    "narrowing",
    [
        "identifiers: hash",
        pytest.param("identifiers: drop", marks=pytest.mark.fuzz),
        pytest.param("include: {instruments: [examination]}", marks=pytest.mark.fuzz),
    ],
)
def test_where_the_warehouse_holds_less_only_that_is_written(site, narrowing):
    handle = site.study()
    site.allowed["study"] = "{instruments: [enrolment, examination]}, " + narrowing
    handle.save("1", {"weight": "80.0", "first_name": "Ann"})
    site.night()
    rows = [row("1", "weight", "60.5", seen_value="80.0"), row("1", "first_name", "Anne", seen_value="Ann")]
    proposed = site.propose(rows)
    outcome = site.apply()
    # An identifier is refused at once, so that its value is not kept; what is left out of the load, by the plan.
    assert (outcome.confirmed, len(proposed.refused) + outcome.counts.invalid) == (1, 1)
    assert (len(proposed.refused) == 1) is ("identifiers" in narrowing)
    assert (handle.value("1", "weight"), handle.value("1", "first_name")) == ("60.5", "Ann")
    assert [change[1] for change in site.changes() if change[4] == "writeback"] == ["weight"]
    known = len(site.changes())
    site.night()
    assert len(site.changes()) == known


# --- Guards ---


def test_a_cap_on_cells_stops_accidents(site, study):
    site.propose([row(str(n), "weight", "60.5") for n in (1, 2, 3)])
    assert "3 cells would be written, more than the 2" in site.plan(max_cells=2).refusal
    with pytest.raises(WritebackRefused, match="--max-cells"):
        site.apply(max_cells=2)
    assert site.imports() == 0
    assert site.apply(max_cells=3).confirmed == 3


def test_a_cap_on_the_share_of_records_stops_accidents(site, study):
    site.allowed["study"] = "{fields: [weight], max_record_share: 0.4}"
    site.propose([row(str(n), "weight", "60.5") for n in (1, 2, 3, 4, 5, 6)])
    with pytest.raises(WritebackRefused, match="6 of 12 records would be written, more than the 40%"):
        site.apply()
    site.allowed["study"] = "{fields: [weight], max_record_share: 0.5}"
    assert site.plan().refusal == ""


def test_nothing_is_written_that_projects_yaml_does_not_name(site, study):
    site.allowed["study"] = "{fields: [remarks]}"
    site.propose([row("1", "weight", "60.5"), row("1", "remarks", "new")])
    outcome = site.apply()
    assert (outcome.confirmed, outcome.counts.reasons) == (
        1,
        {"projects.yaml does not allow this field to be written": 1},
    )


def test_an_old_warehouse_is_no_ground_to_write_from(site, study):
    site.propose([row("1", "weight", "60.5")])
    later = lambda: utc_now() + timedelta(hours=40)  # noqa: E731
    with pytest.raises(WritebackRefused, match=r"40 hours old, and projects.yaml allows 36"):
        plan_writeback(site.config, site.project(), now=later)


def test_a_project_that_was_never_loaded_is_not_written_to(site):
    site.study()
    with pytest.raises(WritebackRefused, match="never been loaded"):
        site.apply()


def test_a_load_that_did_not_end_well_has_to_be_done_again_first(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.simulator.faults.add("500", content="metadata", times=None)
    with pytest.raises(Exception, match="failed"):
        site.load()
    site.simulator.faults.clear()
    with pytest.raises(WritebackRefused, match="did not end well"):
        site.apply()


def test_a_token_of_another_project_is_refused_before_anything_is_sent(site, study, monkeypatch):
    other = site.simulator.add_project(make_study("classic", records=12, seed=4), name="other")
    site.propose([row("1", "weight", "60.5")])
    monkeypatch.setenv("TOKEN_STUDY", other.token)
    with pytest.raises(WritebackRefused, match="the token belongs to REDCap project"):
        site.apply()
    assert site.imports() == 0


def test_a_dictionary_that_changed_since_the_load_has_to_be_loaded_first(site, study):
    site.propose([row("1", "weight", "60.5")])
    study.add_field({"field_name": "extra", "form_name": "examination", "field_type": "text", "field_label": "Extra"})
    assert "have changed since it was last loaded" in site.plan().refusal
    with pytest.raises(WritebackRefused, match="have changed"):
        site.apply()
    site.night()
    assert site.apply().confirmed == 1


def test_a_batch_that_is_not_there_is_said_with_those_that_are(site, study):
    site.propose([row("1", "weight", "60.5")])
    with pytest.raises(WritebackRefused, match=r"there is no batch c\. The latest are: b"):
        site.plan(batch="c")


def test_only_one_batch_is_applied_if_one_is_named(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.propose([row("2", "weight", "61.5")], batch="c")
    assert site.apply(batch="c").confirmed == 1
    assert study.value("1", "weight") == "80.0"
    assert site.plan().counts.write == 1


def test_no_import_right_stops_everything_and_leaves_the_proposals_open(site, study):
    site.propose([row("1", "weight", "60.5")])
    study.set_rights(api_import=0)
    with pytest.raises(WritebackStopped, match="lacks a right"):
        site.apply()
    assert [entry[5] for entry in site.journal()] == ["failed"]
    study.set_rights(api_import=1)
    assert site.apply().confirmed == 1


def test_proposals_survive_the_next_night(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.night()
    assert site.apply().confirmed == 1


def test_proposing_to_what_was_never_published_is_refused(site):
    site.study()
    site.load()
    with pytest.raises(Exception, match="sync"):
        site.propose([row("1", "weight", "60.5")])
    assert NotProposed and WritebackOptions


# --- Records and instances ---


def test_a_record_redcap_lacks_is_made_only_if_that_is_allowed(site, study):
    site.propose([row("77", "weight", "60.5"), row("77", "town", "Vienna")])
    assert site.plan().counts.reasons == {"REDCap has no such record": 2}
    outcome = site.apply(new_records=True)
    assert outcome.confirmed == 2
    assert study.value("77", "town") == "Vienna"
    assert ("77",) in site.work("SELECT record FROM redcap.records")


def test_a_new_instance_is_made_once_with_a_number_of_its_own(site, repeating):
    handle = repeating.put_into(site)
    event = next(iter(handle.project.events)).unique_name
    last = f"SELECT max(_instance::INT) FROM {rows_now('study', 'exacerbations')} WHERE _record = '1'"
    found = site.work(last)[0][0] or 0
    where = {"event": event, "instance": "new"}
    site.propose([row("1", "exac_drug", "aspirin", **where), row("1", "exac_severity", "2", **where)])
    outcome = site.apply()
    assert outcome.counts.reasons == {}
    assert outcome.confirmed == 2
    assert handle.value("1", "exac_drug", event=event, instance=found + 1) == "aspirin"
    assert site.journal("instance") == [(str(found + 1),)] * 2
    assert site.apply().sent == 0
    assert site.work(last) == [(found + 1,)]
    mine = site.work("SELECT field, reason FROM redcap.record_changes WHERE origin = 'writeback' ORDER BY field")
    assert mine == [("exac_drug", None), ("exac_severity", None), ("exacerbations_complete", "followed from batch b")]


@pytest.mark.parametrize("at", [pytest.param("send", marks=pytest.mark.fuzz), "read back"])
def test_a_run_that_dies_makes_a_new_instance_once(site, repeating, at):
    handle = repeating.put_into(site)
    where = {"event": "baseline_arm_1", "instance": "new"}
    before = {slot for slot in handle.project.records.get("1").slots if slot[1] == "exacerbations"}
    site.propose([row("1", "exac_drug", "aspirin", **where), row("1", "exac_severity", "2", **where)])

    def step(name):
        if name == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.apply(step=step)
    assert site.apply().complete
    made = {slot for slot in handle.project.records.get("1").slots if slot[1] == "exacerbations"} - before
    assert len(made) == 1
    assert handle.value("1", "exac_drug", event="baseline_arm_1", instance=made.pop()[2]) == "aspirin"
    assert site.apply().sent == 0
