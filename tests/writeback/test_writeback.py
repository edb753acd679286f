"""The whole way: proposed, planned, sent, read back, brought into the warehouse, undone; over HTTP."""

from datetime import timedelta

import pytest

from pipelines.run import utc_now
from pipelines.warehouse.tables.layout import rows_now
from pipelines.writeback import WritebackRefused, plan_writeback
from redcap_source.simulator import make_study
from tests.support.writeback_site import row, values


def test_a_plan_sends_nothing_and_tells_what_would_be_done(site, study):
    site.propose(
        [row("1", "weight", "60.5"), row("2", "weight", "81.0"), row("3", "bmi", "1"), row("4", "weight", "300"),
         row("77", "weight", "60.5"), row("77", "town", "Vienna")]
    )  # fmt: skip
    study.save("4", {"weight": "99.9"})
    before = values(study)
    plan = site.plan()
    assert (plan.counts.write, plan.counts.already_there, plan.counts.conflict, plan.counts.invalid) == (1, 1, 0, 4)
    assert plan.counts.reasons == {
        "calculated by REDCap": 1,
        "does not follow the field's validation": 1,
        # Only --new-records makes one.
        "REDCap has no such record": 2,
    }
    assert (plan.records, plan.batches, plan.refusal) == (1, ("b",), "")
    assert site.imports() == 0
    assert values(study) == before
    decided = "SELECT record, decision, decision_reason, status FROM writeback.proposals ORDER BY proposal"
    assert site.work(decided)[:2] == [("1", "write", None, "open"), ("2", "already there", None, "open")]
    with pytest.raises(WritebackRefused, match=r"there is no batch c\. The latest are: b"):
        site.plan(batch="c")


def test_what_is_applied_is_in_redcap_in_the_journal_and_in_the_warehouse_once(site, study):
    cells = [row("1", "weight", "60.5", reason="typo"), row("4", "weight", "70.0")]
    # REDCap pads these two, and holds them so.
    cells += [row("1", "t_hm", "9:05"), row("1", "d_ymd", "2024-1-5")]
    site.propose(cells, author="rw")
    study.save("2", {"weight": "99.9"})
    outcome = site.apply()
    assert (outcome.sent, outcome.confirmed, outcome.complete) == (4, 4, True)
    assert (outcome.not_confirmed, outcome.rows_changed) == (0, 3)
    assert study.value("1", "weight") == "60.5"
    weights, padded = site.journal()[:2], [entry[3:] for entry in site.journal()[2:]]
    assert weights == [
        ("1", "weight", "80.0", "60.5", "60.5", "confirmed"),
        ("4", "weight", None, "70.0", "70.0", "confirmed"),
    ]
    assert padded == [("9:05", "09:05", "confirmed"), ("2024-1-5", "2024-01-05", "confirmed")]
    assert site.journal("reason, author")[0] == ("typo", "rw")
    written = [change for change in site.changes() if change[1] == "weight"]
    assert written == [
        ("1", "weight", "80.0", "60.5", "writeback", "rw"),
        ("4", "weight", None, "70.0", "writeback", "rw"),
    ]
    assert [change[4] for change in site.changes() if change[1] in ("t_hm", "d_ymd")] == ["writeback"] * 2
    # The body mass index moved with the weight.
    followed = site.work("SELECT record, field, status, message FROM writeback.journal WHERE status = 'followed'")
    assert ("1", "bmi", "followed", "calculated anew by REDCap") in followed
    assert [change[4] for change in site.changes() if change[1] == "bmi"] == ["writeback", "writeback"]
    # The next night finds what a person did, and nothing of ours again.
    known = len(site.changes())
    site.load()
    assert {change[0] for change in site.changes()[known:]} == {"2"}


