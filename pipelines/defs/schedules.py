"""When the load runs: every night, one run a project, on by default."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from pipelines.config.settings import Config


def make_schedule(
    config: Config, job: dg.ExecutableDefinition | dg.UnresolvedAssetJobDefinition
) -> dg.ScheduleDefinition:
    """The nightly schedule, at the time and in the zone that projects.yaml says."""

    @dg.schedule(
        name="nightly",
        job=job,
        cron_schedule=config.schedule,
        execution_timezone=config.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="One run for each REDCap project; a project that fails does not hold the others back.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        night = context.scheduled_execution_time.strftime("%Y-%m-%dT%H:%M")
        for project in config.projects.values():
            # The run key makes a repeated tick harmless.
            yield dg.RunRequest(
                run_key=f"{night}:{project.name}", partition_key=project.name, tags=run_tags(config, project.name)
            )

    return nightly


def run_tags(config: Config, project: str) -> dict[str, str]:
    """Tags that an instance's concurrency limits go by: never two runs of a project, few of a server."""
    return {"redcap/project": project, "redcap/server": config.project(project).server.name}
