"""The nightly job in process: assets, metadata, checks, schedule, failures, and what Dagster keeps."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from pipelines.assets import key
from pipelines.config import load_config
from pipelines.definitions import make_definitions
from pipelines.jobs import NIGHTLY

pytestmark = pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")


def metadata_of(result, name):
    """The metadata of the asset's materialization, as plain values."""
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == key(name)]
    return {label: value.value for label, value in event.materialization.metadata.items()}


def test_a_night_materializes_every_asset_and_publishes(house):
    result = house.run()
    assert result.success
    names = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    assert names == {
        "project_info",
        "data_dictionary",
        "events",
        "form_event_mapping",
        "users",
        "records",
        "published",
    }
    assert house.rows("SELECT count(*) FROM study.intake") == [(10,)]
    assert house.rows("SELECT outcome, records_loaded FROM redcap.sync_runs") == [("ok", 10)]


def test_a_materialization_tells_counts_and_columns(house):
    result = house.run()
    records = metadata_of(result, "records")
    assert records["records"] == 10
    assert records["dagster/row_count"] == records["rows_inserted"] > 10
    assert records["bytes"] > 0
    assert "intake" in records["rows_by_instrument"]
    assert metadata_of(result, "data_dictionary")["dagster/row_count"] > 10
    columns = [column.name for column in house_spec(house, "data_dictionary").metadata["dagster/column_schema"].columns]
    assert columns[:3] == ["project", "position", "field_name"]


def house_spec(house, name):
    """The definition-time facts of an asset."""
    return make_definitions(house.config).resolve_assets_def(key(name)).get_asset_spec(key(name))


def test_checks_tell_what_is_whole_and_what_does_not_fit(house):
    result = house.run()
    checks = {e.check_name: (e.passed, e.severity.value) for e in result.get_asset_check_evaluations()}
    assert checks == {
        "every_record_is_there": (True, "ERROR"),
        "keys_are_unique": (True, "ERROR"),
        "values_fit": (False, "WARN"),
    }


def test_running_records_alone_reads_the_structure_first(house):
    job = make_definitions(house.config).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        partition_key="study", instance=house.instance, asset_selection=[key("records"), key("published")]
    )
    assert result.success
    assert house.rows("SELECT count(*) FROM study.intake") == [(10,)]


def test_a_lasting_failure_is_one_message_that_says_what_to_do(house, monkeypatch):
    monkeypatch.setenv("TOKEN_STUDY", "0" * 32)
    result = house.run()
    assert not result.success
    (failure,) = [e.step_failure_data for e in result.all_events if e.is_step_failure]
    assert "refused the token" in failure.user_failure_data.description
    assert "Trying again will not help" in failure.user_failure_data.description


def reconstructed_job():
    """The nightly job as another process would make it."""
    return make_definitions(load_config()).resolve_job_def(NIGHTLY)


def test_a_re_execution_from_failure_repeats_only_what_failed(house, monkeypatch):
    monkeypatch.setenv("REDCAP_WAREHOUSE_CONFIG", str(house.config.path))
    house.simulator.faults.add("php_warning", content="record", nth=3)
    failed = house.run()
    assert not failed.success
    before = len(house.simulator.requests)
    with dg.execute_job(
        dg.reconstructable(reconstructed_job),
        instance=house.instance,
        tags={"dagster/partition": "study"},
        reexecution_options=dg.ReexecutionOptions.from_failure(failed.run_id, house.instance),
    ) as again:
        assert again.success
    asked = {request.content for request in house.simulator.requests[before:]}
    assert asked == {"record"}
    assert house.rows("SELECT outcome, records_loaded FROM redcap.sync_runs") == [("ok", 10)]


def test_every_night_there_is_one_run_a_project(house):
    definitions = make_definitions(house.config)
    schedule = definitions.resolve_schedule_def("nightly")
    assert schedule.cron_schedule == "15 3 * * *"
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    night = dt.datetime(2026, 1, 2, 3, 15, tzinfo=dt.UTC)
    with dg.build_schedule_context(house.instance, night, repository_def=definitions.get_repository_def()) as context:
        tick = schedule.evaluate_tick(context)
    assert [(r.run_key, r.partition_key, r.tags["redcap/server"]) for r in tick.run_requests] == [
        ("2026-01-02T03:15:study", "study", "campus"),
        ("2026-01-02T03:15:other", "other", "campus"),
    ]


def test_no_token_and_no_value_is_in_what_dagster_keeps(house, monkeypatch):
    canary = "Qanarienvogel"
    house.study.save(house.study.records()[0], {"nickname_first_name": canary})
    assert house.run().success
    assert house.rows(f"SELECT count(*) FROM study.intake WHERE nickname_first_name = '{canary}'") == [(1,)]
    token = house.study.token
    house.simulator.faults.add("php_warning", content="record", nth=3)
    assert not house.run().success
    monkeypatch.setenv("TOKEN_STUDY", "F" * 32)
    assert not house.run().success
    found = []
    for path in house.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [path for secret in (token, "F" * 32, canary) if secret.encode() in content]
    assert found == []


def test_what_dagster_keeps_is_for_the_owner_only(house):
    house.run()
    assert house.home.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "projects: {}"])
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
    settings = yaml.safe_load((Path(__file__).parents[2] / "deploy" / name).read_text())
    assert settings["telemetry"] == {"enabled": False}
    limits = settings["concurrency"]["runs"]["tag_concurrency_limits"]
    assert [limit["key"] for limit in limits] == ["redcap/project", "redcap/server"]
