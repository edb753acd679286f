"""When the jobs run: a night is one run for each project, and one publish serves all of them."""

import datetime as dt

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus

from pipelines.definitions import make_definitions
from pipelines.defs.asset_specs import NIGHT
from pipelines.defs.schedules import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LONGEST_WAIT_SECONDS,
    SENSOR,
    Situation,
    why_wait,
)
from tests.support.dagster_house import failures, look, the_night

pytestmark = pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")

NOW = 1_000_000.0
LONG_AGO, JUST_NOW = NOW - LONGEST_WAIT_SECONDS, NOW - 1


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Situation(), "No load waits"),
        (Situation(waiting={"a": JUST_NOW}), None),
        (Situation(waiting={"a": JUST_NOW}, publishing=True), "has not ended yet"),
        (Situation(waiting={"a": JUST_NOW}, loading=2), "2 runs have not ended"),
        # A run that hangs holds up the others for half an hour, and then no longer.
        (Situation(waiting={"a": LONG_AGO, "b": JUST_NOW}, loading=1), None),
        # A project that cannot be published does not let each of the others publish alone.
        (Situation(waiting={"broken": LONG_AGO, "b": JUST_NOW}, loading=1, last_publish=NOW - 60), "1 run has not"),
        (Situation(waiting={"broken": LONG_AGO, "b": JUST_NOW}, loading=1, last_publish=LONG_AGO), None),
        # What is published already is reported at once.
        (Situation(unreported=["a"], loading=5), None),
        # The same loads are tried again, later each time.
        (Situation(waiting={"a": LONG_AGO}, attempts=1, last_publish=NOW - FIRST_PAUSE_SECONDS + 1), "10 minutes"),
        (Situation(waiting={"a": LONG_AGO}, attempts=1, last_publish=NOW - FIRST_PAUSE_SECONDS), None),
        (Situation(waiting={"a": LONG_AGO}, attempts=2, last_publish=NOW - FIRST_PAUSE_SECONDS), "20 minutes"),
        (Situation(waiting={"a": LONG_AGO}, attempts=20, last_publish=NOW - LONGEST_PAUSE_SECONDS), None),
    ],
)
def test_a_publish_waits_for_the_night_and_for_nothing_that_hangs(found, why):
    said = why_wait(found, NOW)
    assert said is None if why is None else why in said


def test_the_whole_location_is_loadable(house):
    # Dagster compares the names of all jobs and steps only when it loads a location as a whole.
    dg.Definitions.validate_loadable(make_definitions(house.config))
    make_definitions(house.config).get_repository_def().get_all_jobs()


def requested(house):
    definitions = make_definitions(house.config)
    schedule = definitions.resolve_schedule_def("nightly")
    due = dt.datetime(2026, 1, 2, 3, 15, tzinfo=dt.UTC)
    with dg.build_schedule_context(house.instance, due, repository_def=definitions.get_repository_def()) as context:
        return schedule.evaluate_tick(context).run_requests


def test_a_night_s_runs_leave_the_publish_to_the_sensor_unless_somebody_turned_it_off(house):
    assert [request.tags[NIGHT] for request in requested(house)] == ["2026-01-02T03:15"] * 2
    definitions = make_definitions(house.config)
    assert definitions.resolve_sensor_def(SENSOR).default_status is dg.DefaultSensorStatus.RUNNING
    turn_off(house.instance, SENSOR)
    assert [NIGHT in request.tags for request in requested(house)] == [False, False]


def turn_off(instance, name):
    """What the switch in the UI stores."""
    from dagster._core.remote_origin import (
        InProcessCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    place = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name="pipelines.definitions"), location_name="redcap"
    )
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "__repository__"), name)
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED))


def loaded(house, project, *, status=dg.DagsterRunStatus.SUCCESS, **tags):
    """A run that loaded the project, and left it to be published."""
    job = make_definitions(house.config).resolve_job_def("nightly_load")
    run = house.instance.create_run_for_job(job, tags={"dagster/partition": project, **tags}, status=status)
    house.folder.make()
    house.folder.mark_loaded(project, run.run_id)
    return run


def test_one_publish_is_started_when_the_last_run_of_a_night_has_ended(house):
    assert "No load waits" in look(house).skip_message
    loaded(house, "study", **the_night())
    last = loaded(house, "other", status=dg.DagsterRunStatus.STARTED, **the_night())
    assert "1 run has not ended yet" in look(house).skip_message
    house.instance.report_run_failed(last)
    [request] = look(house).run_requests
    assert (request.run_key, request.tags["dagster/priority"]) == (None, "10")


def test_what_a_command_line_has_loaded_it_publishes_itself(house):
    house.folder.make()
    house.folder.mark_loaded("study", "a run that Dagster does not know")
    assert "No load waits" in look(house).skip_message


def test_a_run_that_was_started_by_hand_publishes_itself_unless_it_died_before(house):
    run = loaded(house, "study", status=dg.DagsterRunStatus.STARTED)
    assert "No load waits" in look(house).skip_message
    house.instance.report_run_failed(run)
    assert look(house).run_requests


def test_loads_that_could_not_be_published_are_tried_again_later(house):
    loaded(house, "study", **the_night())
    house.folder.mirror("study").write_bytes(b"no database at all" * 1000)
    [request] = look(house).run_requests
    failed = house.publish(tags=request.tags)
    assert "study: it is damaged: it is no database" in failures(failed)[0]
    assert "study: not published by the last run" in look(house).skip_message
    # Something else is loaded, so these are not the same loads.
    loaded(house, "other", **the_night())
    assert look(house).run_requests
