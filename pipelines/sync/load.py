"""The load of one project, as one readable sequence. Start reading here.

    prepare   read the project's structure and what changed, judge it, and plan what to fetch
    fetch     chunks of records into the staging folder, each verified to be complete
    apply     verified chunks into the mirror, one transaction per batch
    finish    deletions and renames, who made the changes, totals, and the watermark last

Each step finds what it needs on disk (handoff.py), so that an orchestrator can run and repeat them one by one.
Not here: publishing, which is for the whole warehouse (warehouse/publishing/publish.py).
"""

from __future__ import annotations

import time

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import ANSWER_LIMIT, Now, ProjectRun, Sleep, Stopwatch, new_run_id, utc_now
from pipelines.sync.apply import apply
from pipelines.sync.fetch import fetch
from pipelines.sync.finish import finish
from pipelines.sync.prepare import prepare
from pipelines.sync.recording import recorded
from pipelines.sync.reports import LoadOptions, LoadReport, Progress


def load(run: ProjectRun, options: LoadOptions, progress: Progress) -> LoadReport:
    """Load one project, from the first request to the watermark, and return what was done, in counts."""
    with run.mirror() as mirror, recorded(run, mirror) as recording:
        with run.client() as client, run.verifier() as verifier:
            recording.client = client
            plan, _ = prepare(run, client, mirror, verifier, options, progress)
            fetched = fetch(run, client, verifier, plan, progress=progress)
            totals = apply(run, mirror, plan, fetched)
        progress.step("finish")
        recording.report = finish(run, mirror, plan, totals)
    return recording.report


def load_project(
    config: Config,
    project: ProjectConfig,
    *,
    options: LoadOptions | None = None,
    run_id: str | None = None,
    progress: Progress | None = None,
    now: Now = utc_now,
    sleep: Sleep = time.sleep,
    stopwatch: Stopwatch = time.monotonic,
    answer_limit: int = ANSWER_LIMIT,
) -> LoadReport:
    """Load one project; the mirror stays usable whatever happens.

    How fast the server is by the `stopwatch` decides how much each request asks for. `answer_limit` is the longest
    answer that is accepted from REDCap, in bytes. Raises what stopped the load (WarehouseError or RedcapError), after
    recording it in redcap.sync_runs.
    """
    options = options or LoadOptions()
    opened = ProjectRun(
        config,
        project,
        run_id=run_id or new_run_id(now),
        start_over=options.start_over,
        now=now,
        sleep=sleep,
        stopwatch=stopwatch,
        answer_limit=answer_limit,
    )
    with opened as run:
        return load(run, options, progress or Progress())
