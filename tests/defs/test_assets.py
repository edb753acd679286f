"""The nightly job in process: assets, metadata, checks, schedule, and what Dagster keeps."""

import datetime as dt
import subprocess
import sys

import dagster as dg
import pytest
import yaml

from pipelines.definitions import make_definitions
from pipelines.defs.asset_specs import key
from pipelines.defs.structure import STRUCTURE
from pipelines.sync.fetch import fetch
from pipelines.sync.load import load_project
from redcap_source.simulator import make_study
from tests.support.dagster_house import failures
from tests.support.root import ROOT
from tests.support.stray_values import put_stray_value

pytestmark = pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")


def metadata_of(result, name):
    """The metadata of the asset's materialization, as plain values."""
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == key(name)]
    return {label: value.value for label, value in event.materialization.metadata.items()}


def specs_of(house):
    """The definition-time facts of all assets."""
    return {spec.key.path[-1]: spec for spec in make_definitions(house.config).resolve_all_asset_specs()}


def test_a_night_materializes_every_asset_and_publishes(night):
    assert night.result.success
    names = {event.asset_key.path[-1] for event in night.result.get_asset_materialization_events()}
    assert names == {*STRUCTURE, "records", "record_changes", "published"}
    assert night.house.rows("SELECT count(*) FROM study.intake") == [(10,)]
    assert night.house.rows("SELECT outcome, records_loaded FROM redcap.sync_runs") == [("ok", 10)]


def test_a_materialization_tells_counts(night):
    records, published = metadata_of(night.result, "records"), metadata_of(night.result, "published")
    assert records["records"] == records["records_loaded"] == 10
    assert records["dagster/partition_row_count"] == records["rows_inserted"] > 10
    assert "| intake | 10 |" in records["rows_by_instrument"].splitlines()
    assert metadata_of(night.result, "data_dictionary")["dagster/partition_row_count"] > 10
    assert published["dagster/partition_row_count"] == records["dagster/partition_row_count"]
    assert published["dagster/uri"] == str(night.house.folder.database)
    assert night.house.folder.database.stat().st_mode & 0o777 == 0o640


def test_every_request_of_the_run_is_counted(night):
    records = metadata_of(night.result, "records")
    assert records["requests"] == len(night.house.simulator.requests)
    assert night.house.rows("SELECT requests, bytes FROM redcap.sync_runs") == [(records["requests"], records["bytes"])]


def test_checks_tell_what_is_whole_and_what_does_not_fit(night):
    checks = {e.check_name: e for e in night.result.get_asset_check_evaluations()}
    told = {name: (e.passed, e.severity.value, e.partition) for name, e in checks.items()}
    assert told == {
        "keys_are_unique": (True, "ERROR", "study"),
        "values_fit": (False, "WARN", "study"),
        "new_ids_are_explained": (True, "WARN", "study"),
        "every_record_is_there": (True, "ERROR", "study"),
        "published_rows_match_the_mirror": (True, "ERROR", "study"),
    }
    proven = checks["published_rows_match_the_mirror"]
    assert proven.metadata["all_rows_compared"].value is True
    assert proven.metadata["rows_counted"].value == metadata_of(night.result, "records")["dagster/partition_row_count"]
    assert proven.description.endswith("were compared with the mirror, value by value.")
    assert checks["every_record_is_there"].description == "REDCap lists 10 records, the warehouse holds 10."


def test_nothing_of_the_participants_stays_behind_and_dagster_s_files_are_the_owner_s(night):
    assert night.house.staged() == []
    assert night.house.home.stat().st_mode & 0o077 == 0


def test_every_asset_is_described_owned_and_of_a_kind(night):
    specs = specs_of(night.house)
    assert set(specs) == {*STRUCTURE, "records", "record_changes", "published", "writeback"}
    for spec in specs.values():
        assert spec.description
        assert list(spec.owners) == ["team:data-management"]
        assert "duckdb" in spec.kinds


def test_structure_assets_show_their_tables_columns(night):
    spec = specs_of(night.house)["data_dictionary"]
    assert spec.metadata["dagster/table_name"] == "redcap.data_dictionary"
    columns = [column.name for column in spec.metadata["dagster/column_schema"].columns]
    assert columns[:3] == ["project", "position", "field_name"]


# The job that publishes for a night says the same (test_publish_job.py).
@pytest.mark.fuzz
def test_a_record_that_cannot_be_had_is_published_without_and_fails_the_run(house):
    # The study's two records together are too much for the server, and then one of them alone, which is tried thrice.
    house.simulator.faults.add("memory", content="record", nth=4, times=4)
    result = house.run("other")
    assert not result.success
    assert house.rows("SELECT outcome, records_quarantined FROM redcap.sync_runs") == [("incomplete", 1)]
    assert house.rows("SELECT count(*) FROM other.enrolment") == [(1,)]
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "every_record_is_there"]
    assert check.description == "REDCap lists 2 records, the warehouse holds 1; 1 is quarantined."


# What loads search for is in tests/extract/test_undesignated.py.
@pytest.mark.fuzz
def test_what_several_batches_fetch_is_searched_for_before_and_every_request_is_counted(house, monkeypatch):
    monkeypatch.setattr("pipelines.defs.records.RECORDS_IN_BATCH", 5)
    # Cells cost so much that instruments are asked for apart.
    monkeypatch.setattr("pipelines.extract.speed.schedule.OWN_SECONDS_A_CELL", 1e-3)
    handle = house.simulator.add_project(make_study("longitudinal", records=12, seed=3), name="visits")
    monkeypatch.setenv("TOKEN_OTHER", handle.token)
    stray = put_stray_value(handle.project, handle.records()[7])
    before = len(house.simulator.requests)
    result = house.run("other")
    assert result.success
    assert metadata_of(result, "records")["requests"] == len(house.simulator.requests) - before
    assert sum(".fetch[" in event.step_key for event in result.get_step_success_events()) == 3
    assert (handle.records()[7], stray) in house.rows("SELECT record, value FROM redcap.invalid_values")


