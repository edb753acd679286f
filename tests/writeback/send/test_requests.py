"""Requests: what goes together, and how a refused one is taken apart."""

import math
import random

import pytest

from pipelines.warehouse.tables.writeback import Cell, Decision, Proposal
from pipelines.writeback.decide.cells import PlannedCell, RowKey
from pipelines.writeback.send.bisection import Bisection, rejected_proposals
from pipelines.writeback.send.requests import ImportRequest, import_requests, import_rows, in_batches
from redcap_source.errors import RejectedCell
from tests.support.writable_study import classic, longitudinal


def cell(number, record, field="plain", new="x", event="", repeat="", instance=""):
    proposal = Proposal(number, "b", Cell(record, event, "base", instance, field), "", new)
    return PlannedCell(proposal, RowKey(record, event, repeat, instance), field, Decision.WRITE)


def test_a_row_holds_its_keys_and_only_what_changes():
    cells = [cell(1, "1", "plain", "x"), cell(2, "1", "notes", "y"), cell(3, "2", "checkbox___1", "")]
    assert import_rows(classic(), cells) == [
        {"record_id": "1", "plain": "x", "notes": "y"},
        {"record_id": "2", "checkbox___1": "0"},
    ]
    instance = cell(4, "1", "ae_term", "cough", event="start_arm_1", repeat="ae", instance="3")
    base = cell(5, "1", "plain", "x", event="start_arm_1")
    assert import_rows(longitudinal(), [instance, base]) == [
        {
            "record_id": "1",
            "redcap_event_name": "start_arm_1",
            "redcap_repeat_instrument": "ae",
            "redcap_repeat_instance": "3",
            "ae_term": "cough",
        },
        {
            "record_id": "1",
            "redcap_event_name": "start_arm_1",
            "redcap_repeat_instrument": "",
            "redcap_repeat_instance": "",
            "plain": "x",
        },
    ]


def test_what_erases_goes_by_itself_in_rows_of_the_same_columns():
    cells = [
        cell(1, "1", "plain", "x"),
        cell(2, "1", "notes", ""),
        cell(3, "2", "notes", ""),
        cell(4, "3", "notes", ""),
        cell(5, "3", "radio", ""),
        cell(6, "3", "checkbox___1", ""),
    ]
    requests = import_requests(classic(), cells)
    found = [(request.clears, [c.proposal.number for c in request.cells]) for request in requests]
    assert found == [(False, [1, 6]), (True, [2, 3]), (True, [4, 5])]
    for request in requests[1:]:
        assert len({tuple(sorted(row)) for row in import_rows(classic(), request.cells)}) == 1


def test_batches_hold_whole_records_and_no_more_than_a_request_may():
    cells = [cell(n, str(n // 3), f"f{n % 3}", "x" * 10) for n in range(300)]
    random.Random(1).shuffle(cells)
    batches = list(in_batches(cells, cells=10))
    assert sorted(c.proposal.number for batch in batches for c in batch) == list(range(300))
    assert max(map(len, batches)) <= 10
    where = [{c.key.record for c in batch} for batch in batches]
    assert sum(map(len, where)) == 100
    heavy = [cell(n, str(n), new="é" * 1000) for n in range(50)]
    assert {len(batch) for batch in in_batches(heavy, size=5000)} == {2}
    assert [len(batch) for batch in in_batches([cell(1, "1", new="x" * 9999)], size=100)] == [1]


# --- Bisection ---


def play(cells, bad, *, named):
    """How many requests it takes, and what came through, when `bad` proposals are refused."""
    bisection, requests, stored = Bisection(cells), 0, set()
    while sent := bisection.next():
        requests += 1
        assert requests < 5000
        wrong = [c for c in sent if c.proposal.number in bad]
        if not wrong:
            bisection.record_accepted()
            stored |= {c.proposal.number for c in sent}
            continue
        lines = [RejectedCell(c.key.record, c.column, c.proposal.new, "no good") for c in wrong] if named else []
        bisection.record_rejected(lines, "no good")
        if bisection.exhausted:
            bisection.give_up()
    return requests, stored, bisection.rejected


@pytest.mark.parametrize("per_record", [1, 5, 5000])
@pytest.mark.parametrize("where", [0, 1, 2499, 2500, 4998, 4999])
@pytest.mark.parametrize("named", [True, False])
def test_one_bad_cell_of_5000_costs_about_log2_requests(per_record, where, named):
    cells = [cell(n, str(n // per_record), f"f{n % per_record}") for n in range(5000)]
    requests, stored, rejected = play(cells, {where}, named=named)
    assert (stored, set(rejected)) == (set(range(5000)) - {where}, {where})
    extra = requests - 1
    assert extra <= (1 if named else math.ceil(math.log2(5000)) + 3)


@pytest.mark.parametrize("named", [True, False])
def test_whatever_is_bad_everything_else_goes_through_once(named):
    chance = random.Random(7)
    for _ in range(200):
        count = chance.randrange(1, 60)
        cells = [cell(n, str(n // 3), f"f{n % 3}") for n in range(count)]
        bad = {n for n in range(count) if chance.random() < chance.choice([0, 0.05, 0.3])}
        _, stored, rejected = play(cells, bad, named=named)
        assert stored == set(range(count)) - bad
        assert set(rejected) == bad


def test_a_server_that_refuses_everything_is_not_asked_forever():
    cells = [cell(n, str(n)) for n in range(5000)]
    requests, stored, _ = play(cells, set(range(5000)), named=False)
    assert not stored
    assert requests <= 41


def names(cells, *line):
    return sorted(rejected_proposals(cells, [RejectedCell(*line)]))


def test_a_rejection_is_read_with_and_without_the_event_and_by_the_value():
    cells = [
        cell(1, "1", "plain", "x", event="start_arm_1"),
        cell(2, "1", "plain", "y", event="later_arm_1"),
        cell(3, "1", "notes", "y", event="later_arm_1"),
        cell(4, "11", "plain", "x", event="later_arm_1"),
    ]
    assert names(cells, "1", "plain", "y", "no good") == [2]
    assert names(cells, "1 (start_arm_1)", "plain", "x", "no good") == [1]
    assert names(cells, "1", "plain", "stored otherwise", "no good") == [1, 2]
    assert names(cells, "2", "plain", "x", "no good") == []
    assert names(cells, "1", "unknown", "x", "no good") == []


def test_a_lock_holds_for_the_whole_form_or_record():
    cells = [cell(1, "1", "plain"), cell(2, "1", "notes"), cell(3, "1", "visit_note"), cell(4, "2", "plain")]
    visit = PlannedCell(
        Proposal(3, "b", Cell("1", "", "visit", "", "visit_note"), "", "x"),
        RowKey("1", "", "", ""),
        "visit_note",
        Decision.WRITE,
    )
    cells[2] = visit
    form = "This field is located on a form that is locked. You must first unlock this form for this record."
    record = "This record has been locked at the record level. No value within this record can be modified."
    assert names(cells, "1", "plain", "x", form) == [1, 2]
    assert names(cells, "1", "base_complete", "", record) == [1, 2, 3]


def test_values_stay_out_of_every_repr():
    request = ImportRequest((cell(1, "canary-record", new="canary-value"),), clears=False)
    assert "canary" not in f"{request} {request.cells[0]}"