def test_what_others_did_meanwhile_stays_and_a_batch_applied_again_sends_nothing(site, study):
    cells = [row(str(n), "weight", f"6{n}.5") for n in (1, 2, 3, 4, 5, 6)] + [row("7", "weight", "no number")]
    site.propose([*cells, row("5", "weight", "65.9", batch="c")])
    study.save("1", {"weight": "99.9"})

    def step(name):
        if name == "look":
            # Between the plan and the look before sending.
            study.save("4", {"weight": "99.9"})
        if name == "fetch":
            # Directly after they were written, one of them to what it was before.
            study.save("2", {"weight": "81.0"})
            study.save("3", {"weight": "99.9"})

    before_5 = study.value("5", "weight")
    outcome = site.apply(step=step)
    assert (outcome.counts.write, outcome.counts.conflict, outcome.counts.invalid) == (3, 2, 3)
    assert (outcome.sent, outcome.confirmed, outcome.not_confirmed, outcome.complete) == (3, 1, 2, False)
    assert outcome.messages == {"somebody changed it directly after it was written": 2}
    twice = "the same cell is proposed twice, with different values"
    assert outcome.counts.reasons[twice] == 2
    held = ["99.9", "81.0", "99.9", "99.9", before_5, "66.5"]
    assert [study.value(str(n), "weight") for n in (1, 2, 3, 4, 5, 6)] == held
    journal = site.journal("record, after_value, status")
    assert journal == [("2", "81.0", "not confirmed"), ("3", "99.9", "not confirmed"), ("6", "66.5", "confirmed")]
    changed = [(record, new, origin) for record, name, _, new, origin, _ in site.changes() if name == "weight"]
    assert changed == [("3", "99.9", "redcap"), ("6", "66.5", "writeback")]
    # Again: what is invalid has ended; a conflict is compared anew.
    sent = site.imports()
    again = site.apply()
    assert (again.sent, again.counts.invalid, again.counts.conflict) == (0, 0, 2)
    assert (site.imports(), site.journal("record, after_value, status")) == (sent, journal)
    # Who looks again and proposes anew supersedes the conflict.
    site.propose([row("1", "weight", "60.5", seen_value="99.9")], batch="again")
    assert site.apply(batch="again").complete
    assert study.value("1", "weight") == "60.5"
    told = site.work("SELECT status FROM writeback.proposals WHERE record = '1' ORDER BY proposal")
    assert told == [("superseded",), ("confirmed",)]


def test_revert_restores_exactly_what_the_batch_wrote(site, study):
    before = values(study)
    proposed = site.propose(
        [row("1", "weight", "60.5"), row("4", "weight", "70.0"), row("1", "remarks", None, clear=True),
         row("2", "complaints___1", "0"), row("3", "complaints___1", None, clear=True),
         row("3", "complaints___2", "1"), row("3", "bmi", "7"), row("6", "town", "Rome"),
         row("7", "bmi", "1", batch="nothing"),
         # Erasing takes an explicit clear.
         row("2", "remarks", "")]
    )  # fmt: skip
    assert (proposed.accepted, proposed.left) == (9, 1)
    assert site.apply().confirmed == 7
    written = values(study)
    assert {key[::2] for key in before.keys() - written.keys()} == {("1", "remarks")} | {
        (record, "complaints___1") for record in "23"
    }
    changed = {key[::2] for key in written if written[key] != before.get(key)}
    assert changed == {(record, name) for record in "14" for name in ("weight", "bmi")} | {
        ("3", "complaints___2"),
        ("6", "town"),
    }
    assert ("1", "remarks", "remark 1", None, None, "confirmed") in site.journal()
    study.save("5", {"remarks": "a person's"})
    study.save("6", {"town": "a person's"})
    plan = site.revert(apply=False)
    assert (plan.counts.write, plan.counts.conflict) == (6, 1)
    outcome = site.revert()
    assert (outcome.confirmed, outcome.counts.conflict) == (6, 1)
    after = values(study)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {key[0] for key in changed} == {"5", "6"}
    assert study.value("6", "town") == "a person's"
    assert site.revert().sent == 0
    assert site.work("SELECT batch, reverts, confirmed FROM writeback.batches ORDER BY batch") == [
        ("b", None, 7),
        ("nothing", None, 0),
        ("revert b", "b", 6),
    ]
    with pytest.raises(WritebackRefused, match="wrote nothing"):
        site.revert("nothing")
    with pytest.raises(WritebackRefused, match="is not known"):
        site.revert("c")


