"""The nightly job over a store that machines share: the project is held from its first step to the end of its load."""

import dagster as dg
import pytest

from pipelines.config.load import load_config
from pipelines.coordination import Coordination
from pipelines.definitions import make_definitions
from pipelines.defs import records
from pipelines.defs.jobs import NIGHTLY
from pipelines.store import open_store
from redcap_source.simulator import Simulator, make_study
from tests.support.dagster_house import failures

pytestmark = [
    pytest.mark.lake,
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning"),
]


def test_a_project_is_held_between_its_steps_and_free_when_the_load_or_a_failed_run_has_ended(
    shared_path, database, monkeypatch
):
    held = []

    def look_and_fetch(*given, **named):
        with Coordination(database) as other:
            held.append([holder.run for holder in other.held_projects().values()])
        return fetch(*given, **named)

    fetch = records.fetch_parts
    monkeypatch.setattr(records, "fetch_parts", look_and_fetch)
    with (
        Simulator() as simulator,
        dg.DagsterInstance.local_temp() as instance,
        Coordination(database) as coordination,
    ):
        study = simulator.add_project(make_study("classic", records=10, seed=3), name="study")
        monkeypatch.setenv("TOKEN", study.token)
        shared_path.write_text(shared_path.read_text().replace("http://127.0.0.1:9/api/", simulator.url))
        config = load_config(shared_path)
        job = make_definitions(config).resolve_job_def(NIGHTLY)

        def night() -> dg.ExecuteInProcessResult:
            return job.execute_in_process(partition_key="study", instance=instance, raise_on_error=False)

        simulator.faults.add("php_warning", content="record", nth=4)
        failed = night()
        assert not failed.success
        assert held.pop() == [failed.run_id]
        assert coordination.held_projects() == {}

        done = night()
        assert done.success, failures(done)
        assert held.pop() == [done.run_id]
        assert coordination.held_projects() == {}
        assert coordination.working("study").run_id == done.run_id
        # A person repeats the first step alone: nothing follows, although the job has more steps.
        with dg.execute_job(
            dg.build_reconstructable_job("tests.support.dagster_house", "job_of", (str(shared_path),), {}),
            instance=instance,
            tags={"dagster/partition": "study"},
            reexecution_options=dg.ReexecutionOptions(parent_run_id=done.run_id, step_selection=["structure"]),
        ) as first_step:
            assert first_step.success
        assert coordination.held_projects() == {}
        with open_store(config) as store, store.published.open() as connection:
            loaded = connection.execute("SELECT outcome FROM redcap.sync_runs ORDER BY started_at").fetchall()
            assert connection.execute("SELECT count(DISTINCT record_id) FROM study.enrolment").fetchall() == [(10,)]
        assert loaded == [("failed",), ("ok",)]


def test_a_night_that_cannot_rely_on_the_store_fails_before_its_first_step_and_says_why(
    shared_path, database, tmp_path, monkeypatch
):
    (tmp_path / "shared").write_text("not a folder")
    config = load_config(shared_path)
    job = make_definitions(config).resolve_job_def(NIGHTLY)
    with dg.DagsterInstance.local_temp() as instance, Coordination(database) as coordination:
        done = job.execute_in_process(partition_key="study", instance=instance, raise_on_error=False)
        assert not done.success
        assert coordination.working("study") is None
        told = [str(event.event_specific_data) for event in done.all_events if event.is_failure]
        steps = [event for event in done.all_events if event.event_type == dg.DagsterEventType.STEP_START]
    assert any(f"{tmp_path / 'shared'} cannot be used" in message for message in told), told
    assert steps == []
