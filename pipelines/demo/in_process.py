"""Jobs run in this process, without a daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from pipelines.config.settings import Config
from pipelines.definitions import make_definitions
from pipelines.defs.jobs import NIGHTLY, WRITEBACK
from pipelines.defs.schedules import run_tags
from pipelines.warehouse.database.connection import private_files, private_folder

_INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  pools: {granularity: op, default_limit: 1}
  runs:
    tag_concurrency_limits:
      - {key: dagster/partition, limit: 1, value: {applyLimitPerUniqueValue: true}}
run_monitoring: {enabled: true, free_slots_after_run_end_seconds: 60}
"""


@contextmanager
def nightly_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in the folder, which only its owner may read; sets DAGSTER_HOME."""
    home = home.absolute()
    with private_files():
        private_folder(home)
        settings = home / "dagster.yaml"
        if not settings.exists():
            settings.write_text(_INSTANCE, encoding="utf-8")
        os.environ["DAGSTER_HOME"] = str(home)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            _make_storage(instance)
            yield instance


def _make_storage(instance: dg.DagsterInstance) -> None:
    """Create Dagster's database files now: webserver and daemon, started together, would both try to."""
    instance.get_runs(limit=1)
    instance.all_instigator_state()
    instance.get_asset_keys(limit=1)


def run_nightly(config: Config, project: str, instance: dg.DagsterInstance) -> list[str]:
    """Run the nightly job for one project in this process; returns the messages of what failed."""
    return _run(config, NIGHTLY, project, instance, {})


def run_writeback(config: Config, project: str, instance: dg.DagsterInstance, *, apply: bool) -> list[str]:
    """Run the write-back job for one project in this process; returns the messages of what failed."""
    chosen = {"ops": {"redcap__writeback": {"config": {"apply": apply}}}}
    return _run(config, WRITEBACK, project, instance, chosen)


def _run(
    config: Config, name: str, project: str, instance: dg.DagsterInstance, chosen: Mapping[str, object]
) -> list[str]:
    job = make_definitions(config).resolve_job_def(name)
    result = job.execute_in_process(
        partition_key=project,
        instance=instance,
        raise_on_error=False,
        tags=run_tags(config, project),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **chosen},
    )
    return [] if result.success else _messages(result)


def _messages(result: dg.ExecuteInProcessResult) -> list[str]:
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    messages = [data.user_failure_data.description for data in failures if data.user_failure_data is not None]
    messages += [
        f"{check.check_name}: {check.description}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.blocking
    ]
    return [text for text in messages if text] or ["The job failed; its log is in the Dagster UI."]
