"""What was proposed under the old names of an event and an instrument goes by the new ones."""

from tests.support.edits import small_study
from tests.support.writeback_site import row


def test_proposals_and_what_was_written_follow_an_event_and_an_instrument_to_their_new_names(site):
    study = site.add("study", small_study("longitudinal"))
    study.save("1", {"note": "as it was", "visit_complete": "1"}, "start_arm_1")
    study.save("1", {"note": "later"}, "later_arm_1")
    site.night()
    site.propose([row("1", name, new, event="start_arm_1") for name, new in (("note", "new"), ("visit_complete", "2"))])
    site.propose([row("1", "note", "new", event="later_arm_1")], batch="later")
    study.rename_event("start_arm_1", "Baseline")
    # Until the load that follows, nothing is written: the record would be brought into the warehouse under the new
    # name, beside what it has under the old one.
    assert "since it was last loaded" in site.plan(batch="later").refusal
    study.rename_instrument("visit", "exam")
    site.load()
    outcome = site.apply(batch="b")
    assert (outcome.confirmed, outcome.complete) == (2, True)
    assert study.value("1", "note", event="baseline_arm_1") == "new"
    cells = [("baseline_arm_1", "exam", "note"), ("baseline_arm_1", "exam", "exam_complete")]
    assert site.journal("event, instrument, field") == cells
    study.rename_event("baseline_arm_1", "First")
    site.load()
    assert site.revert().confirmed == 2
    assert study.value("1", "note", event="first_arm_1") == "as it was"
    assert study.value("1", "exam_complete", event="first_arm_1") == "1"
