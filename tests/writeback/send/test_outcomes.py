"""What happened to each cell that was sent, from what REDCap holds afterwards; and how it is counted."""

import pytest

from pipelines.warehouse.tables.writeback import CHANGED_AFTER_WRITE, Cell, CellOutcome, Decision, Proposal, Status
from pipelines.writeback.decide.cells import CurrentValues, PlannedCell, RowKey
from pipelines.writeback.send.outcomes import (
    CHANGED_BEFORE,
    LANDED_ELSEWHERE,
    NEVER_ARRIVED,
    NO_SUCH_FIELD,
    OTHER_VALUE,
    UNREADABLE,
    SendResult,
    as_not_sent,
    earlier_outcome,
    earlier_outcomes,
    is_untouched,
    journal_entry,
    outcome_of,
    planned_cell_of,
)
from pipelines.writeback.send.tally import Tally
from tests.support.writable_study import classic

BOOK = classic()
KEY = RowKey("1", "", "", "")


def cell(new="new", before="old", number=1):
    proposal = Proposal(number, "b", Cell("1", "", "base", "", "plain"), before, new, "why", "rw")
    return PlannedCell(proposal, KEY, "plain", Decision.WRITE, current=before)


def current(held, **more):
    return CurrentValues(rows={KEY: {"plain": held}}, records=frozenset({"1"}), **more)


@pytest.mark.parametrize(
    ("held", "result", "status", "message"),
    [
        ("new", SendResult(sent={1}), Status.CONFIRMED, ""),
        ("old", SendResult(sent={1}), Status.NOT_CONFIRMED, NEVER_ARRIVED),
        ("other", SendResult(sent={1}), Status.NOT_CONFIRMED, OTHER_VALUE),
        ("old", SendResult(rejected={1: "no good"}), Status.FAILED, "no good"),
        ("other", SendResult(changed={1}), Status.FAILED, CHANGED_BEFORE),
        # It was sent, and changed before it was sent again.
        ("other", SendResult(changed={1}, sent={1}), Status.NOT_CONFIRMED, OTHER_VALUE),
    ],
)
def test_a_cell_is_confirmed_only_if_redcap_holds_what_was_sent(held, result, status, message):
    outcome = outcome_of(BOOK, cell(), current(held), result, lost=False)
    assert (outcome.status, outcome.message, outcome.after) == (status, message, held)
    assert outcome.closes is (message != CHANGED_BEFORE)


def test_a_cell_whose_answer_was_lost_stays_intended_unless_redcap_holds_another_value():
    sent = SendResult(sent={1})
    assert outcome_of(BOOK, cell(), current("old"), sent, lost=True) is None
    assert outcome_of(BOOK, cell(), current("new"), sent, lost=True).status is Status.CONFIRMED
    assert outcome_of(BOOK, cell(), current("x"), sent, lost=True).message == OTHER_VALUE
    hidden = current("", refused=frozenset({"1"}))
    assert outcome_of(BOOK, cell(), hidden, sent, lost=True) is None
    assert outcome_of(BOOK, cell(), hidden, sent, lost=False).message == UNREADABLE


def test_a_value_in_another_record_is_not_confirmed():
    found = CurrentValues(
        rows={RowKey("01", "", "", ""): {"plain": "new"}}, records=frozenset({"01"}), alike={"1": "01"}
    )
    outcome = outcome_of(BOOK, cell(), found, SendResult(sent={1}), lost=False)
    assert (outcome.status, outcome.message) == (Status.NOT_CONFIRMED, LANDED_ELSEWHERE)


def test_only_what_never_arrived_is_open_again_after_a_refusal_of_the_request():
    never = as_not_sent(CellOutcome(1, Status.NOT_CONFIRMED, "old", NEVER_ARRIVED), "not sent: x")
    assert (never.status, never.message, never.closes) == (Status.FAILED, "not sent: x", False)
    confirmed = CellOutcome(1, Status.CONFIRMED, "new")
    assert as_not_sent(confirmed, "not sent: x") is confirmed


def test_cells_of_a_killed_run_are_settled_by_reading():
    assert earlier_outcome(BOOK, cell(), current("new")).status is Status.CONFIRMED
    never = earlier_outcome(BOOK, cell(), current("old"))
    assert (never.status, never.message, never.closes) == (Status.FAILED, NEVER_ARRIVED, False)
    assert earlier_outcome(BOOK, cell(), current("x")).message == OTHER_VALUE
    assert earlier_outcome(BOOK, cell(), current("", refused=frozenset({"1"}))).message == UNREADABLE


def test_an_entry_of_the_journal_is_the_cell_that_was_sent():
    entry = journal_entry(BOOK, cell(), "run", 3)
    assert (entry.request, entry.before, entry.new, entry.author) == (3, "old", "new", "rw")
    again = planned_cell_of(BOOK, entry)
    assert (again.key, again.column, again.current, again.proposal.new) == (KEY, "plain", "old", "new")


def test_an_entry_of_a_field_that_is_gone_is_not_confirmed():
    gone = journal_entry(BOOK, cell(), "run", 1)
    gone = type(gone)(2, "b", "run", 1, Cell("1", "", "base", "", "gone"), "", "", "x")
    (outcome,) = earlier_outcomes(BOOK, [gone], [], current("old"))
    assert (outcome.number, outcome.status, outcome.message) == (2, Status.NOT_CONFIRMED, NO_SUCH_FIELD)


def test_a_touched_cell_is_one_that_holds_neither_value_or_the_new_one():
    assert is_untouched(BOOK, cell(), current("old"))
    assert not is_untouched(BOOK, cell(), current("new"))
    assert not is_untouched(BOOK, cell(), current("other"))


def test_a_tally_counts_closed_cells_and_quotes_no_value():
    tally = Tally()
    tally.add(
        [
            CellOutcome(1, Status.CONFIRMED, "canary-new"),
            CellOutcome(2, Status.FAILED, "", "canary-new is not valid"),
            CellOutcome(3, Status.FAILED, "", NEVER_ARRIVED, closes=False),
        ],
        [cell("canary-new", number=number) for number in (1, 2, 3)],
    )
    assert (tally.count(Status.CONFIRMED), tally.count(Status.FAILED)) == (1, 1)
    assert tally.messages == {"… is not valid": 1}
    tally.add_changed_after_write(1)
    assert (tally.count(Status.CONFIRMED), tally.count(Status.NOT_CONFIRMED)) == (0, 1)
    assert tally.messages[CHANGED_AFTER_WRITE] == 1
