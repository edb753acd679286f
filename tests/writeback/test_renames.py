"""What was proposed under the old names of an event and an instrument goes by the new ones."""

from tests.support.edits import small_study
from tests.support.writeback_site import row


def test_proposals_and_what_was_written_follow_an_event_and_an_instrument_to_their_new_names(site):
    study = site.add("study", small_study("longitudinal"))
    study.save("1", {"note": "as it was", "visit_complete": "1"}, "start_arm_1")
    site.night()
    site.propose([row("1", name, new, event="start_arm_1") for name, new in (("note", "new"), ("visit_complete", "2"))])
    study.rename_event("start_arm_1", "Baseline")
    study.rename_instrument("visit", "exam")
    site.night()
    outcome = site.apply()
    assert (outcome.confirmed, outcome.complete) == (2, True)
    assert study.value("1", "note", event="baseline_arm_1") == "new"
    cells = [("baseline_arm_1", "exam", "note"), ("baseline_arm_1", "exam", "exam_complete")]
    assert site.journal("event, instrument, field") == cells
    study.rename_event("baseline_arm_1", "First")
    site.night()
    assert site.revert().confirmed == 2
    assert study.value("1", "note", event="first_arm_1") == "as it was"
    assert study.value("1", "exam_complete", event="first_arm_1") == "1"


def test_nothing_is_written_between_a_rename_and_the_load_that_follows_it(site):
    """The record would be brought into the warehouse under the new name, beside what it has under the old one."""
    study = site.add("study", small_study("longitudinal"))
    study.save("1", {"note": "as it was"}, "start_arm_1")
    study.save("1", {"note": "later"}, "later_arm_1")
    site.night()
    site.propose([row("1", "note", "new", event="later_arm_1")])
    study.rename_event("start_arm_1", "Baseline")
    assert "since it was last loaded" in str(site.plan().refusal)