# The next test restores what a batch wrote.
@pytest.mark.fuzz
def test_revert_undoes_what_a_batch_has_written_since_it_was_last_looked_at(site, study):
    site.propose([row("1", "weight", "60.5")])
    site.apply()
    assert site.revert(apply=False).counts.write == 1
    # What was only looked at is not sent with the next batches.
    site.propose([row("2", "weight", "61.5"), row("3", "weight", "62.5", batch="c")])
    assert (site.plan().counts.write, site.apply().sent) == (2, 2)
    assert study.value("1", "weight") == "60.5"
    study.lock_record("1", instrument="examination")
    outcome = site.revert()
    assert (outcome.confirmed, outcome.failed) == (1, 1)
    # What REDCap refused can be tried again.
    study.unlock_record("1")
    assert site.revert().confirmed == 1
    assert [study.value(record, "weight") for record in "123"] == ["80.0", "81.0", "62.5"]


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


@pytest.mark.fuzz
@pytest.mark.parametrize("at", ["read back", "account"])
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


@pytest.mark.parametrize("records", [12, pytest.param(500, marks=pytest.mark.fuzz)])
def test_all_cells_but_one_land_and_that_one_is_reported_with_one_request_more(site, classic, records):
    """The phone numbers of Australia are a validation that only the server knows."""
    if records == 12:
        handle = classic.put_into(site)
    else:
        handle = site.study("classic", records)
        site.night()
    new = {
        "first_name": "A", "last_name": "B", "street": "C", "town": "D", "remarks": "E", "initials": "zz",
        "glucose": "99", "systolic": "999", "diastolic": "998", "phone_au": "02 9999 0000",
    }  # fmt: skip
    rows = [row(record, name, value) for record in handle.records() for name, value in new.items()]
    bad = records * 7 // 10 * 10 - 1
    assert rows[bad]["field"] == "phone_au"
    rows[bad]["new_value"] = "1"
    site.propose(rows)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.failed) == (records * 10 - 1, 1)
    assert outcome.messages == {
        "The value you provided could not be validated because it does not follow the expected format. "
        "Please try again.": 1
    }
    assert site.imports() == 2
    assert site.apply().sent == 0


def test_a_refusal_that_names_no_cell_is_found_by_halves(site, study):
    """Half of what was refused goes through, and so on, until what is left goes through alone."""
    site.propose([row(record, "remarks", f"new {record}") for record in study.records()])
    # As a firewall answers that dislikes one value.
    page = b"<html><title>Forbidden</title></html>"
    site.simulator.faults.add("answer", content="record", action="import", status=403, body=page)
    outcome = site.apply()
    assert (outcome.confirmed, outcome.failed) == (len(study.records()), 0)
    # One of them is the question whether the right to import is gone.
    assert site.imports() <= 7
    site.propose([row(r, "remarks", "newer", seen_value=f"new {r}") for r in ("1", "2")], batch="c")
    refusal = b'{"error": "The data could not be saved."}'
    site.simulator.faults.add("answer", content="record", action="import", status=400, body=refusal, times=None)
    outcome = site.apply()
    assert (outcome.failed, outcome.messages) == (2, {"The data could not be saved.": 2})


