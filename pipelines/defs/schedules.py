"""When the load runs: every night, one run per project, on by default. Not here: what it runs (jobs.py)."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from pipelines.config.settings import Config


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
        description="One run for each REDCap project; one that fails does not affect the others.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        night = context.scheduled_execution_time.strftime("%Y-%m-%dT%H:%M")
        for project in config.projects.values():
            # The run key prevents a second run if a tick is repeated.
            yield dg.RunRequest(
                run_key=f"{night}:{project.name}", partition_key=project.name, tags=run_tags(config, project.name)
            )

    return nightly


def run_tags(config: Config, project: str) -> dict[str, str]:
    """Tags for an instance's concurrency limits: one run of a project at a time, few of a server."""
    return {"redcap/project": project, "redcap/server": config.project(project).server.name}
