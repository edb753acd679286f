"""Record ids a server may take for one another: compared as such before, and looked for afterwards."""

import pytest

from pipelines.warehouse.tables.writeback import Cell, Decision, Proposal
from pipelines.writeback.decide.cells import CurrentValues, RowKey
from pipelines.writeback.decide.decide import decide, precheck
from pipelines.writeback.decide.reasons import Reason
from pipelines.writeback.decide.record_ids import alike, look_alikes, taken_for, trimmed
from redcap_source.simulator import Behaviour
from tests.support.writable_study import classic
from tests.support.writeback_site import row
from tests.writeback.decide.test_decide import TODAY

ALIKE = "REDCap may take the record id for another one, which differs only in blanks, letter case or accents"
# Blanks at the ends: a space, a tab, one that does not break, an ideographic one, one without width, a byte order mark.
ENDS = (" ", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", " \u00a0\n")


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_blanks_at_the_ends_make_no_other_record(end):
    for spelled in (end + "A 1", "A 1" + end, end + "A 1" + end):
        assert trimmed(spelled) == "A 1"
        assert alike(spelled) == alike("A 1")
    assert trimmed(end) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [("A1", "a1"), ("é1", "E1"), ("e\u0301", "é"), ("Straße", "STRASSE"), ("A\u00a01", "a 1"), ("\uff11", "1")],
)
def test_letter_case_accents_and_forms_of_a_letter_make_no_other_record(one, other):
    assert alike(one) == alike(other)


@pytest.mark.parametrize(("one", "other"), [("1", "01"), ("a-1", "a1"), ("a 1", "a1"), ("1.0", "1"), ("o", "ö1")])
def test_anything_else_makes_another_record(one, other):
    assert alike(one) != alike(other)


def test_an_id_that_exists_as_it_is_is_taken_for_itself():
    assert taken_for(["9", " 9", "A", "b"], ["9", "a"]) == {" 9": "9", "A": "a"}
    assert look_alikes(["a", "A", "b", "a"]) == {"a", "A"}


def decided(records, *, exist=(), taken=None, new_records=True):
    proposals = [Proposal(n, "b", Cell(record, "", "", "", "plain"), "", "x") for n, record in enumerate(records)]
    sifted, invalid = precheck(classic(), proposals)
    live = CurrentValues({RowKey(r, "", "", ""): {"plain": ""} for r in exist}, frozenset(exist), alike=taken or {})
    return [*decide(classic(), sifted, live, today=TODAY, new_records=new_records), *invalid]


def test_an_id_redcap_may_take_for_an_existing_one_is_invalid_whatever_is_allowed():
    for allowed in (True, False):
        (item,) = decided([" 9"], taken={" 9": "9"}, new_records=allowed)
        assert (item.decision, item.reason) == (Decision.INVALID, Reason.ALIKE)


def test_two_new_ids_redcap_may_take_for_one_another_are_both_invalid():
    assert [item.reason for item in decided(["a1", "A1", "b"])] == [Reason.ALIKE, Reason.ALIKE, None]
    assert [item.reason for item in decided(["77", "77 "])] == [Reason.ALIKE, Reason.ALIKE]
    # One that exists is no new one.
    assert [item.reason for item in decided(["9", "10"], exist=["9"])] == [None, None]


def test_a_new_record_is_made_without_the_blanks_at_the_ends_of_its_id():
    (item,) = decided(["\u00a077 "])
    assert (item.decision, item.warning, item.key.record, item.cell.record) == (
        Decision.WRITE,
        Reason.TRIMMED,
        "77",
        "77",
    )
    (kept,) = decided([" 9"], exist=[" 9"])
    assert (kept.decision, kept.warning, kept.key.record) == (Decision.WRITE, None, " 9")


def test_an_id_of_blanks_names_no_record():
    assert [item.reason for item in decided(list(ENDS))] == [Reason.NO_RECORD] * len(ENDS)


# --- Over HTTP ---


def test_an_id_that_looks_like_another_overwrites_nothing_and_spoils_no_proposal_for_that_one(site, study):
    """Such a record is read twice, under either id and with other columns each time."""
    study.save("9", {"remarks": "HUMAN TYPED THIS"})
    study.save("id-a", {"remarks": "HUMAN TYPED THIS"})
    spelled = [" 9", "9 ", "\u00a09", "ID-A", " 1"]
    site.propose([row("1", "weight", "60.5")], batch="good")
    site.propose([row(record, "remarks", "OVERWRITE") for record in spelled])
    plan = site.plan(new_records=True)
    assert (plan.counts.write, plan.counts.reasons) == (1, {ALIKE: 5})
    outcome = site.apply(new_records=True)
    assert (outcome.sent, outcome.confirmed, outcome.counts.reasons) == (1, 1, {ALIKE: 5})
    assert study.value("9", "remarks") == study.value("id-a", "remarks") == "HUMAN TYPED THIS"
    assert (study.value("1", "weight"), study.value("1", "remarks")) == ("60.5", "remark 1")


# The test below has ids that look alike.
@pytest.mark.fuzz
def test_a_new_id_with_blanks_is_found_where_it_landed_and_can_be_undone(site, study):
    site.propose([row(" 77\u00a0", "weight", "60.5"), row(" 77\u00a0", "town", "Vienna")], author="rw")
    outcome = site.apply(new_records=True)
    assert (outcome.confirmed, outcome.complete, study.value("77", "town")) == (2, True, "Vienna")
    assert {entry[0] for entry in site.journal()} == {"77"}
    assert ("77", "town", None, "Vienna", "writeback", "rw") in site.changes()
    assert site.apply(new_records=True).sent == 0
    assert site.revert().confirmed == 2


def test_what_landed_in_another_record_after_all_is_said_to_have(site, study):
    """Between look and request a person makes the record in other letters; the server takes one for the other."""
    site.simulator.behaviour = Behaviour(ids_ignore_case=True)
    site.propose([row("ID-A", "remarks", "new"), row("1", "remarks", "clean")])

    def step(name):
        if name == "send":
            study.save("id-a", {"town": "Rome"})

    outcome = site.apply(new_records=True, step=step)
    assert (outcome.confirmed, outcome.not_confirmed) == (1, 1)
    assert outcome.messages == {
        "REDCap put it into another record, whose id differs only in blanks, letter case or accents": 1
    }
    assert ("ID-A", "remarks", None, "new", "new", "not confirmed") in site.journal()
    # It is in the warehouse under the id it has.
    assert site.work("SELECT record FROM redcap.records WHERE lower(record) = 'id-a'") == [("id-a",)]
