"""The instance files that are shipped: Dagster itself loads each, they say the same, and no job splits a run."""

from __future__ import annotations

import os
import re
import runpy
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import yaml

from pipelines.definitions import make_definitions
from tests.support.postgres import running_postgres
from tests.support.root import ROOT

DEPLOY = ROOT / "deploy"
BROKER = {"DAGSTER_CELERY_BROKER": "redis://:secret@127.0.0.1:1/0", "DAGSTER_CELERY_BACKEND": "redis://127.0.0.1:1/1"}
# What only runs on several machines need.
OF_SEVERAL_MACHINES = {"start_timeout_seconds": 3600, "max_resume_run_attempts": 0}
# The keys that Dagster's chart documents (its values.schema.json forbids others in most places), as far as they are
# used; a value of None ends the comparison, because there Kubernetes' own terms begin.
CHART: dict[str, Any] = {
    "dagster-user-deployments": {
        "enabled": None,
        "deployments": {
            "name": None,
            "image": {"repository": None, "tag": None, "pullPolicy": None},
            "dagsterApiGrpcArgs": None,
            "port": None,
            "env": None,
            "envSecrets": None,
            "includeConfigInLaunchedRuns": {"enabled": None},
            "volumes": None,
            "volumeMounts": None,
        },
    },
    "runLauncher": {
        "type": None,
        "config": {"k8sRunLauncher": {"runK8sConfig": {"containerConfig": None, "jobSpecConfig": None}}},
    },
    "concurrency": {
        "enabled": None,
        "pools": {"defaultLimit": None, "granularity": None},
        "runs": {"maxConcurrentRuns": None, "tagConcurrencyLimits": {"key": None, "limit": None, "value": None}},
    },
    "dagsterDaemon": {
        "runMonitoring": {
            "enabled": None,
            "startTimeoutSeconds": None,
            "maxResumeRunAttempts": None,
            "pollIntervalSeconds": None,
            "freeSlotsAfterRunEndSeconds": None,
        },
        "runRetries": {"enabled": None, "maxRetries": None, "retryOnAssetOrOpFailure": None},
    },
    "scheduler": {"type": None, "config": {"daemonScheduler": {"maxCatchupRuns": None}}},
    "postgresql": {
        "enabled": None,
        "postgresqlHost": None,
        "postgresqlUsername": None,
        "postgresqlDatabase": None,
    },
    "global": {"postgresqlSecretName": None},
    "generatePostgresqlPasswordSecret": None,
    "telemetry": {"enabled": None},
}


@pytest.fixture
def environment(request, tmp_path, monkeypatch):
    """What each shipped file says it needs."""
    if request.param == "dagster.yaml":
        yield request.param
        return
    if request.param == "dagster-celery.yaml":
        pytest.importorskip("dagster_celery", reason="the extra `celery` is not installed")
        for name, value in BROKER.items():
            monkeypatch.setenv(name, value)
    with running_postgres(tmp_path / "postgres") as url:
        monkeypatch.setenv("DAGSTER_PG_URL", url)
        yield request.param