# tests/end_to_end/test_stories.py has what is counted here.
@pytest.mark.fuzz
def test_ids_that_were_exchanged_are_warned_of_by_their_number(house):
    load_project(house.config, house.config.project("other"))
    other = house.simulator.projects["other"]
    one, two = other.records()
    for old, new in ((one, "between"), (two, one), ("between", two)):
        other.rename(old, new)
    result = house.run("other")
    assert result.success
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "new_ids_are_explained"]
    assert (check.passed, check.severity.value) == (False, "WARN")
    assert check.metadata["new_ids_unexplained"].value == 2
    assert check.description.startswith("REDCap's log shows 2 new record ids")


def test_every_night_there_is_one_run_a_project(night):
    definitions = make_definitions(night.house.config)
    schedule = definitions.resolve_schedule_def("nightly")
    assert schedule.cron_schedule == "15 3 * * *"
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    due = dt.datetime(2026, 1, 2, 3, 15, tzinfo=dt.UTC)
    with dg.build_schedule_context(
        night.house.instance, due, repository_def=definitions.get_repository_def()
    ) as context:
        tick = schedule.evaluate_tick(context)
    assert [(r.run_key, r.partition_key, r.tags["redcap/server"]) for r in tick.run_requests] == [
        ("2026-01-02T03:15:study", "study", "campus"),
        ("2026-01-02T03:15:other", "other", "campus"),
    ]


# -- failures, and what is kept of them ----------------------------------------------------------------------


def test_a_lasting_failure_is_one_message_that_says_what_to_do(house, monkeypatch):
    monkeypatch.setenv("TOKEN_STUDY", "0" * 32)
    (told,) = failures(house.run())
    assert "rejected the token" in told
    assert "A retry will not help" in told


def test_no_token_and_no_value_is_in_what_dagster_keeps(second_night, monkeypatch):
    house = second_night
    canary = "Qanarienvogel"
    house.study.save(house.study.records()[0], {"nickname_first_name": canary})
    assert house.run().success
    assert house.rows(f"SELECT count(*) FROM study.intake WHERE nickname_first_name = '{canary}'") == [(1,)]
    house.simulator.faults.add("php_warning", content="record", nth=4)
    assert not house.run().success
    monkeypatch.setenv("TOKEN_STUDY", "F" * 32)
    assert not house.run().success
    assert [house.keeping(secret) for secret in (house.study.token, "F" * 32, canary)] == [[], [], []]


def test_of_an_unforeseen_error_only_the_kind_and_the_place_are_kept(house, monkeypatch):
    def stumble(*_, **__):
        raise ValueError("could not convert 'Qanarienvogel' to a date")

    # No input is known to make the load stumble, so it is made to.
    monkeypatch.setattr("pipelines.defs.records.apply_fetched", stumble)
    (told,) = failures(house.run())
    assert "ValueError at pipelines/defs/records.py" in told
    assert house.keeping("Qanarienvogel") == []


def test_a_run_that_is_terminated_is_in_the_ledger(house, monkeypatch):
    def terminated(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.defs.records.fetch_parts", terminated)
    assert failures(house.run()) == ["Interrupted. The published data is unchanged."]
    assert house.ledger() == [("full", "interrupted")]


def test_batches_that_a_repeated_run_leaves_out_are_fetched_all_the_same(house, monkeypatch):
    monkeypatch.setattr("pipelines.defs.records.RECORDS_IN_BATCH", 2)

    def crashes(*words, prefix, **more):
        if prefix > "batch000":
            raise KeyboardInterrupt
        return fetch(*words, prefix=prefix, **more)

    monkeypatch.setattr("pipelines.defs.records.fetch_parts", crashes)
    ended = house.run()
    assert not ended.success
    monkeypatch.setattr("pipelines.defs.records.fetch_parts", fetch)
    # When a run's process dies, Dagster repeats the step that had begun, and no batch that had not.
    with house.re_execute(ended, steps=["redcap__records.fetch[001]", "redcap__records.apply*"]) as again:
        assert again.success
        steps = [event.step_key for event in again.filter_events(lambda event: event.is_step_success)]
        assert [step for step in steps if ".fetch[" in step] == ["redcap__records.fetch[001]"]
    assert house.ledger()[-1] == ("full", "ok")
    assert house.rows("SELECT count(*) FROM study.intake") == [(10,)]


# -- the location --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["projects: {}", pytest.param("", marks=pytest.mark.fuzz)])
def test_without_a_usable_projects_yaml_the_location_says_why(tmp_path, text):
    if text:
        (tmp_path / "projects.yaml").write_text(text)
    script = "from pipelines.definitions import definitions; definitions()"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert result.returncode != 0
    assert "projects.yaml" in result.stderr


@pytest.mark.parametrize("name", ["dagster.yaml", "dagster-postgres.yaml"])
def test_the_example_instances_are_yaml_with_limits(name):
    settings = yaml.safe_load((ROOT / "deploy" / name).read_text())
    assert settings["telemetry"] == {"enabled": False}
    limits = settings["concurrency"]["runs"]["tag_concurrency_limits"]
    assert [limit["key"] for limit in limits] == ["dagster/partition", "redcap/server"]
