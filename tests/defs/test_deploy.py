"""The instance files that are shipped: Dagster itself loads each, and a killed run wedges nobody."""

from __future__ import annotations

import dagster as dg
import pytest
import yaml

from pipelines.definitions import make_definitions
from tests.support.postgres import running_postgres
from tests.support.root import ROOT

DEPLOY = ROOT / "deploy"


@pytest.fixture
def environment(request, tmp_path, monkeypatch):
    """What each shipped file says it needs."""
    if request.param == "dagster.yaml":
        yield request.param
        return
    with running_postgres(tmp_path / "postgres") as url:
        monkeypatch.setenv("DAGSTER_PG_URL", url)
        yield request.param


@pytest.mark.parametrize("environment", [path.name for path in sorted(DEPLOY.iterdir())], indirect=True)
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


def test_the_shipped_instances_differ_by_their_storage_only():
    one, other = (yaml.safe_load((DEPLOY / name).read_text()) for name in ("dagster.yaml", "dagster-postgres.yaml"))
    assert "storage" not in one
    assert other.pop("storage")
    assert one == other


def test_no_pool_is_shared_by_projects_that_do_not_share_what_it_protects(house):
    nodes = {
        pool
        for assets in make_definitions(house.config).assets
        for pool in getattr(getattr(assets, "node_def", None), "pools", ())
    }
    assert nodes == {"redcap_publish"}
