"""A simulated REDCap, a projects.yaml, and a Dagster instance in a folder that can be searched."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from pipelines.config import Config, load_config
from pipelines.definitions import make_definitions
from pipelines.jobs import NIGHTLY, nightly_instance
from redcap_source.simulator import ProjectHandle, Simulator, make_study


@dataclass
class House:
    """One institution under Dagster."""

    simulator: Simulator
    study: ProjectHandle
    config: Config
    home: Path
    instance: dg.DagsterInstance

    def run(self, **options) -> dg.ExecuteInProcessResult:
        """The nightly job for the study."""
        job = make_definitions(self.config).resolve_job_def(NIGHTLY)
        return job.execute_in_process(partition_key="study", instance=self.instance, raise_on_error=False, **options)

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.config.warehouse / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def house(tmp_path, monkeypatch):
    with Simulator() as simulator:
        study = simulator.add_project(make_study("repeating", records=10, seed=3), name="study")
        monkeypatch.setenv("TOKEN_STUDY", study.token)
        path = tmp_path / "projects.yaml"
        path.write_text(
            "schedule: '15 3 * * *'\ntime_zone: Europe/Berlin\n"
            f"servers: {{campus: {{url: {simulator.url}}}}}\n"
            "projects:\n  study: {token: {env: TOKEN_STUDY}}\n  other: {token: {env: TOKEN_OTHER}}\n"
        )
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
        with nightly_instance(tmp_path / "dagster") as instance:
            yield House(simulator, study, load_config(path), tmp_path / "dagster", instance)
