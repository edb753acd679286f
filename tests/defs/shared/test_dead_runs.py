"""Runs whose process is gone, over a real PostgreSQL and a real Dagster instance: no healthy run is given up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from pipelines.coordination import Coordination
from pipelines.defs.shared.dead_runs import CELERY_TASK, Gone, look, make_sensor
from tests.coordination.test_locks import ENDED
from tests.support.postgres import ask
from tests.support.root import ROOT

STARTING, STARTED, FAILURE = DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.FAILURE


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def coordination(database) -> Iterator[Coordination]:
    with Coordination(database, loader="here:1") as coordination:
        yield coordination


def start(instance: dg.DagsterInstance, status: DagsterRunStatus = STARTED) -> str:
    return create_run_for_test(instance, job_name="nightly_load", status=status).run_id


@contextmanager
def cut_off(database: str, run_id: str) -> Iterator[None]:
    """A run whose process has lost its lock."""
    with Coordination(database, loader="there:2") as other, other.lock_run(run_id):
        ask(database, ENDED)
        yield


def watch(instance, coordination, seconds: int, *, every: int = 10) -> str:
    """Look for so long; returns what the last look found."""
    cursor, found = None, ""
    for now in range(1000, 1001 + seconds, every):
        found, cursor = look(instance, coordination, cursor, now)
    return found


def test_a_run_whose_process_is_gone_is_reported_once_and_names_where_it_was(instance, coordination, database):
    run_id = start(instance)
    with cut_off(database, run_id):
        assert watch(instance, coordination, 10) == "There is nothing to report."
        assert instance.get_run_by_id(run_id).status is STARTED
        assert watch(instance, coordination, 20) == "1 run was reported as failed."
    run = instance.get_run_by_id(run_id)
    assert run.status is FAILURE
    [told] = [entry.message for entry in instance.all_logs(run_id) if entry.dagster_event.is_run_failure]
    assert "there:2" in told
    assert coordination.lost_runs() == {}
    assert watch(instance, coordination, 60) == "There is nothing to report."


def test_no_run_is_given_up_while_its_process_holds_its_lock(instance, coordination):
    run_id = start(instance)
    with coordination.lock_run(run_id):
        watch(instance, coordination, 600)
    assert instance.get_run_by_id(run_id).status is STARTED


def test_a_run_that_has_not_begun_or_has_ended_or_is_of_another_instance_is_left_alone(
    instance, coordination, database
):
    begun, ended = start(instance), start(instance, DagsterRunStatus.SUCCESS)
    with coordination.lock_run(begun):
        pass
    with cut_off(database, ended), cut_off(database, "of another instance"):
        watch(instance, coordination, 60)
        assert list(coordination.lost_runs()) == ["of another instance"]
    assert instance.get_run_by_id(begun).status is STARTED
    assert instance.get_run_by_id(ended).status is DagsterRunStatus.SUCCESS


def test_the_time_begins_anew_after_a_gap_and_when_postgresql_did_not_answer(instance, coordination, database):
    run_id = start(instance)
    with cut_off(database, run_id):
        _, cursor = look(instance, coordination, None, 1000)
        _, cursor = look(instance, coordination, cursor, 1100)
        _, cursor = look(instance, coordination, cursor, 1110)
        with Coordination("postgresql://nobody@127.0.0.1:1/none", patience=0.1) as unreachable:
            told, cursor = look(instance, unreachable, cursor, 1115)
            assert "PostgreSQL" in told
        _, cursor = look(instance, coordination, cursor, 1120)
        _, cursor = look(instance, coordination, cursor, 1130)
        assert instance.get_run_by_id(run_id).status is STARTED
        look(instance, coordination, cursor, 1140)
        assert instance.get_run_by_id(run_id).status is FAILURE


def test_what_the_sensor_remembers_is_forgotten_when_a_run_is_there_again():
    seen = Gone.of(None, 1000).seen(["run-1", "run-2"], 1000)
    again = Gone.of(seen.cursor(), 1010).seen(["run-1"], 1010)
    later = Gone.of(again.cursor(), 1020).seen(["run-1", "run-2"], 1020)
    assert [later.for_long(run, 1020, 20) for run in ("run-1", "run-2")] == [True, False]
    assert Gone.of(later.cursor(), 900).since == {}


def test_the_sensor_looks_by_itself_and_asks_for_no_run(instance, database):
    made = itertools.count()

    def connect() -> Coordination:
        next(made)
        return Coordination(database)

    sensor = make_sensor(connect)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    result = sensor.evaluate_tick(dg.build_sensor_context(instance))
    assert [result.run_requests, result.skip_message, next(made)] == [[], "There is nothing to report.", 1]


def test_a_run_that_a_worker_took_and_never_began_is_reported_after_a_minute_and_one_that_waits_is_not(
    tmp_path, coordination, monkeypatch
):
    pytest.importorskip("dagster_celery", reason="the extra `celery` is not installed")
    settings = yaml.safe_load((ROOT / "deploy" / "dagster-celery.yaml").read_text())
    del settings["storage"]
    monkeypatch.setenv("DAGSTER_CELERY_BROKER", "filesystem://")
    monkeypatch.setenv("DAGSTER_CELERY_BACKEND", f"file://{tmp_path}")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        taken, waits, begun = (start(instance, status) for status in (STARTING, STARTING, STARTED))
        for run_id in (taken, waits, begun):
            instance.add_run_tags(run_id, {CELERY_TASK: f"task {run_id}"})
        launcher: Any = instance.run_launcher
        for run_id in (taken, begun):
            launcher.celery.backend.store_result(f"task {run_id}", None, "STARTED")
        watch(instance, coordination, 50)
        assert instance.get_run_by_id(taken).status is STARTING
        assert watch(instance, coordination, 60) == "1 run was reported as failed."
        statuses = [instance.get_run_by_id(run_id).status for run_id in (taken, waits, begun)]
        assert statuses == [FAILURE, STARTING, STARTED]
