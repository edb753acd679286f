"""The statements of the journal, over two batches, records, events and instances: only rows that are meant change."""

from datetime import datetime

import pytest

from pipelines.warehouse.mirror.journal import Journal
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.mirror.proposals import Proposals
from pipelines.warehouse.tables.writeback import (
    CHANGED_AFTER_WRITE,
    Cell,
    CellOutcome,
    Decision,
    DecisionRow,
    JournalEntry,
    Proposal,
    Status,
)

NOW = datetime(2024, 6, 1)
HERE = Cell("1", "e", "exam", "1", "weight")
OTHERS = (
    Cell("2", "e", "exam", "1", "weight"),
    Cell("1", "f", "exam", "1", "weight"),
    Cell("1", "e", "exam", "2", "weight"),
    Cell("1", "e", "exam", "1", "height"),
)
CELLS = (HERE, *OTHERS)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with open_mirror(tmp_path_factory.mktemp("journal") / "study.duckdb", "study") as mirror:
        yield mirror, Journal(mirror.connection, "study"), Proposals(mirror.connection, "study")


@pytest.fixture
def journal(opened):
    """Batch b proposes for each cell (1 to 5), batch c for the same cells once more (6 to 10)."""
    mirror, journal, proposals = opened
    mirror.connection.execute("BEGIN")
    for batch in ("b", "c"):
        of_batch = [Proposal(0, batch, cell, "old", f"new of {batch}", "why", f"author of {batch}") for cell in CELLS]
        proposals.add(of_batch, batch=batch, author="a", source="s", now=NOW)
    yield journal
    mirror.connection.execute("ROLLBACK")


@pytest.fixture
def proposals(opened, journal):
    """The proposals beside the journal."""
    return opened[2]


@pytest.fixture
def ask(opened):
    """A query of the mirror."""
    return lambda query: opened[0].connection.execute(query).fetchall()


def statuses(ask):
    return dict(ask("SELECT proposal, status FROM writeback.proposals"))


def entry(number, cell, run="run", batch="b"):
    return JournalEntry(number, batch, run, 1, cell, "old", "old", f"new of {batch}", "why", f"author of {batch}")


def confirmed(journal, numbers, run="run"):
    for number in numbers:
        batch = "b" if number <= 5 else "c"
        journal.record_intended([entry(number, CELLS[(number - 1) % 5], run, batch)], run, 1, NOW)
        journal.record_outcomes([CellOutcome(number, Status.CONFIRMED, f"new of {batch}")], NOW)


def changed(opened, cell, new, run="load"):
    opened[0].connection.execute(
        "INSERT INTO redcap.record_changes (project, record, event, instrument, instance, field, old_value, new_value, "
        "change, run_id, origin) VALUES ('study', $1, $2, $3, $4, $5, 'old', $6, 'update', $7, 'redcap')",
        [cell.record, cell.event, cell.instrument, cell.instance, cell.field, new, run],
    )


def test_proposing_anew_supersedes_only_what_could_not_be_written_of_the_same_cell(proposals, ask):
    decisions = [Decision.CONFLICT, Decision.INVALID, Decision.WRITE, Decision.ALREADY_THERE, Decision.CONFLICT]
    proposals.save_decisions(
        [DecisionRow(n, d, "x") for n, d in enumerate(decisions, start=1)], "run", NOW, final=False
    )
    for cell in (HERE, OTHERS[0], OTHERS[1], OTHERS[2]):
        proposals.add([Proposal(0, "d", cell, "", "x")], batch="d", author="a", source="s", now=NOW)
    assert {number for number, status in statuses(ask).items() if status == "superseded"} == {1, 2}


def test_applying_ends_what_is_there_or_invalid_and_nothing_else(proposals, ask):
    rulings = [DecisionRow(n, d, "x") for n, d in enumerate(Decision, start=1)]
    proposals.save_decisions(rulings, "run", NOW, final=False)
    assert set(statuses(ask).values()) == {"open"}
    proposals.save_decisions(rulings, "run", NOW, final=True)
    assert {n: status for n, status in statuses(ask).items() if status != "open"} == {2: "already there", 4: "invalid"}
    assert ask("SELECT count(*) FROM writeback.proposals WHERE decided_at IS NOT NULL") == [(4,)]


def test_open_proposals_tell_why_they_were_ruled_out(proposals):
    proposals.save_decisions(
        [DecisionRow(1, Decision.INVALID, "y"), DecisionRow(2, Decision.CONFLICT, "z")], "run", NOW, final=False
    )
    assert [each.ruled_out for each in proposals.open_proposals("b")] == ["y", "", "", "", ""]
    assert len(proposals.open_proposals()) == 10


def test_a_batch_is_marked_by_itself(proposals, ask):
    proposals.mark(["b"], "run", NOW, applied=False)
    proposals.mark(["c"], "run", NOW, applied=True)
    marked = "SELECT batch, planned_at IS NOT NULL, applied_at IS NOT NULL FROM writeback.batches ORDER BY batch"
    assert ask(marked) == [("b", True, False), ("c", False, True)]


