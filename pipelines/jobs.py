"""The nightly job, and running it here and now without a daemon, as the demo does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from pipelines.config import Config
from pipelines.schedules import run_tags
from pipelines.warehouse.connection import private_files, private_folder
from pipelines.writeback_assets import GROUP as WRITEBACK_GROUP

NIGHTLY = "nightly_load"
WRITEBACK = "write_back"

_INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  pools: {granularity: op, default_limit: 1}
  runs:
    tag_concurrency_limits:
      - {key: dagster/partition, limit: 1, value: {applyLimitPerUniqueValue: true}}
"""


def make_job() -> dg.UnresolvedAssetJobDefinition:
    """All assets of one project, in process: a step costs a tenth of a second so, and seconds otherwise."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all() - dg.AssetSelection.groups(WRITEBACK_GROUP),
        executor_def=dg.in_process_executor,
        description="The whole night of one REDCap project: structure, records, checks, publish.",
    )


def make_writeback_job() -> dg.UnresolvedAssetJobDefinition:
    """Open proposals of one project back into REDCap; nobody runs it but people, and it is a dry run unless told."""
    return dg.define_asset_job(
        WRITEBACK,
        selection=dg.AssetSelection.groups(WRITEBACK_GROUP),
        executor_def=dg.in_process_executor,
        description="Compare proposed values with REDCap, and with `apply` write them, read them back, journal them.",
    )


@contextmanager
def nightly_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in a folder of its own, readable by its owner only."""
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
    """Make Dagster's database files now: webserver and daemon, started together, would trip over each other."""
    instance.get_runs(limit=1)
    instance.all_instigator_state()
    instance.get_asset_keys(limit=1)


def run_nightly(config: Config, project: str, instance: dg.DagsterInstance) -> list[str]:
    """Run the nightly job for one project in this process; returns what failed, in words, or nothing."""
    return _run(config, NIGHTLY, project, instance, {})


def run_writeback(config: Config, project: str, instance: dg.DagsterInstance, *, apply: bool) -> list[str]:
    """Run the write-back job for one project in this process; returns what failed, in words, or nothing."""
    chosen = {"ops": {"redcap__writeback": {"config": {"apply": apply}}}}
    return _run(config, WRITEBACK, project, instance, chosen)


def _run(
    config: Config, name: str, project: str, instance: dg.DagsterInstance, chosen: Mapping[str, object]
) -> list[str]:
    from pipelines.definitions import make_definitions

    job = make_definitions(config).resolve_job_def(name)
    result = job.execute_in_process(
        partition_key=project,
        instance=instance,
        raise_on_error=False,
        tags=run_tags(config, project),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **chosen},
    )
    return [] if result.success else _told(result)


def _told(result: dg.ExecuteInProcessResult) -> list[str]:
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    told = [data.user_failure_data.description for data in failures if data.user_failure_data is not None]
    told += [
        f"{check.check_name}: {check.description}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.blocking
    ]
    return [text for text in told if text] or ["The job failed; its log is in the Dagster UI."]
