"""The sensor `dead_runs`: a run whose process or machine is gone is reported as failed, so that another repeats it.

Dagster's launchers do not notice a machine that vanished: its runs stay "started", and no other run of their projects
may begin. Not here: the lock that a run's process holds (resources.py, coordination/runs.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.dagster_run import DagsterRunStatus

from pipelines.config.settings import Config
from pipelines.coordination import Coordination, LostRun
from pipelines.errors import CoordinationUnavailable
from pipelines.store import open_coordination
from pipelines.wording import counted

SENSOR = "dead_runs"
SECONDS_BETWEEN_LOOKS = 10
# A process that lost its session, for example when PostgreSQL was restarted, has its lock again after 5 seconds.
PATIENCE_SECONDS = 20
# A process that a Celery worker has started needs 5 seconds until its run begins and it has a lock, and 15 on an
# overloaded machine.
STARTING_PATIENCE_SECONDS = 60
# What was seen before a pause of the daemon or of PostgreSQL says nothing about the time between.
LONGEST_GAP_SECONDS = 60


# The tag with which dagster-celery finds what a run is for Celery.
CELERY_TASK = "dagster-celery/task_id"
NEVER_BEGUN = (
    f"A worker took this run {STARTING_PATIENCE_SECONDS} seconds ago, and it has not begun. Nothing was loaded. If "
    "retries of runs are on (run_retries in dagster.yaml), the run is repeated on a machine that is free."
)


def make_dead_runs(config: Config) -> list[dg.SensorDefinition]:
    """The sensor; none where one machine alone has the warehouse, because Dagster notices there."""
    store = config.store
    return [] if store is None else [make_sensor(lambda: open_coordination(store))]


def make_sensor(coordination: Callable[[], Coordination]) -> dg.SensorDefinition:
    """The sensor, for the runs of its instance that use this PostgreSQL."""

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reports a run as failed when its process has been gone for 20 seconds: killed, or on a machine "
        "that vanished. Dagster then repeats the run on a machine that is free (`run_retries` in dagster.yaml).",
    )
    def dead_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        with coordination() as open_coordination:
            found, cursor = look(context.instance, open_coordination, context.cursor, time.time())
        return dg.SensorResult(skip_reason=found, cursor=cursor)

    return dead_runs


def look(
    instance: dg.DagsterInstance, coordination: Coordination, cursor: str | None, now: float
) -> tuple[str, str | None]:
    """Report the runs that have been gone for long enough; returns what was found and the next look's cursor."""
    try:
        lost = coordination.lost_runs()
    except CoordinationUnavailable as problem:
        # Begin anew: while PostgreSQL did not answer, no process could have its lock.
        return str(problem), ""
    starting = runs_that_celery_started(instance)
    gone = Gone.of(cursor, now).seen([*lost, *starting], now)
    reported = 0
    for run in instance.get_runs(dg.RunsFilter(run_ids=sorted(gone.since))) if gone.since else ():
        if run.status is DagsterRunStatus.STARTED and run.run_id in lost:
            message, patience = message_about(lost[run.run_id]), PATIENCE_SECONDS
        elif run.status is DagsterRunStatus.STARTING and run.run_id in starting:
            message, patience = NEVER_BEGUN, STARTING_PATIENCE_SECONDS
        elif run.is_finished:
            coordination.forget_run(run.run_id)
            continue
        else:
            continue
        if gone.for_long(run.run_id, now, patience):
            instance.report_run_failed(run, message)
            coordination.forget_run(run.run_id)
            reported += 1
    if not reported:
        return "There is nothing to report.", gone.cursor()
    return f"{counted(reported, 'run was', 'runs were')} reported as failed.", gone.cursor()


@dataclass(frozen=True, slots=True)
class Gone:
    """Since when processes of runs have been gone, as far as they were looked for without a gap."""

    looked: float
    """When they were looked for last, in seconds since 1970."""
    since: Mapping[str, float] = field(default_factory=dict)
    """When each run's process was found to be gone."""

    @classmethod
    def of(cls, cursor: str | None, now: float) -> Gone:
        """What the sensor remembers; nothing if the last look was too long ago, or in the future."""
        known = cls(**json.loads(cursor)) if cursor else cls(now)
        return known if 0 <= now - known.looked <= LONGEST_GAP_SECONDS else cls(now)

    def seen(self, lost: Iterable[str], now: float) -> Gone:
        """The same after a look: a run that is not lost now is forgotten."""
        return Gone(now, {run: self.since.get(run, now) for run in lost})

    def for_long(self, run: str, now: float, patience: float) -> bool:
        """Whether it has been gone for so many seconds."""
        return now - self.since[run] >= patience

    def cursor(self) -> str:
        """What the sensor remembers until the next look."""
        return json.dumps({"looked": self.looked, "since": self.since})


def runs_that_celery_started(instance: dg.DagsterInstance) -> set[str]:
    """Runs that a Celery worker has begun to execute, and that have not begun.

    Only Celery is asked: Kubernetes says that a pod is active while its image is being loaded, which may take long.
    """
    launcher = instance.run_launcher
    if type(launcher).__name__ != "CeleryRunLauncher":
        return set()
    runs = instance.get_runs(dg.RunsFilter(statuses=[DagsterRunStatus.STARTING]))
    try:
        return {
            run.run_id
            for run in runs
            if CELERY_TASK in run.tags and launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        }
    except Exception:
        # Each of Celery's backends has errors of its own. It is asked again in ten seconds.
        return set()


def message_about(lost: LostRun) -> str:
    """What a person reads in the run's log."""
    return (
        f"The process of this run ({lost.loader}) has been gone for {PATIENCE_SECONDS} seconds without having said "
        "that it ended, or its machine does not reach PostgreSQL. What was loaded before is unchanged, and readers "
        "find what was published last. If retries of runs are on (run_retries in dagster.yaml), the run is repeated "
        "from its beginning on a machine that is free."
    )