def test_only_what_is_intended_is_settled_and_only_what_is_done_with_is_closed(journal, ask):
    journal.record_intended([entry(1, HERE), entry(2, OTHERS[0]), entry(3, OTHERS[1])], "run", 1, NOW)
    journal.record_outcomes(
        [CellOutcome(1, Status.CONFIRMED, "x"), CellOutcome(2, Status.FAILED, "y", closes=False)], NOW
    )
    journal.record_outcomes([CellOutcome(1, Status.FAILED, "z")], NOW)
    found = ask("SELECT proposal, status, after_value FROM writeback.journal ORDER BY proposal")
    assert found == [(1, "confirmed", "x"), (2, "failed", "y"), (3, "intended", None)]
    assert (statuses(ask)[1], statuses(ask)[2], statuses(ask)[3]) == ("confirmed", "open", "open")
    assert [each.proposal for each in journal.intended()] == [3]


def test_the_change_of_the_very_cell_is_told_as_ours(journal, ask, opened):
    confirmed(journal, [1])
    for cell in CELLS:
        changed(opened, cell, "new of b")
    changed(opened, HERE, "new of b", run="another load")
    journal.refresh("load", NOW, ["1"], None)
    found = "SELECT record, event, instance, field, changed_by, reason FROM redcap.record_changes"
    assert ask(f"{found} WHERE origin = 'writeback'") == [("1", "e", "1", "weight", "author of b", "why")]


def test_a_change_to_another_value_is_not_told_as_ours(journal, ask, opened):
    confirmed(journal, [1])
    changed(opened, HERE, "a person's")
    changed(opened, OTHERS[0], "new of b")
    journal.refresh("load", NOW, [], None)
    assert ask("SELECT count(*) FROM redcap.record_changes WHERE origin = 'writeback'") == [(0,)]


def test_only_the_records_that_were_brought_in_are_accounted_for(journal, ask, opened):
    opened[0].connection.execute('CREATE TABLE "study:now"."exam" (_record VARCHAR, _event VARCHAR, _instance VARCHAR, '
                                 "weight VARCHAR, height VARCHAR)")  # fmt: skip
    for cell in CELLS:
        opened[0].connection.execute(
            f'INSERT INTO "study:now"."exam" (_record, _event, _instance, {cell.field}) VALUES ($1, $2, $3, $4)',
            [cell.record, cell.event, cell.instance, "new of b"],
        )
    confirmed(journal, [2, 3], run="first")
    assert journal.refresh("first", NOW, ["2"], None) == frozenset()
    confirmed(journal, [4], run="second")
    journal.record_intended([entry(5, OTHERS[3], "second")], "second", 1, NOW)
    accounted = "SELECT proposal, accounted_run FROM writeback.journal WHERE proposal IS NOT NULL ORDER BY proposal"
    assert ask(accounted) == [(2, "first"), (3, None), (4, None), (5, None)]
    assert journal.records_to_refresh() == ["1"]
    journal.refresh("second", NOW, ["1", "2"], None)
    # What was accounted for stays so; what is still intended is not.
    assert ask(accounted) == [(2, "first"), (3, "second"), (4, "second"), (5, None)]
    assert journal.records_to_refresh() == []


def test_what_somebody_changed_meanwhile_is_found_in_its_own_row(journal, ask, opened):
    opened[0].connection.execute('CREATE TABLE "study:now"."exam" (_record VARCHAR, _event VARCHAR, _instance VARCHAR, '
                                 "weight VARCHAR)")  # fmt: skip
    for cell, held in ((HERE, "a person's"), (OTHERS[0], "new of b"), (OTHERS[1], "new of b"), (OTHERS[2], None)):
        opened[0].connection.execute(
            'INSERT INTO "study:now"."exam" VALUES ($1, $2, $3, $4)', [cell.record, cell.event, cell.instance, held]
        )
    confirmed(journal, [1, 2, 3])
    assert journal.refresh("load", NOW, ["1", "2"], None) == {1}
    found = ask("SELECT proposal, status, after_value, message FROM writeback.journal ORDER BY proposal")
    assert found[0] == (1, "not confirmed", "a person's", CHANGED_AFTER_WRITE)
    assert [row[1] for row in found[1:]] == ["confirmed", "confirmed"]


def test_what_undoes_a_batch_is_what_that_batch_changed(journal, proposals, ask):
    confirmed(journal, [1, 2, 6])
    assert [cell for cell, _, _ in proposals.undoing("b", "revert b")] == [HERE, OTHERS[0]]
    assert proposals.undoing("c", "revert c") == [(HERE, "new of c", "old")]
    proposals.supersede_open("c")
    assert {number for number, status in statuses(ask).items() if status == "superseded"} == {7, 8, 9, 10}


def test_every_batch_is_counted_by_itself(journal, proposals, ask):
    confirmed(journal, [1, 2, 6])
    proposals.save_decisions(
        [DecisionRow(3, Decision.CONFLICT, ""), DecisionRow(4, Decision.INVALID, "")], "run", NOW, final=True
    )
    proposals.count_batches()
    counted = (
        "SELECT batch, proposals, open, confirmed, conflicts, invalid, followed FROM writeback.batches ORDER BY batch"
    )
    assert ask(counted) == [("b", 5, 2, 2, 1, 1, 0), ("c", 5, 4, 1, 0, 0, 0)]
