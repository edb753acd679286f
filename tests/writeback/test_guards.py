"""What a write-back refuses before anything is sent, without files, threads or a server."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from pipelines.warehouse.mirror.runs import LastLoad
from pipelines.warehouse.tables.writeback import Cell, Decision, Proposal
from pipelines.writeback import WritebackOptions, WritebackRefused
from pipelines.writeback.decide.cells import PlannedCell, RowKey
from pipelines.writeback.guards import FEW_RECORDS, check_binding, check_load, plan_refusal

NOW = datetime(2024, 6, 1, 12)


@dataclass
class Settings:
    max_age: timedelta = timedelta(hours=36)
    max_cells: int = 100
    max_record_share: float = 0.1


def project(number=None, **settings):
    return SimpleNamespace(name="study", project_id=number, writeback=Settings(**settings))


def planned(records, decision=Decision.WRITE):
    return [
        PlannedCell(
            Proposal(n, "b", Cell(str(n), "", "exam", "", "x"), "", "1"), RowKey(str(n), "", "", ""), "x", decision
        )
        for n in range(records)
    ]


def refusal(cells, total=1000, in_step=True, options=None, **settings):
    rules = SimpleNamespace(in_step=in_step)
    return plan_refusal(project(**settings), options or WritebackOptions(), rules, cells, lambda: total)


@pytest.mark.parametrize(
    ("last", "problem"),
    [
        (None, "has never been loaded"),
        (LastLoad("r", "ok", None), "has never been loaded"),
        (LastLoad("r", "failed", NOW), r"did not end well \(failed\)"),
        (LastLoad("r", "ok", NOW - timedelta(hours=37)), "37 hours old, and projects.yaml allows 36"),
    ],
)
def test_an_absent_failed_or_old_load_is_refused(last, problem):
    with pytest.raises(WritebackRefused, match=problem) as refused:
        check_load(project(), last, NOW)
    assert "Nothing was sent to REDCap." in str(refused.value)


@pytest.mark.parametrize("outcome", ["ok", "incomplete"])
def test_a_recent_load_is_enough(outcome):
    check_load(project(), LastLoad("r", outcome, NOW - timedelta(hours=36)), NOW)


def test_a_token_of_another_project_is_refused():
    for configured, loaded, found in ((1, None, 2), (None, 1, 2), (2, 1, 2)):
        with pytest.raises(WritebackRefused, match="belongs to REDCap project 2, not to 1"):
            check_binding(project(configured), loaded, found)
    for configured, loaded, found in ((2, 2, 2), (None, None, 2), (1, 1, None)):
        check_binding(project(configured), loaded, found)


def test_a_plan_that_writes_nothing_is_never_refused():
    assert refusal(planned(200, Decision.CONFLICT), in_step=False, max_cells=0) is None


def test_tables_out_of_step_refuse_a_plan():
    assert "changed since it was last loaded" in str(refusal(planned(1), in_step=False))


def test_the_option_replaces_the_configured_number_of_cells():
    assert "101 cells would be written, more than the 100" in str(refusal(planned(101)))
    assert refusal(planned(101), total=10_000, options=WritebackOptions(max_cells=101)) is None
    assert "more than the 0" in str(refusal(planned(1), options=WritebackOptions(max_cells=0)))


def test_a_large_share_of_records_is_refused_unless_they_are_few():
    assert refusal(planned(FEW_RECORDS), total=FEW_RECORDS) is None
    assert refusal(planned(6), total=60) is None
    assert "6 of 59 records would be written, more than the 10%" in str(refusal(planned(6), total=59))
