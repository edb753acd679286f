"""The sensor `dead_runs`: a run whose process or machine is gone is reported as failed, so that another repeats it.

Dagster's launchers do not notice a machine that vanished: its runs stay "started", and no other run of their projects
may begin. Not here: the lock that a run's process holds (resources.py, coordination/runs.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import dagster as dg
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
# What was seen before a pause of the daemon or of PostgreSQL says nothing about the time between.
LONGEST_GAP_SECONDS = 60


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
    gone = Gone.of(cursor, now).seen(lost, now)
    reported = 0
    for run in instance.get_runs(dg.RunsFilter(run_ids=sorted(lost))) if lost else ():
        if run.status is DagsterRunStatus.STARTED and gone.for_long(run.run_id, now):
            instance.report_run_failed(run, message_about(lost[run.run_id]))
            reported += 1
        elif not run.is_finished:
            continue
        coordination.forget_run(run.run_id)
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

    def seen(self, lost: Mapping[str, LostRun], now: float) -> Gone:
        """The same after a look: a run that is not lost now is forgotten."""
        return Gone(now, {run: self.since.get(run, now) for run in lost})

    def for_long(self, run: str, now: float) -> bool:
        """Whether it has been gone for longer than a process needs to take its lock again."""
        return now - self.since[run] >= PATIENCE_SECONDS

    def cursor(self) -> str:
        """What the sensor remembers until the next look."""
        return json.dumps({"looked": self.looked, "since": self.since})


def message_about(lost: LostRun) -> str:
    """What a person reads in the run's log."""
    return (
        f"The process of this run ({lost.loader}) has been gone for {PATIENCE_SECONDS} seconds without having said "
        "that it ended, or its machine does not reach PostgreSQL. What was loaded before is unchanged, and readers "
        "find what was published last. If retries of runs are on (run_retries in dagster.yaml), the run is repeated "
        "from its beginning on a machine that is free."
    )