def settings_of(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize("environment", [path.name for path in sorted(DEPLOY.glob("dagster*.yaml"))], indirect=True)
def test_dagster_loads_each_shipped_instance_and_takes_its_limits(environment, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((DEPLOY / environment).read_bytes())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs(limit=1) == []
        assert instance.scheduler.max_catchup_runs == 1
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60
        assert not instance.telemetry_enabled
        limits = instance.get_concurrency_config().run_queue_config
        assert limits is not None
        assert limits.max_concurrent_runs == 4
        assert {limit["key"] for limit in limits.tag_concurrency_limits} == {"dagster/partition", "redcap/server"}
        if environment == "dagster-celery.yaml":
            launcher: Any = instance.run_launcher
            assert type(launcher).__name__ == "CeleryRunLauncher"
            assert [launcher.broker, launcher.backend] == list(BROKER.values())
            assert instance.run_monitoring_start_timeout_seconds == 3600
            # Celery's messages hold this: the names of the variables, never what is in them.
            assert not any(
                value in str(instance.get_ref()) for value in [*BROKER.values(), os.environ["DAGSTER_PG_URL"]]
            )


def test_the_shipped_instances_differ_by_their_storage_and_by_where_runs_execute_only():
    one, other, third = (settings_of(f"{name}.yaml") for name in ("dagster", "dagster-postgres", "dagster-celery"))
    assert "storage" not in one
    assert third.pop("storage") == other.pop("storage")
    assert third.pop("run_launcher")
    assert OF_SEVERAL_MACHINES.items() <= third["run_monitoring"].items()
    third["run_monitoring"] = {n: value for n, value in third["run_monitoring"].items() if n not in OF_SEVERAL_MACHINES}
    assert one == other == third


def test_celery_workers_are_configured_by_the_same_variables_and_take_a_run_when_they_are_free(monkeypatch):
    for name, value in BROKER.items():
        monkeypatch.setenv(name, value)
    settings = runpy.run_path(str(DEPLOY / "celery" / "dagster_celery_config.py"))
    assert [settings["broker_url"], settings["result_backend"]] == list(BROKER.values())
    assert settings["worker_max_tasks_per_child"] == settings["worker_prefetch_multiplier"] == 1
    assert settings["task_acks_late"]


def unknown_keys(values: object, documented: object, path: str = "") -> Iterator[str]:
    """The keys of the values file that the chart does not document."""
    if documented is None:
        return
    if isinstance(values, list):
        for entry in values:
            yield from unknown_keys(entry, documented, path)
    elif isinstance(values, dict) and isinstance(documented, dict):
        for key, value in values.items():
            if key in documented:
                yield from unknown_keys(value, documented[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"


def test_the_values_for_kubernetes_use_only_what_dagsters_chart_documents():
    values = settings_of("k8s-values.yaml")
    assert list(unknown_keys(values, CHART)) == []
    assert list(unknown_keys(values | {"runLaunchers": {}}, CHART)) == [".runLaunchers"]


def in_snake_case(value: Any) -> Any:
    """The chart's settings as its template writes them into dagster.yaml."""
    if isinstance(value, list):
        return [in_snake_case(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        name if name.startswith("applyLimit") else re.sub(r"([A-Z])", r"_\1", name).lower(): in_snake_case(entry)
        for name, entry in value.items()
    }


def test_the_values_for_kubernetes_set_the_same_limits_as_the_instance_with_celery():
    values, instance = settings_of("k8s-values.yaml"), settings_of("dagster-celery.yaml")
    concurrency = in_snake_case(values["concurrency"])
    assert concurrency.pop("enabled")
    assert concurrency == instance["concurrency"]
    daemon = in_snake_case(values["dagsterDaemon"])
    assert daemon["run_retries"] == instance["run_retries"]
    assert daemon["run_monitoring"].pop("poll_interval_seconds") == 120  # the chart writes no default
    assert daemon["run_monitoring"] == instance["run_monitoring"]
    scheduler = in_snake_case(values["scheduler"]["config"]["daemonScheduler"])
    assert scheduler == instance["scheduler"]["config"]
    assert values["telemetry"] == instance["telemetry"]
    # The name of the deployment is the name of the code location, by which Dagster knows schedules and sensors.
    [deployment] = values["dagster-user-deployments"]["deployments"]
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    [code] = [entry["python_module"] for entry in workspace["load_from"]]
    assert [deployment["name"], deployment["dagsterApiGrpcArgs"][-1]] == [code["location_name"], code["module_name"]]


def test_the_steps_of_every_run_execute_in_one_process(house):
    definitions = make_definitions(house.config)
    jobs = [*definitions.resolve_all_job_defs(), definitions.resolve_implicit_global_asset_job_def()]
    assert len(jobs) > 3
    assert {job.executor_def.name for job in jobs} == {"in_process"}


def test_no_pool_is_shared_by_projects_that_do_not_share_what_it_protects(house):
    nodes = {
        pool
        for assets in make_definitions(house.config).assets
        for pool in getattr(getattr(assets, "node_def", None), "pools", ())
    }
    assert nodes == {"redcap_publish"}