@pytest.mark.fuzz
@pytest.mark.parametrize(
    "narrowing", ["identifiers: hash", "identifiers: drop", "include: {instruments: [examination]}"]
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


def test_caps_and_other_guards_stop_accidents_before_anything_is_sent(site, study, monkeypatch):
    site.propose([row(str(n), "weight", "60.5") for n in (1, 2, 3, 4, 5)] + [row("6", "remarks", "new")])
    assert "6 cells would be written, more than the 5" in site.plan(max_cells=5).refusal
    with pytest.raises(WritebackRefused, match="--max-cells"):
        site.apply(max_cells=5)
    site.allowed["study"] = "{fields: [weight, remarks], max_record_share: 0.4}"
    with pytest.raises(WritebackRefused, match="6 of 12 records would be written, more than the 40%"):
        site.apply()
    later = lambda: utc_now() + timedelta(hours=40)  # noqa: E731
    with pytest.raises(WritebackRefused, match=r"40 hours old, and projects.yaml allows 36"):
        plan_writeback(site.config, site.project(), now=later)
    other = site.simulator.add_project(make_study("classic", records=12, seed=4), name="other")
    monkeypatch.setenv("TOKEN_STUDY", other.token)
    with pytest.raises(WritebackRefused, match="the token belongs to REDCap project"):
        site.apply()
    monkeypatch.setenv("TOKEN_STUDY", study.token)
    assert site.imports() == 0
    # What was refused ended no proposal.
    assert site.work("SELECT DISTINCT status FROM writeback.proposals") == [("open",)]
    site.allowed["study"] = "{fields: [weight], max_record_share: 0.5}"
    outcome = site.apply(max_cells=5)
    assert (outcome.confirmed, outcome.counts.reasons) == (
        5,
        {"projects.yaml does not allow this field to be written": 1},
    )


def test_a_project_that_was_never_loaded_is_not_written_to_and_to_one_never_published_nothing_is_proposed(site):
    site.study("classic", 3)
    with pytest.raises(WritebackRefused, match="never been loaded"):
        site.apply()
    site.load()
    with pytest.raises(Exception, match="sync"):
        site.propose([row("1", "weight", "60.5")])


def test_a_dictionary_that_changed_since_the_load_has_to_be_loaded_first(site, study):
    site.propose([row("1", "weight", "60.5")])
    study.add_field({"field_name": "extra", "form_name": "examination", "field_type": "text", "field_label": "Extra"})
    assert "have changed since it was last loaded" in site.plan().refusal
    with pytest.raises(WritebackRefused, match="have changed"):
        site.apply()
    site.simulator.faults.add("500", content="metadata", times=None)
    with pytest.raises(Exception, match="failed"):
        site.load()
    site.simulator.faults.clear()
    with pytest.raises(WritebackRefused, match="did not end well"):
        site.apply()
    # The proposal survives the night.
    site.load()
    assert site.apply().confirmed == 1


# --- Records and instances ---


@pytest.mark.parametrize(
    "at", [pytest.param("never", marks=pytest.mark.fuzz), pytest.param("send", marks=pytest.mark.fuzz), "read back"]
)
def test_a_run_that_dies_makes_a_new_instance_once_with_a_number_of_its_own(site, repeating, at):
    handle = repeating.put_into(site)
    last = f"SELECT max(_instance::INT) FROM {rows_now('study', 'exacerbations')} WHERE _record = '1'"
    found = site.work(last)[0][0] or 0
    where = {"event": "baseline_arm_1", "instance": "new"}
    before = {slot for slot in handle.project.records.get("1").slots if slot[1] == "exacerbations"}
    site.propose([row("1", "exac_drug", "aspirin", **where), row("1", "exac_severity", "2", **where)])

    def step(name):
        if name == at:
            raise KeyboardInterrupt

    if at != "never":
        with pytest.raises(KeyboardInterrupt):
            site.apply(step=step)
    outcome = site.apply()
    assert (outcome.complete, outcome.counts.reasons) == (True, {})
    made = {slot for slot in handle.project.records.get("1").slots if slot[1] == "exacerbations"} - before
    assert {slot[2] for slot in made} == {found + 1}
    assert handle.value("1", "exac_drug", event="baseline_arm_1", instance=found + 1) == "aspirin"
    written = site.journal("instance, status")
    assert [entry for entry in written if entry[1] == "confirmed"] == [(str(found + 1), "confirmed")] * 2
    assert site.apply().sent == 0
    assert site.work(last) == [(found + 1,)]
    mine = site.work("SELECT field, reason FROM redcap.record_changes WHERE origin = 'writeback' ORDER BY field")
    assert mine == [("exac_drug", None), ("exac_severity", None), ("exacerbations_complete", "followed from batch b")]
