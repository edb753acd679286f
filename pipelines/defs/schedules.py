"""When the jobs run: the nightly schedule, and the sensor that publishes for all projects of a night."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PRIORITY_TAG

from pipelines.config.settings import Config
from pipelines.defs.asset_specs import NIGHT
from pipelines.defs.jobs import NIGHTLY
from pipelines.defs.publish_job import PUBLISH, known_runs, unreported_loads
from pipelines.store import open_store
from pipelines.warehouse.store.protocol import Marks, Store
from pipelines.wording import counted

SENSOR = "publish_night"
SECONDS_BETWEEN_LOOKS = 30
# A project that is loaded waits this long for the night's other runs: one that hangs holds up nobody for longer.
LONGEST_WAIT_SECONDS = 30 * 60
# After a publish that left some of the same loads unpublished, the next one waits this long; each time twice as long.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 10 * 60, 4 * 3600
# The tag of a publish run that names the loads it was started for.
LOADS = "redcap/loads"
# Publishing is short, and the projects that wait for it are loaded already: it goes before queued loads.
PRIORITY = "10"
# How many of the last publish runs are counted; the pause is the longest before that.
MOST_ATTEMPTS = 20


def make_schedule(
    config: Config, job: dg.ExecutableDefinition | dg.UnresolvedAssetJobDefinition
) -> dg.ScheduleDefinition:
    """The nightly schedule, at the time and in the time zone of projects.yaml."""

    @dg.schedule(
        name="nightly",
        job=job,
        cron_schedule=config.schedule,
        execution_timezone=config.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="One run for each REDCap project; one that fails does not affect the others. When they have ended, "
        "the sensor `publish_night` starts one run that publishes for all of them.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        night = context.scheduled_execution_time.strftime("%Y-%m-%dT%H:%M")
        # Somebody may have turned the sensor off; then each run publishes for itself.
        together = {} if _is_turned_off(context.instance) else {NIGHT: night}
        for project in config.projects.values():
            # The run key prevents a second run if a tick is repeated.
            yield dg.RunRequest(
                run_key=f"{night}:{project.name}",
                partition_key=project.name,
                tags={**run_tags(config, project.name), **together},
            )

    return nightly


def run_tags(config: Config, project: str) -> dict[str, str]:
    """Tags for an instance's concurrency limits: one run of a project at a time, few of a server."""
    return {"redcap/project": project, "redcap/server": config.project(project).server.name}


def _is_turned_off(instance: dg.DagsterInstance) -> bool:
    stopped = instance.all_instigator_state(
        instigator_type=InstigatorType.SENSOR, instigator_statuses={InstigatorStatus.STOPPED}
    )
    return any(state.name == SENSOR for state in stopped)


def make_sensor(config: Config) -> dg.SensorDefinition:
    """The sensor that starts the job `publish` when the runs of a night have ended."""

    # The job by its name: given the job itself, Dagster warns of an argument in beta that it passes to itself.
    @dg.sensor(
        name=SENSOR,
        job_name=PUBLISH,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts one run of `publish` when the runs of a night have ended, or when a loaded project has "
        "waited for them for half an hour.",
    )
    def publish_night(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        with open_store(config) as store:
            published = _published(store, config)
            # What was compared with Dagster's storage once needs no comparison every half minute.
            seen = json.dumps(published, sort_keys=True)
            unreported = [] if seen == context.cursor else unreported_loads(context.instance, published)
            found = _look(context.instance, store.marks, config, unreported)
        wait = why_wait(found, time.time())
        cursor = context.cursor if unreported else seen
        if wait is not None:
            return dg.SensorResult(skip_reason=wait, cursor=cursor)
        # No run key: what could not be published is tried again.
        request = dg.RunRequest(tags={PRIORITY_TAG: PRIORITY, LOADS: found.loads})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return publish_night


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether to publish now; times are in seconds since 1970."""

    waiting: Mapping[str, float] = field(default_factory=dict)
    """Projects that wait to be published, and since when."""
    unreported: Sequence[str] = ()
    """Projects that are published, which Dagster does not know yet."""
    loading: int = 0
    """Runs of the night that have not ended."""
    publishing: bool = False
    """Whether a run of the job `publish` has not ended."""
    last_publish: float = 0
    """When the last one ended."""
    attempts: int = 0
    """How many ended, one after the other, that were started for exactly these loads."""
    loads: str = ""
    """What identifies these loads."""


def why_wait(found: Situation, now: float) -> str | None:
    """Why there is nothing to publish now; None if there is."""
    if found.publishing:
        return "A run of the job `publish` has not ended yet."
    if not found.waiting and not found.unreported:
        return "No load waits to be published."
    pause = min(FIRST_PAUSE_SECONDS * 2 ** (found.attempts - 1), LONGEST_PAUSE_SECONDS)
    if found.attempts and now < found.last_publish + pause:
        names = ", ".join(sorted({*found.waiting, *found.unreported}))
        return (
            f"{names}: not published by the last run of the job `publish`, whose log says why. The next one starts "
            f"{counted(round(pause / 60), 'minute')} after it, or when something else is loaded."
        )
    waited = now - max(min(found.waiting.values(), default=0), found.last_publish)
    if found.loading and not found.unreported and waited < LONGEST_WAIT_SECONDS:
        return f"{counted(found.loading, 'run has', 'runs have')} not ended yet; one publish serves all."
    return None


def _published(store: Store, config: Config) -> dict[str, str]:
    """The load of each project that is published."""
    return {name: entry.run for name, entry in store.published.last().items() if name in config.projects}


def _look(instance: dg.DagsterInstance, marks: Marks, config: Config, unreported: Sequence[str]) -> Situation:
    marked = {project: run for project, run in marks.waiting().items() if project in config.projects}
    runs = known_runs(instance, marked.values())
    # A run that was started by hand publishes by itself, unless it died before it could.
    mine = {
        project: run
        for project, run in marked.items()
        if (known := runs.get(run)) and (NIGHT in known.tags or known.is_finished)
    }
    unfinished = instance.get_runs(dg.RunsFilter(job_name=NIGHTLY, statuses=NOT_FINISHED_STATUSES))
    publishes = instance.get_run_records(dg.RunsFilter(job_name=PUBLISH), limit=MOST_ATTEMPTS)
    ended = [record for record in publishes if record.dagster_run.is_finished]
    loads = hashlib.sha256(repr((sorted(mine.items()), sorted(unreported))).encode()).hexdigest()[:16]
    return Situation(
        waiting={project: marks.since(project) for project in mine},
        unreported=unreported,
        loading=sum(NIGHT in run.tags for run in unfinished),
        publishing=len(ended) < len(publishes),
        last_publish=max((record.end_time or record.update_timestamp.timestamp() for record in ended), default=0),
        attempts=len(list(takewhile(lambda record: record.dagster_run.tags.get(LOADS) == loads, ended))),
        loads=loads,
    )
