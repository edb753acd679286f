"""Runs that are picked apart, repeated, or cross each other: readers see whole nights, and the newest."""

import shutil

import pytest

from pipelines.defs.structure import STRUCTURE
from pipelines.warehouse.published import quality as audit
from tests.support.dagster_house import failures

pytestmark = pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")


def test_records_alone_read_the_structure_first(house):
    assert house.materialize("records", "published").success
    assert house.rows("SELECT count(*) FROM study.intake") == [(10,)]


def test_structure_alone_leaves_no_record_ids_and_is_not_published(house):
    assert house.materialize(*STRUCTURE).success
    assert house.staged() == []
    assert house.ledger() == [("full", "structure only")]
    assert "structure only" in failures(house.materialize("published"))[0]


def test_structure_that_the_log_proves_unchanged_is_materialized_and_says_so(house):
    for told in ("All of it was read", "was not read again"):
        events = house.materialize(*STRUCTURE).get_asset_materialization_events()
        assert len(events) == len(STRUCTURE)
        for event in events:
            assert told in event.materialization.metadata["structure"].text
    fields = len(house.study.project.dictionary.fields)
    (dictionary,) = (event for event in events if event.asset_key.path[-1] == "data_dictionary")
    assert dictionary.materialization.metadata["dagster/partition_row_count"].value == fields


def test_what_was_never_loaded_is_not_published(house):
    (told,) = failures(house.materialize("published"))
    assert "never loaded" in told
    assert not house.folder.database.exists()


# The next test does a part of a run again.
@pytest.mark.fuzz
def test_a_re_execution_from_failure_repeats_only_what_failed(house):
    house.simulator.faults.add("php_warning", content="record", nth=4)
    failed = house.run()
    assert not failed.success
    before = len(house.simulator.requests)
    with house.re_execute(failed) as again:
        assert again.success
    assert {request.content for request in house.simulator.requests[before:]} == {"record"}
    assert house.rows("SELECT outcome, records_loaded FROM redcap.sync_runs") == [("ok", 10)]
    assert house.staged() == []


def test_an_apply_that_failed_near_its_end_can_be_done_again(house, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.defs.records.finish", lambda *_, **__: (_ for _ in ()).throw(OSError))
        failed = house.run()
    assert not failed.success
    before = len(house.simulator.requests)
    with house.re_execute(failed) as again:
        assert again.success
    assert len(house.simulator.requests) == before
    # The record that shows the columns, and the others.
    assert house.rows("SELECT outcome, records_loaded, chunks FROM redcap.sync_runs") == [("ok", 10, 2)]
    assert house.rows("SELECT count(*) FROM redcap.sync_chunks") == [(2,)]
    assert house.rows("SELECT count(*) FROM study.intake") == [(10,)]


def test_a_whole_run_done_again_brings_what_is_new(second_night):
    house = second_night
    house.study.save(house.study.records()[0], {"nickname_first_name": "Zed"})
    with house.re_execute(house.first_run, from_failure=False) as again:
        assert again.success
    assert house.rows("SELECT count(*) FROM study.intake WHERE nickname_first_name = 'Zed'") == [(1,)]
    assert house.rows("SELECT new_value FROM redcap.record_changes WHERE change = 'update'") == [("Zed",)]
    assert house.rows("SELECT outcome FROM redcap.sync_runs") == [("ok",), ("ok",)]


def test_a_failed_run_cannot_be_gone_on_with_after_a_newer_one_here_or_on_another_machine(house, tmp_path):
    house.simulator.faults.add("php_warning", content="record", nth=4)
    failed = house.run()
    staged, first = house.folder.work / "staging" / "study", house.study.records()[0]
    shutil.copytree(staged, tmp_path / "kept")
    house.simulator.faults.clear()
    house.study.save(first, {"nickname_first_name": "Zed"})
    assert house.run().success
    assert house.staged() == []
    ledger = house.ledger()
    assert [outcome for _, outcome in ledger] == ["failed", "ok"]
    for elsewhere in (False, True):
        if elsewhere:
            # A load on another machine brings the mirror further, and removes no file of this one.
            shutil.rmtree(staged, ignore_errors=True)
            shutil.copytree(tmp_path / "kept", staged)
        with house.re_execute(failed) as again:
            assert "newer load" in failures(again)[0]
        assert house.ledger() == ledger
        assert house.rows("SELECT count(*) FROM study.intake WHERE nickname_first_name = 'Zed'") == [(1,)]


def test_a_run_that_another_version_began_is_not_continued(house):
    house.simulator.faults.add("php_warning", content="record", nth=4)
    failed = house.run()
    house.simulator.faults.clear()
    [plan] = (house.folder.work / "staging").rglob("plan.json")
    plan.write_text(plan.read_text().replace('"tasks"', '"chores"'))
    with house.re_execute(failed) as again:
        assert "written by another version" in failures(again)[0]
    assert house.run().success
    assert house.rows("SELECT count(*) FROM study.intake") == [(10,)]


def test_what_its_checks_stopped_no_other_project_publishes(house, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(audit, "duplicate_keys", lambda *_: {"intake": 1})
        stopped = house.run()
    assert not stopped.success
    [check] = [check for check in stopped.get_asset_check_evaluations() if check.check_name == "keys_are_unique"]
    assert {name: entry.value for name, entry in check.metadata.items()} == {"double_keys": 1, "instruments": "intake"}
    assert house.run("other").success
    assert house.rows("SELECT DISTINCT project FROM redcap.sync_runs") == [("other",)]


def test_a_load_that_died_over_an_unpublished_one_is_not_taken_along(second_night, monkeypatch):
    house = second_night
    house.folder.mark_loaded("study", "an earlier run that was not published")
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.defs.records.finish", lambda *_, **__: (_ for _ in ()).throw(OSError))
        house.run()
    assert house.run("other").success
    assert house.rows("SELECT count(*) FROM redcap.sync_runs WHERE project = 'study'") == [(1,)]


def test_many_deletions_are_accepted_in_the_launchpad_only(second_night):
    house = second_night
    for record in house.study.records()[2:]:
        house.study.delete(record)
    for allowed, left in ((False, 10), (True, 2)):
        switch = {"config": {"allow_deletions": allowed}}
        result = house.run(run_config={"ops": {"structure": switch, "redcap__records": switch}})
        assert result.success == allowed
        assert house.rows("SELECT count(*) FROM study.intake") == [(left,)]
